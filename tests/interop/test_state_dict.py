"""Weights of PyTorch in specs that were written by hand: the same outputs as there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.interop import fitted, read_arrays
from graphdsl.ir import Array
from graphdsl.report import Failed

SPECS = Path(__file__).parents[2] / "specs"

PICTURE = """
input image: float[8, 8, 3]
output y = image -> conv(6, 3, pad=1, groups=3) -> batch_norm -> relu -> conv_transpose(4, 3, stride=2)
  -> depthwise_conv(3) -> flatten -> dropout(0.5) -> dense(7) -> layer_norm -> dense(2)
"""
READER = """
input text: int(20)[T]
output y = text -> embedding(5) -> lstm(4, sequence=true) -> gru(3) -> dense(2, bias=false)
"""


def picture_net(torch: Any) -> Any:
    nn = torch.nn
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, groups=3), nn.BatchNorm2d(6), nn.ReLU(), nn.ConvTranspose2d(6, 4, 3, stride=2),
        nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(4 * 15 * 15, 7), nn.LayerNorm(7), nn.Linear(7, 2),
    )  # fmt: skip


def reading_net(torch: Any) -> Any:
    class Reader(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.words = torch.nn.Embedding(20, 5)
            self.first = torch.nn.LSTM(5, 4, batch_first=True)
            self.second = torch.nn.GRU(4, 3, batch_first=True)
            self.out = torch.nn.Linear(3, 2, bias=False)

        def forward(self, x: Any) -> Any:
            return self.out(self.second(self.first(self.words(x))[0])[0][:, -1])

    return Reader()


def state(net: Any) -> dict[str, Array]:
    return {name: tensor.numpy() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("case", ["picture", "reader"])
def test_the_same_outputs(case: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    net = picture_net(torch) if case == "picture" else reading_net(torch)
    for name, tensor in net.state_dict().items():
        if "running" in name:
            tensor.uniform_(0.5, 2.0)
    random = np.random.default_rng(0)
    x = random.normal(size=(3, 8, 8, 3)).astype(np.float32) if case == "picture" else random.integers(0, 20, (3, 6))
    theirs = torch.tensor(np.moveaxis(x, -1, 1).copy() if case == "picture" else x)
    (tmp_path / "net.dag").write_text(PICTURE if case == "picture" else READER)
    np.savez(tmp_path / "state.npz", **state(net))
    code = app.run(
        [
            "import",
            str(tmp_path / "state.npz"),
            "--spec",
            str(tmp_path / "net.dag"),
            "-o",
            str(tmp_path / "w.safetensors"),
        ]
    )
    assert code == 0
    model = graphdsl.compile(tmp_path / "net.dag")
    assert not model.load(tmp_path / "w.safetensors").missing
    with torch.no_grad():
        expected = net.eval()(theirs).numpy()
    np.testing.assert_allclose(model.predict(x)["y"], expected, rtol=1e-4, atol=1e-5)


def test_what_is_left_over_is_told(tmp_path: Path) -> None:
    (tmp_path / "net.dag").write_text("input x: float[3]\noutput y = x -> dense(2)\n")
    graph = graphdsl.compile(tmp_path / "net.dag").graph
    fc = {"fc.weight": np.zeros((2, 3)), "fc.bias": np.zeros(2)}
    assert fitted(fc, graph, Path("w")).pairs == (("fc", "y/dense_1"),)
    with pytest.raises(Failed, match=r"E0903.*1 modules are left over: `more \[\[4\]\]`"):
        fitted({**fc, "more.weight": np.zeros(4)}, graph, Path("w"))
    with pytest.raises(Failed, match=r"E0903.*1 layers find no module that fits: `y/dense_1 \[\[3, 2\], \[2\]\]`"):
        fitted({"fc.weight": np.zeros((3, 3)), "fc.bias": np.zeros(3)}, graph, Path("w"))
    with pytest.raises(Failed, match=r"E0903"):
        fitted({"rnn.weight_ih_l0": np.zeros((3, 3)), "rnn.bias_ih_l0": np.zeros(3)}, graph, Path("w"))


@pytest.mark.triggers("E0902")
def test_objects_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", a=np.array([{}], dtype=object))
    with pytest.raises(Failed, match=r"E0902.*no .npz file of plain arrays"):
        read_arrays(tmp_path / "w.npz")
    (tmp_path / "w.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(Failed, match=r"E0902"):
        read_arrays(tmp_path / "w.npz")
