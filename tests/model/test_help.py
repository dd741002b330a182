"""What messages say one should write instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.model.beginning import how_to_go_on
from graphdsl.report import Failed, Source, as_data, nearest

HEAD = """input image: float[8, 8, 3]
input tiny: float[6, 7, 3]
target label: int(3)
target pts: point[68]
"""
CROP = "input x: float[8, 8, 3]\noutput y = x -> conv(4, 3) -> relu -> max_pool(2) -> flatten -> dense(3) -> softmax"


@pytest.mark.parametrize(
    ("line", "help"),
    [
        ("a, b = image -> relu", "write `a = …`, or take it apart: `-> split(2)`"),
        ("a, b, c = [image, image]", "write `a, b = …`"),
        ("a, b = [image, image, image]", "give each a name: 3 before `=`, with commas between"),
        ('a = image -> slide("crop.dag", stride=3)', "write `stride=4`, or leave it out for 2"),
        ('a = image -> slide("crop.dag", stride=2x5)', "write `stride=2x6`, or leave it out for 2"),
        (
            'a = tiny -> slide("crop.dag")',
            "declare the picture at least 8x8, or give smaller windows: `windows=6`",
        ),
        (
            'a = image -> slide("crop.dag", windows=9)',
            "declare the picture at least 9x9, or give smaller windows: `windows=8`",
        ),
        ("train { data = npz() augment = [image, pts] -> flip(pairs=ibug) }", "did you mean `ibug68`?"),
        ("train { loss = [image, label] -> triplet(mining=semihard) }", "did you mean `semi_hard`?"),
    ],
)
def test_help(tmp_path: Path, line: str, help: str) -> None:
    (tmp_path / "crop.dag").write_text(CROP)
    with pytest.raises(Failed) as caught:
        graphdsl.Model(Source(str(tmp_path / "net.dag"), f"{HEAD}{line}\n"))
    assert help in [d.help for d in caught.value.diagnostics]


@pytest.mark.triggers("E0802")
def test_a_param_that_is_nearly_one_of_a_list() -> None:
    text = f'param mining = "hard" in ["hard", "semi_hard"]\n{HEAD}output y = image\n'
    with pytest.raises(Failed, match=r"E0802.*did you mean `semi_hard`"):
        graphdsl.Model(Source("net.dag", text), {"mining": "semihard"})


def test_beginnings_are_names_where_they_begin_one_only() -> None:
    assert nearest("ibug", ["ibug68", "other"]) == "ibug68"
    assert nearest("norm", ["normalize", "normalise"]) is None


@pytest.mark.triggers("E0515")
def test_too_few_classes_for_several_data(tmp_path: Path) -> None:
    """Those of the data that are learned from, validated and tested on are told at once."""
    for person in (1, 20, 25, 30):
        for shot in range(2):
            pixels = np.full((8, 8, 3), person + shot, np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"s{person}_{shot}.png")
    text = """input image: float[8, 8, 3]
target person: int(20)
output code = image -> flatten -> dense(4) -> l2_normalize
train {
  data  = files("s{person:1-20}_*.png", batch=4, each=2)
  valid = files("s{person:21-25}_*.png")
  test  = files("s{person:26-30}_*.png")
  loss  = [code, person] -> triplet
}
"""
    (tmp_path / "net.dag").write_text(text)
    with pytest.raises(Failed) as caught:
        graphdsl.compile(tmp_path / "net.dag").fit(runs=None, shown=False)
    told = [(d.code, d.help.partition(";")[0]) for d in caught.value.diagnostics]
    assert told == [("E0515", f"declare `int({count})`") for count in (21, 26, 31)]


@pytest.mark.triggers("E0501")
def test_places_in_a_spec_that_weights_hold(tmp_path: Path) -> None:
    """It is no file, so it is called what it is; likewise what it uses."""
    (tmp_path / "blocks.dag").write_text("block head(n) = in -> flatten -> dense(n) -> softmax")
    text = f'use "blocks.dag"\n{HEAD}output y = image -> head(3)\n'
    (tmp_path / "net.dag").write_text(
        text + 'train { data = npz("no.npz") loss = [y, label] -> categorical_crossentropy }'
    )
    model = graphdsl.compile(tmp_path / "net.dag")
    held = str(model.save(tmp_path / "some.safetensors"))
    with pytest.raises(Failed) as caught:
        graphdsl.compile(held).fit(runs=None, shown=False)
    (told,) = caught.value.diagnostics
    assert str(told.span) == f"the spec in {held}:7:16" and as_data(told)["path"] == f"the spec in {held}"
    assert how_to_go_on(graphdsl.compile(held).spec, {}, tmp_path, None).split()[2] == held
    inner = next(s for _, node in graphdsl.compile(held).graph.items() for s in node.spans if s.line == 1)
    assert str(inner) == f"blocks.dag in {held}:1:23"
