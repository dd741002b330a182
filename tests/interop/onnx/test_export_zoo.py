"""Every spec that we ship, as an ONNX file: onnxruntime runs it, and it comes in again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.onnx import difference, export, exported, read
from graphdsl.ir import Array, Node, Weight
from graphdsl.model import Model, compile
from graphdsl.report import Failed, Source
from graphdsl.runtime import weights
from tests.support.isomorphic import canonical

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

SPECS = Path(__file__).parents[3] / "specs"
EQUAL = 1e-4
"""Of the largest output: hundreds of layers in float32, summed in another order."""

LARGE = {"alexnet", "vgg16", "vgg19", "wide_resnet", "unet", "inception_resnet_v2"}
LARGE |= {f"resnet{depth}{version}" for depth in (50, 101, 152) for version in ("", "v2")}
ZOO = [pytest.param(p, marks=[pytest.mark.slow] if p.stem in LARGE else [], id=p.stem) for p in SPECS.glob("zoo/*.dag")]
NEEDY = {"transfer", "style", "dream", "filters", "clothing_features", "distill_student", "houses_average", "sliding"}
NEEDY |= {"houses_features", "houses_blocks"}
"""Cannot be run without a file of weights that does not come with us; transfer_scratch is transfer without it."""
REFUSED = {name: "ctc_greedy" for name in ("lprnet", "number_plates", "digit_strings")}
REFUSED |= {"gan": "random_normal", "vae": "random_normal"}
"""The layer that ONNX has no operator for: it decodes texts, draws numbers, or is like none of theirs."""

OTHERS = [pytest.param(p, id=p.stem) for p in SPECS.glob("*.dag") if p.stem not in NEEDY | REFUSED.keys()]
FREE = {"amplifier", "author_profile", "house_adverts", "question_answering", "siamese", "spoken_digits", "text_cnn"}
"""Lengths are free here. An ONNX file has them as a second input, which a spec cannot declare: it is refused."""

ANOTHER = {"gpt", "vit", "autoencoder", "textgenrnn", "blood_cells", "blood_cells_free"}
ANOTHER |= {"localisation", "landmarks", "faces"}
"""ONNX has no attention, no anchors and no `l2_normalize`: they go out as the arithmetic that they are, and come in as
that. And of a product or a picture whose last axis is 1 an importer need not know that it has this axis."""


@pytest.fixture(autouse=True)
def quick_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights, drawn from a short row again and again: 138 million normal numbers take seconds."""
    monkeypatch.setattr(weights, "initial", drawn)


POOL = np.random.default_rng(0).standard_normal(100_003).astype(np.float32)


def drawn(name: str, node: Node, seed: int) -> Array:
    """Kernels that keep the size of what flows, small biases, and averages that are no 0 and 1."""
    shape = node.types[0].bind({})
    start = len(name) * 7919 % 50_000
    noise = np.resize(POOL[start:], shape)
    if len(shape) > 1:
        return noise * np.float32(np.prod(shape[:-1])) ** -0.5
    last = name.rsplit("/", 1)[-1]
    if last == "variance":
        return 1 + 0.5 * np.abs(noise)
    return 0.5 + 0.1 * noise if last == "gamma" else 0.1 * noise


@pytest.mark.parametrize("path", [*ZOO, *OTHERS])
def test_onnxruntime_says_the_same_and_what_goes_out_comes_in_again(path: Path, tmp_path: Path) -> None:
    """In again isomorphic: the same operators of the same sizes on the same operands."""
    model = compile(path)
    file = export(exported(model.graph, model.executor.weights), tmp_path / "model.onnx")
    found = difference(file, model.graph, model.executor)
    assert found is not None and found < EQUAL
    graph = model.graph
    del model
    if path.stem not in FREE | ANOTHER:
        text = written(read(file, None)).text
        assert canonical(Model(Source("again.dag", text)).graph) == canonical(graph)
    file.unlink()


@pytest.mark.parametrize(("name", "layer"), REFUSED.items())
def test_what_onnx_has_no_operator_for_is_named(name: str, layer: str) -> None:
    model = compile(SPECS / f"{name}.dag")
    with pytest.raises(Failed, match=rf"E0901.*\({layer}\)"):
        exported(model.graph, model.executor.weights)


def is_weight(node: Node) -> bool:
    return isinstance(node.op, Weight)


def test_a_file_that_takes_channels_first_comes_in_again(tmp_path: Path) -> None:
    graph = compile(SPECS / "zoo" / "resnet20.dag").graph
    alike = {n: np.full(node.types[0].bind({}), 0.5, np.float32) for n, node in graph.items() if is_weight(node)}
    file = export(exported(graph, alike, nchw=True), tmp_path / "model.onnx")
    text = written(read(file, None)).text
    assert canonical(Model(Source("again.dag", text)).graph) == canonical(graph)
