"""Blocks that are found again: texts that read as people write them, and the same numbers as without blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.interop import Net, Written, blocks, written
from graphdsl.ir import Array, Role
from graphdsl.lang import Vocabulary, elaborate
from graphdsl.passes import apply, inference
from graphdsl.report import Source
from graphdsl.runtime import Compiled, Executor
from tests.support.nets import NETS, Steps


def outputs(made: Written, shape: tuple[int, ...]) -> Mapping[str, Array]:
    """What the text with its weights makes of some pictures."""
    graph = elaborate(Source("net.dag", made.text), Vocabulary.of()).graph
    graph = graph.with_results(graph.of_role(Role.OUTPUT))
    executor = Executor(backend("reference"))
    compiled = Compiled(apply(graph, inference()), executor)
    executor.weights.restore(dict(made.weights))
    return compiled.run({"data": np.random.default_rng(1).normal(size=(2, *shape)).astype(np.float32)})


@pytest.mark.parametrize("name", NETS)
def test_texts(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"interop/{name}.dag", written(NETS[name]).text)


@pytest.mark.parametrize("name", NETS)
def test_blocks_change_no_number(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    side = int(NETS[name].inputs[0].type.split(",")[1])
    with_blocks = written(NETS[name])
    monkeypatch.setattr(blocks, "LEAST_SAVED", 10**9)
    without = written(NETS[name])
    assert "block" in with_blocks.text
    assert "block" not in without.text
    assert len(with_blocks.weights) == len(without.weights) == sum(len(la.weights) for la in NETS[name].layers)
    expected = outputs(without, (side, side, 3))
    for key, array in outputs(with_blocks, (side, side, 3)).items():
        np.testing.assert_allclose(array, expected[key], rtol=1e-5, atol=1e-7)


def text_of(b: Steps, *results: str) -> str:
    made = Net("", b.net(8).inputs, tuple(b.layers), tuple((f"y{i}", t) for i, t in enumerate(results)))
    return written(made).text


def test_a_tensor_that_is_read_elsewhere_stays_outside() -> None:
    b, x = Steps(), "data"
    inner = []
    for _ in range(4):
        inner.append(b("conv", x, filters=4, size=3, pad=1))
        x = b("tanh", inner[-1])
    assert "block" in text_of(b, x)
    assert "block" not in text_of(b, x, *inner)


def test_what_differs_in_more_than_settings_is_not_alike() -> None:
    b, x = Steps(), "data"
    for activation in ("relu", "tanh", "sigmoid", "softplus"):
        x = b(activation, b("conv", x, filters=4, size=3, pad=1))
    assert "block" not in text_of(b, x)


def test_operands_keep_their_order() -> None:
    b, x = Steps(), "data"
    for i in range(12):
        y = b("conv", b("relu", b("conv", x, filters=5, size=3, pad=1)), filters=3, size=1)
        x = b("-", x, y) if i % 2 else b("-", y, x)
    text = text_of(b, x)
    assert "stem   = body - in" in text
    assert "out    = stem - body_2" in text
