"""`predict { … }`: a precision of its own for predictions, and files of weights as whole models."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.model import Model, marked
from graphdsl.report import Failed

SPEC = """
input x: float[12, 12, 32]
output y = x -> conv(32, 3) -> relu -> conv(32, 3)
"""


def model(folder: Path, sections: str) -> Model:
    (folder / "net.dag").write_text(SPEC + sections)
    return graphdsl.compile(folder / "net.dag", backend="cpu")


def test_predictions_have_a_precision_of_their_own(tmp_path: Path) -> None:
    """Plain sums are plain whatever else runs on the same weights: the bits of a model whose training is strict too."""
    x = np.random.default_rng(0).normal(size=(4, 12, 12, 32)).astype(np.float32)
    train = "train { loss = [y, y] -> mse  data = npz('no.npz') precision = strict }".replace("'", '"')
    target = "target t: float[8, 8, 32]\n"
    strict = model(tmp_path, target + train.replace("[y, y]", "[y, t]")).predict(x)["y"]
    mixed = model(tmp_path, "predict { precision = strict }").predict(x)["y"]
    assert np.array_equal(strict, mixed)


@pytest.mark.triggers("E0206")
def test_one_section_is_enough(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"net.dag:5:1: error\[E0206\]: `predict` is given twice"):
        model(tmp_path, "predict { precision = strict }\npredict { precision = float32 }")


def test_a_file_of_weights_is_compiled_with_its_weights(tmp_path: Path) -> None:
    x = np.ones((1, 12, 12, 32), np.float32)
    one = model(tmp_path, "")
    one.executor.weights.restore({name: one.executor.weights[name] + 1 for name in one.executor.weights})
    one.save(tmp_path / "one.safetensors")
    assert np.array_equal(
        graphdsl.compile(tmp_path / "one.safetensors", backend="cpu").predict(x)["y"], one.predict(x)["y"]
    )


def test_things_that_were_found_are_called_as_the_data_call_them(tmp_path: Path) -> None:
    """By the names of the classes of the target, in the pixels of each picture, and drawn on it."""
    Image = pytest.importorskip("PIL.Image")
    spec = """
input image: float[32, 32, 3]
target things: box(2)[4]
heads = image -> conv(8, 3, stride=8, pad=same) -> detect(2, anchors=[8x8])
output found = heads -> nms(score=0.01, max=3)
train { data = boxes("marked.csv")  loss = [heads, things] -> detection  epochs = 1 }
"""
    (tmp_path / "boxes.dag").write_text(spec)
    Image.new("RGB", (64, 64), (9, 99, 200)).save(tmp_path / "a.png")
    rows = ["image,left,top,right,bottom,label", "a.png,1,2,30,40,hen", "a.png,20,20,60,50,cow"]
    (tmp_path / "marked.csv").write_text("\n".join(rows))
    detector = graphdsl.compile(tmp_path / "boxes.dag")
    detector.fit(runs=None, shown=False)
    detector.save(tmp_path / "boxes.safetensors")
    again = graphdsl.compile(tmp_path / "boxes.safetensors")
    pixels = np.asarray(Image.open(tmp_path / "a.png"))[None, ::2, ::2]
    found = again.found(again.predict(pixels), files=[str(tmp_path / "a.png")])["found"][0]
    assert len(found) == 3 and {thing.label for thing in found} <= {"hen", "cow"}
    drawn = Image.open(io.BytesIO(marked(tmp_path / "a.png", found)))
    assert drawn.size == (256, 256) and len(drawn.getcolors()) > 1


@pytest.mark.triggers("E0604")
def test_weights_that_are_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both places are told, and the run that leaves such a file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "specs").mkdir()
    spec = "input x: float[2]\noutput y = x -> %s\n"
    (tmp_path / "specs/part.dag").write_text(spec % "dense(3)")
    for weights, wanted in (
        (
            "runs/part-1/weights.safetensors",
            r"tried `specs/runs/part-1/\S+` and `runs/part-1/\S+`(?s:.*)run specs/part.dag`",
        ),
        ("runs/other-1/weights.safetensors", "train it first by `graphdsl run`"),
        ("part.safetensors", "beside the spec or in the working directory"),
    ):
        (tmp_path / "specs/whole.dag").write_text(spec % f'model("part.dag", weights="{weights}")')
        with pytest.raises(Failed, match=rf"E0604(?s:.*){wanted}"):
            graphdsl.compile("specs/whole.dag").predict(np.zeros((1, 2)))
