"""The transformers we ship against the same networks in PyTorch: parameter counts by formula, twenty losses alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.backends import backend
from graphdsl.draw import summary_data
from graphdsl.ir import Array
from graphdsl.learn import OPTIMIZERS
from graphdsl.passes import apply, training
from graphdsl.runtime import Compiled, Executor
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"
STEPS, RATE = 20, 1e-3

Batches = Sequence[Mapping[str, Array]]
Net = Callable[[Any, dict[str, Any], Mapping[str, Any]], Any]
"""The loss of a batch in PyTorch, given the weights by name."""


def ours(spec: str, settings: Mapping[str, Any], batches: Batches) -> tuple[dict[str, Array], list[float]]:
    """The weights that training with adam begins with, and the loss of every step."""
    graph = graphdsl.compile(SPECS / f"{spec}.dag", settings).graph
    compiled = Compiled(apply(graph, training(OPTIMIZERS["adam"].make())), Executor(backend("cpu")), seed=3)
    weights = compiled.executor.weights
    begin = {name: weights[name].copy() for name in compiled.made if "/adam" not in name}
    losses = []
    for batch in batches:
        found = compiled.run({**batch, "train/rate": np.float32(RATE)})
        losses.append(float(found["loss/total"]))
    return begin, losses


def theirs(net: Net, weights: Mapping[str, Array], batches: Batches) -> list[float]:
    torch = pytest.importorskip("torch")
    parameters = {name: torch.tensor(array, requires_grad=True) for name, array in weights.items()}
    optimizer = torch.optim.Adam(parameters.values(), lr=RATE, eps=1e-7)
    losses = []
    for batch in batches:
        loss = net(torch.nn.functional, parameters, {n: torch.tensor(a) for n, a in batch.items()})
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def normed(f: Any, p: dict[str, Any], name: str, x: Any) -> Any:
    return f.layer_norm(x, x.shape[-1:], p[f"{name}/gamma"], p[f"{name}/beta"])


def dense(p: dict[str, Any], name: str, x: Any) -> Any:
    return x @ p[f"{name}/kernel"] + p[f"{name}/bias"]


def transformer(f: Any, p: dict[str, Any], name: str, x: Any, heads: int, causal: bool) -> Any:
    y = normed(f, p, f"{name}/attend_1/layer_norm_1", x)
    at = f"{name}/attend_1/attention_1"
    parts = [y @ p[f"{at}/{w}"] + p[f"{at}/{w}_bias"] for w in ("query", "key", "value")]
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in parts)
    seen = f.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
    x = x + seen @ p[f"{at}/output"] + p[f"{at}/output_bias"]
    y = normed(f, p, f"{name}/think_1/layer_norm_1", x)
    return x + dense(p, f"{name}/think_1/dense_2", f.gelu(dense(p, f"{name}/think_1/dense_1", y)))


def gpt(f: Any, p: dict[str, Any], batch: Mapping[str, Any]) -> Any:
    x = f.embedding(batch["text"].long(), p["said/embedding_1/table"]) + p["said/positions_1/table"]
    for layer in range(4):
        x = transformer(f, p, f"said/transformer_{layer + 1}", x, 4, True)
    scores = dense(p, "said/dense_1", normed(f, p, "said/layer_norm_1", x))
    return f.cross_entropy(scores.flatten(0, 1), batch["next"].long().flatten())


def vit(f: Any, p: dict[str, Any], batch: Mapping[str, Any]) -> Any:
    kernel = p["patches/conv_1/kernel"].permute(3, 2, 0, 1)
    x = f.conv2d(batch["image"].permute(0, 3, 1, 2), kernel, p["patches/conv_1/bias"], stride=4)
    x = x.flatten(2).transpose(1, 2) + p["class/positions_1/table"]
    for layer in range(6):
        x = transformer(f, p, f"class/transformer_{layer + 1}", x, 4, False)
    return f.cross_entropy(
        dense(p, "class/dense_1", normed(f, p, "class/layer_norm_1", x).mean(1)), batch["label"].long()
    )


def windows(text: Array, context: int, batch: int) -> Iterator[dict[str, Array]]:
    """Batches of stretches of a text and of the same, one letter on."""
    generator = np.random.default_rng(0)
    while True:
        starts = generator.integers(0, len(text) - context - 1, batch)[:, None] + np.arange(context)
        yield {"text": text[starts], "next": text[starts + 1]}


def taken(batches: Iterator[dict[str, Array]]) -> Batches:
    return [next(batches) for _ in range(STEPS)]


def shakespeare() -> Array:
    """The corpus as numbers of letters, in the order of their codes."""
    text = (DATA / "text/tinyshakespeare.txt").read_text()
    return np.unique(np.array([*text]), return_inverse=True)[1].astype(np.int32)


def letters_by_rule() -> Array:
    """A text of a rule, with exceptions."""
    generator = np.random.default_rng(1)
    return ((np.arange(20_000) * 7 // 3 + (generator.random(20_000) < 0.1) * 11) % 65).astype(np.int32)


def tiles() -> Iterator[dict[str, Array]]:
    from PIL import Image

    with Image.open(DATA / "cifar10/train_00.webp") as sheet:
        pixels = np.asarray(sheet.convert("RGB"), np.float32) / 255
    images = pixels.reshape(25, 32, 40, 32, 3).swapaxes(1, 2).reshape(1000, 32, 32, 3)
    labels = [int(line.split()[0]) for line in (DATA / "cifar10/train_00.txt").read_text().splitlines()]
    for first in range(0, 1000, 16):
        yield {"image": images[first : first + 16], "label": np.array(labels[first : first + 16], np.int32)}


def noisy_pictures() -> Iterator[dict[str, Array]]:
    """Pictures of one brightness with noise; the label is how bright."""
    generator = np.random.default_rng(2)
    while True:
        labels = generator.integers(0, 10, 16).astype(np.int32)
        noise = generator.random((16, 32, 32, 3), np.float32)
        yield {"image": labels.astype(np.float32)[:, None, None, None] / 10 + noise / 10, "label": labels}


def compare(spec: str, net: Net, batches: Batches, settings: Mapping[str, Any] | None = None) -> None:
    begin, found = ours(spec, settings or {}, batches)
    np.testing.assert_allclose(found, theirs(net, begin, batches), rtol=1e-4)
    assert found[-1] < found[0]


def test_gpt_loses_as_in_torch() -> None:
    compare("gpt", gpt, taken(windows(letters_by_rule(), 32, 4)), {"context": 32})


@needs("text")
def test_gpt_loses_as_in_torch_on_shakespeare() -> None:
    compare("gpt", gpt, taken(windows(shakespeare(), 128, 4)))


def test_vit_loses_as_in_torch() -> None:
    compare("vit", vit, taken(noisy_pictures()))


@needs("cifar10")
def test_vit_loses_as_in_torch_on_cifar() -> None:
    compare("vit", vit, taken(tiles()))


@pytest.mark.parametrize(("width", "layers", "context"), [(128, 4, 128), (64, 2, 32)])
def test_gpt_has_as_many_parameters_as_the_formula_says(width: int, layers: int, context: int) -> None:
    settings = {"width": width, "layers": layers, "context": context}
    found = summary_data(graphdsl.compile(SPECS / "gpt.dag", settings).graph)["parameters"]["trainable"]
    attention, thinking, norms = 4 * width * (width + 1), 8 * width * width + 5 * width, 4 * width
    ends = 66 * width + context * width + 2 * width + 66 * (width + 1)
    assert found == layers * (attention + thinking + norms) + ends


@pytest.mark.parametrize(("width", "layers", "patch"), [(96, 6, 4), (64, 3, 8)])
def test_vit_has_as_many_parameters_as_the_formula_says(width: int, layers: int, patch: int) -> None:
    settings = {"width": width, "layers": layers, "patch": patch}
    found = summary_data(graphdsl.compile(SPECS / "vit.dag", settings).graph)["parameters"]["trainable"]
    attention, thinking, norms = 4 * width * (width + 1), 8 * width * width + 5 * width, 4 * width
    ends = width * (3 * patch**2 + 1) + (32 // patch) ** 2 * width + 2 * width + 10 * (width + 1)
    assert found == layers * (attention + thinking + norms) + ends
