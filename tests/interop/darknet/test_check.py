"""Imports that verify themselves: against OpenCV, on small nets with random weights and on real ones."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from graphdsl.cli import app
from graphdsl.interop.darknet import check
from tests.interop.darknet.oracle import Darknet
from tests.interop.darknet.test_numbers import CASES, conv, sec

cv2 = pytest.importorskip("cv2")

pytestmark = pytest.mark.skipif(
    not callable(getattr(cv2.dnn, "readNetFromDarknet", None)), reason="this OpenCV reads no Darknet files"
)

CFGS = {
    **{name: CASES[name] for name in ("normalised", "groups", "region", "routes", "reorg")},
    "classifier": conv(5) + sec("avgpool") + sec("softmax") + sec("cost", type="sse"),
    "pools": conv(5) + CASES["pools"],
    "yolo": conv(21, stride=2, activation="linear")
    + sec("yolo", classes=2, mask="0,1,2", num=3, anchors="3,4,5,6,7,9", scale_x_y=1.1),
}


@pytest.mark.parametrize("name", CFGS)
def test_small_nets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cfg = f"[net]\nheight=8\nwidth=12\nchannels=3\n{CFGS[name]}"
    numbers = np.random.default_rng(1).normal(0, 0.5, 20_000).astype(np.float32)
    oracle = Darknet(cfg, numbers)
    oracle.run(np.zeros((3, 8, 12)))
    Path("net.cfg").write_text(cfg)
    Path("net.weights").write_bytes(struct.pack("<3iq", 0, 2, 0, 0) + numbers[: oracle.at].tobytes())
    assert app.run(["import", "net.cfg", "--weights", "net.weights"]) == 0
    told = capsys.readouterr().out
    assert "against Darknet on random inputs: largest difference" in told
    assert float(told.split("largest difference ")[1].split()[0]) < 1e-4


def test_a_wrong_import_is_told(tmp_path: Path) -> None:
    """Other numbers than OpenCV's are a difference, and what OpenCV cannot read is none."""
    cfg = f"[net]\nheight=8\nwidth=12\nchannels=3\n{CFGS['yolo']}"
    count = 21 + 21 * 27
    (tmp_path / "net.cfg").write_text(cfg)
    weights = tmp_path / "net.weights"
    weights.write_bytes(struct.pack("<3iq", 0, 2, 0, 0) + np.ones(count, "<f4").tobytes())
    found = check(tmp_path / "net.cfg", weights, lambda x: {"yolo_1": np.zeros((1, 72, 7), np.float32)})
    assert found is not None and found > 0.1
    (tmp_path / "odd.cfg").write_text(cfg + sec("reorg3d", stride=2))
    assert check(tmp_path / "odd.cfg", weights, lambda x: {}) is None
