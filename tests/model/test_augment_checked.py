"""What is wrong with `augment` whatever the data are is found before there are any."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.report import Failed, Source

SPEC = """
input image: float[24, 32, 3]
input more: float[8]
target things: box(2)[4]
target marks: point[5]
target label: int(3)
preprocess = image -> resize(24x32)
heads = image -> conv(4, 3, stride=8, pad=same) -> detect(2, anchors=[8x8])
where = image -> conv(4, 3, stride=8, pad=same) -> flatten -> landmarks(5)
what  = [image -> flatten, more] -> concat -> dense(3) -> softmax
output found = heads -> nms
train {
  data    = voc("nowhere")
  augment = AUGMENT
  loss    = [LOSS]
}
"""
BOXES, POINTS, CLASS = (
    "[heads, things] -> detection",
    "[where, marks] -> mse",
    "[what, label] -> categorical_crossentropy",
)


def spec(augment: str, *losses: str) -> Source:
    return Source("net.dag", SPEC.replace("AUGMENT", augment).replace("LOSS", ", ".join(losses)))


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("augment", "loss", "line", "why"),
    [
        ("image -> flip", BOXES, 4, r"moves things in input `image`.*`\[image, things\] -> flip`"),
        ("things -> flip", BOXES, 4, "moves target `things` and no picture"),
        ("[image, marks] -> flip", POINTS, 5, "nothing says which points change places"),
        ("[image, marks] -> mosaic", POINTS, 5, "one picture of four"),
        ("image -> random_crop(40)", CLASS, 14, "cannot cut 40 x 40 out of 24 x 32"),
        ("image -> normalize(mean=[1, 2])", CLASS, 14, "2 numbers for `mean`"),
        ("more -> flip", CLASS, 14, r"input `more` is float\[8\].*only pictures"),
        ("label -> flip", CLASS, 14, "target `label` is .*only pictures"),
        ("more -> flip", BOXES, 14, "no input `more` to augment"),
    ],
)
def test_without_data(augment: str, loss: str, line: int, why: str) -> None:
    with pytest.raises(Failed, match=f"E0518.*{why}") as caught:
        graphdsl.Model(spec(augment, loss))
    span = caught.value.diagnostics[0].span
    assert span is not None and span.line == line


def test_all_at_once() -> None:
    with pytest.raises(Failed) as caught:
        graphdsl.Model(spec("[image -> random_crop(40), more -> flip, [image, things] -> flip]", BOXES, CLASS))
    assert len(caught.value.diagnostics) == 3


def test_each_at_its_own_recipe() -> None:
    """The one that says what cannot be, not the first; of several for one input that which cannot follow the others."""
    recipes = ["image -> flip", "more -> flip", "image -> random_crop(20)", "image -> random_crop(22)", "marks -> flip"]
    with pytest.raises(Failed) as caught:
        graphdsl.Model(spec(f"[{', '.join(recipes)}]", CLASS))
    underlined = {d.span.text if d.span else "" for d in caught.value.diagnostics}
    assert underlined == {"more -> flip", "image -> random_crop(22)", "marks -> flip"}


@pytest.mark.parametrize(
    ("augment", "loss"),
    [
        ("[image, things] -> mosaic -> flip -> zoom", BOXES),
        ("[image, marks] -> flip(pairs=[[0, 1]])", POINTS),
        ("image -> brightness(0.2)", BOXES),
        ("image -> random_crop(20) -> flip", CLASS),
    ],
)
def test_what_is_fine(augment: str, loss: str) -> None:
    graphdsl.Model(spec(augment, loss))


def test_check_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.dag").write_text(spec("image -> flip", BOXES).text)
    assert app.run(["check", str(tmp_path / "net.dag")]) == 1
    assert "E0518" in capsys.readouterr().err
