"""Pictures with what was found in them: where they go, and where not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.cli import app

DETECTOR = """
input image: float[16, 16, 3]
output found = image -> conv(4, 3, stride=8, pad=same) -> detect(2, anchors=[8x8]) -> nms(score=0.001)
"""
VERIFIER = """
input  x: float[4]
target person: int(3)
output code = x -> dense(SIZE) -> l2_normalize
train {
  data    = csv("people.csv")
  loss    = [code, person] -> triplet(mining=all)
  metrics = METRICS
  epochs  = 1
}
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    for name in "ab":
        Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(f"photos/{name}.png")
    Path("net.dag").write_text(DETECTOR)
    graphdsl.compile("net.dag").save("net.safetensors")
    return tmp_path


def test_a_folder_or_one_picture_for_one(photos: Path) -> None:
    assert app.run(["predict", "net.safetensors", "photos", "-o", "found/"]) == 0
    assert sorted(path.name for path in Path("found").iterdir()) == ["a.png", "b.png"]
    assert app.run(["predict", "net.safetensors", "photos/a.png", "-o", "one.png"]) == 0
    assert Path("one.png").read_bytes() == Path("found/a.png").read_bytes()


def test_several_pictures_do_not_go_into_one(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["predict", "net.safetensors", "photos", "-o", "found.png"]) == 1
    said = capsys.readouterr().err
    assert "E0519" in said and "2 pictures do not go into `found.png`" in said and "`-o found/`" in said
    assert app.run(["predict", "net.safetensors", "photos/a.png", "-o", "found.jpg"]) == 1
    assert "`-o found/` draws boxes" in capsys.readouterr().err


@pytest.mark.parametrize(("data", "output"), [("photos", "photos"), ("photos/a.png", "photos/../photos/a.png")])
def test_no_photograph_is_painted_over(
    photos: Path, capsys: pytest.CaptureFixture[str], data: str, output: str
) -> None:
    before = Path("photos/a.png").read_bytes()
    assert app.run(["predict", "net.safetensors", data, "-o", output]) == 1
    assert "would be painted over" in capsys.readouterr().err
    assert Path("photos/a.png").read_bytes() == before


@pytest.mark.parametrize("size", [2, 3, 8])
def test_an_embedding_is_no_score_of_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    """Also where it has as many numbers as there are classes and a metric of pairs says what it is."""
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},{i % 5},{i % 7},1,{['ada', 'bob', 'eve'][i % 3]}" for i in range(12)]
    Path("people.csv").write_text("\n".join(["x_0,x_1,x_2,x_3,person", *rows]))
    Path("net.dag").write_text(VERIFIER.replace("SIZE", str(size)).replace("METRICS", "[code, person] -> tar"))
    assert app.run(["run", "net.dag"]) == 0
    np.savez("new.npz", x=np.ones((1, 4), np.float32))
    capsys.readouterr()
    assert app.run(["predict", "net.dag", "new.npz"]) == 0
    said = capsys.readouterr().out
    assert "code" in said and not any(name in said for name in ("ada", "bob", "eve", "class"))
