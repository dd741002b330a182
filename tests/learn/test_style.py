"""Style transfer with a small network: step by step what PyTorch does, and the photographs are looked at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.ir import Array
from graphdsl.model import Model
from graphdsl.ops import Conv, ConvInputGradient, ConvKernelGradient
from graphdsl.passes import apply, lower
from graphdsl.runtime import read_weights

SIZE, STEPS = 24, 5
NET = """
input image: float[24, 24, 3]
low    = image -> conv(6, 3, stride=2) -> relu
output high = low -> max_pool(2) -> conv(8, 3, pad=1) -> relu
"""
TEXT = """
block seen = in * 4 -> reverse(-1) -> normalize([2, 2.1, 2.2], 1.5)
shared eye = model("net.dag", weights="net.safetensors", freeze=true, outputs=[low, high])
weight canvas: float[24, 24, 3] = photo("content.png")
output picture = canvas
wanted = photo("content.png") -> seen -> model("net.dag", weights="net.safetensors", freeze=true, upto=high)
s1, s2 = photo("style.png") -> seen -> eye
c1, c2 = canvas -> seen -> eye
train {{
  content = [c2, wanted] -> mse(weight=2)
  low     = [c1 -> gram, s1 -> gram] -> mse(weight=3)
  high    = [c2 -> gram, s2 -> gram] -> mse
  rough   = canvas -> total_variation(weight=0.5)
  loss = [content, low, high, rough]
  learn = canvas
  optimizer = {optimizer}
  callbacks = pictures(canvas)
  steps = 5
}}
"""


def model(folder: Path, optimizer: str) -> Model:
    chance = np.random.default_rng(0)
    (folder / "net.dag").write_text(NET)
    graphdsl.compile(folder / "net.dag").save(folder / "net.safetensors")
    for name in ("content", "style"):
        rough = chance.integers(0, 256, (6, 6, 3)).astype(np.uint8)
        Image.fromarray(rough).resize((SIZE, SIZE)).save(folder / f"{name}.png")
    (folder / "style.dag").write_text(TEXT.format(optimizer=optimizer))
    return graphdsl.compile(folder / "style.dag")


def with_torch(weights: dict[str, Array], folder: Path, optimizer: str) -> tuple[list[float], Array]:
    """The loss before each step, and the canvas after the last."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def picture(name: str) -> Any:
        with Image.open(folder / f"{name}.png") as image:
            return torch.tensor(np.asarray(image, np.float32) / 255)

    def parts(name: str) -> tuple[Any, Any]:
        kernel, bias = weights[f"{name}/conv_1/kernel"], weights[f"{name}/conv_1/bias"]
        return torch.tensor(kernel).permute(3, 2, 0, 1), torch.tensor(bias)

    def eye(x: Any) -> tuple[Any, Any]:
        prepared = ((x * 4).flip(-1) - torch.tensor([2, 2.1, 2.2])) / 1.5
        first = functional.conv2d(prepared.permute(2, 0, 1)[None], *parts("low"), 2).relu()
        pooled = functional.max_pool2d(first, 2)
        return first, functional.conv2d(pooled, *parts("high"), padding=1).relu()

    def gram(x: Any) -> Any:
        rows = x[0].flatten(1)
        return rows @ rows.T / rows.shape[1]

    canvas = torch.nn.Parameter(picture("content"))
    (_, wanted), style = eye(picture("content")), eye(picture("style"))
    make = {"adam": lambda: torch.optim.Adam([canvas], lr=0.02, eps=1e-7)}
    make["lbfgs"] = lambda: torch.optim.LBFGS([canvas], lr=1.0, max_iter=1, history_size=10)
    stepper, losses = make[optimizer](), []

    def closure() -> Any:
        stepper.zero_grad()
        low, high = eye(canvas)
        mse = functional.mse_loss
        loss = 2 * mse(high, wanted.detach()) + 3 * mse(gram(low), gram(style[0]).detach())
        loss = loss + mse(gram(high), gram(style[1]).detach())
        loss = loss + 0.5 * (mse(canvas[1:], canvas[:-1]) + mse(canvas[:, 1:], canvas[:, :-1]))
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    for _ in range(STEPS):
        stepper.step(closure)
    return losses, canvas.detach().numpy()


@pytest.mark.parametrize(("name", "optimizer"), [("adam", "adam(lr=0.02)"), ("lbfgs", "lbfgs")])
def test_like_torch(tmp_path: Path, name: str, optimizer: str) -> None:
    """Every loss and the canvas after five steps."""
    made = model(tmp_path, optimizer)
    done = made.fit(runs=tmp_path / "runs", shown=False)
    canvas = made.executor.weights["canvas"]
    weights, _ = read_weights(tmp_path / "net.safetensors")
    losses, wanted = with_torch(weights, tmp_path, name)
    assert done.folder is not None
    rows = (done.folder / "metrics.csv").read_text().splitlines()
    column = rows[0].split(",").index("loss")
    np.testing.assert_allclose([float(r.split(",")[column]) for r in rows[1:]], losses, rtol=1e-4)
    np.testing.assert_allclose(canvas, wanted, rtol=1e-4, atol=1e-5)
    assert {"content.loss", "low.loss", "high.loss", "rough.loss"} <= set(rows[0].split(","))
    with Image.open(done.folder / "canvas_005.png") as picture:
        np.testing.assert_allclose(np.asarray(picture) / 255, np.clip(canvas, 0, 1), atol=0.003)


def test_photographs_are_looked_at_once(tmp_path: Path) -> None:
    """Of three passes through the network one is left in a step; frozen kernels have no gradient."""
    made = model(tmp_path, "adam")
    (objective,) = made.plans[0].objectives
    program = lower(apply(objective.graph(made.graph), objective.stages), {"batch": 1})
    kinds = [type(call.op) for call in program.calls[program.once :]]
    assert kinds.count(Conv) == 2
    assert kinds.count(ConvInputGradient) == 2
    assert ConvKernelGradient not in kinds
    assert [type(call.op) for call in program.calls[: program.once]].count(Conv) == 4
