"""`graphdsl slide`, what the summary says of slid networks, and `evaluate` of a spec that trains nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli import main
from graphdsl.report import Failed

CROP = (
    "input image: float[16, 16, 1]\n"
    "output class = image -> conv(4, 3) -> relu -> max_pool(2) -> flatten -> dense(3) -> softmax\n"
)
SLID = """
input  picture: float[32, 48, 1]
target true_map: int(3)[9, 17]
output map = picture -> slide("crop.dag", weights="crop.safetensors", freeze=true)

predict {
  data    = npz("pictures.npz")
  metrics = [map, true_map] -> accuracy
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crop's network with weights, a spec that slides it, and pictures whose truth is what it says."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crop.dag").write_text(CROP)
    (tmp_path / "slid.dag").write_text(SLID)
    graphdsl.compile("crop.dag").save("crop.safetensors")
    x = np.random.default_rng(0).uniform(size=(3, 32, 48, 1)).astype(np.float32)
    said = graphdsl.compile("slid.dag").predict(x)["map"].argmax(-1)
    said[0, 0] = (said[0, 0] + 1) % 3
    np.savez("pictures.npz", picture=x, true_map=said)
    Image.fromarray((x[0, :, :, 0] * 255).astype(np.uint8)).save("street.png")
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    assert left.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("data", [[], ["street.png"]])
def test_one_pass_beside_crop_by_crop(folder: Path, capsys: pytest.CaptureFixture[str], data: list[str]) -> None:
    out = told(capsys, "slide", "slid.dag", *data)
    assert out.startswith("map/slide_1: 153 windows of 16x16, 2x2 apart, on 32x48\n")
    assert "crop by crop" in out and "times as fast; largest difference" in out


@pytest.mark.triggers("E0810")
def test_a_spec_that_slides_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        main(["slide", "crop.dag", "street.png", "--weights", "crop.safetensors"])
    assert "E0810" in capsys.readouterr().err


def test_for_programs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(told(capsys, "slide", "slid.dag", "--format", "json").splitlines()[-1])["slides"]
    assert found["windows"] == [9, 17] and found["largest_difference"] < 1e-5
    assert found["seconds"] > 0 < found["seconds_crop_by_crop"]


def test_the_summary_states_what_both_cost(folder: Path) -> None:
    """A conv of 3x3 over one channel : 2 * 9 FLOPs and a bias; relu and pool 1 a number; dense: a conv of 7x7."""
    parts = {"once": (30, 46, 15, 23), "crop": (14, 14, 7, 7)}
    work = {}
    for name, (high, wide, down, across) in parts.items():
        places = (down - 6) * (across - 6)
        work[name] = high * wide * 4 * (18 + 1 + 1 + 1) + places * 3 * (2 * 7 * 7 * 4 + 1 + 5)
    text = graphdsl.compile("slid.dag").summary()
    line = next(line for line in text.splitlines() if line.startswith("map/slide_1: "))
    apart = 153 * work["crop"]
    assert f"{work['once'] / 1e3:.3g} k FLOPs in one pass, {apart / 1e6:.3g} M crop by crop" in line
    assert line.endswith(f", {apart / work['once']:.3g} times as many")


def test_metrics_stand_in_one_section(folder: Path) -> None:
    (folder / "both.dag").write_text(SLID + "train {\n  loss = [map, true_map] -> categorical_crossentropy\n}\n")
    with pytest.raises(Failed, match=r"E0206.*a spec that trains nothing"):
        graphdsl.compile("both.dag")


def test_evaluate_by_a_predict_section(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """17 of 459 windows are not what the truth says."""
    assert told(capsys, "evaluate", "slid.dag").endswith(f"map.accuracy  {1 - 17 / 459:.4g}\n")
