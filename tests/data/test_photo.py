"""Pictures as tensors of a spec."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl
from graphdsl.report import Failed

SPEC = """
weight canvas: float[{size}, 3] = photo("cat.png"{extra})
output y = canvas -> conv(2, 3)
train {{ loss = [y -> relu, y] -> mse  learn = canvas  steps = 1 }}
"""


def spec(folder: Path, size: str, extra: str = "") -> Path:
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[:, :4, 0] = 255
    Image.fromarray(pixels).save(folder / "cat.png")
    path = folder / "canvas.dag"
    path.write_text(SPEC.format(size=size, extra=extra))
    return path


def test_a_weight_begins_as_a_photo_beside_the_spec(tmp_path: Path) -> None:
    model = graphdsl.compile(spec(tmp_path, "6, 8"))
    canvas = model.executor.weights["canvas"]
    assert canvas.shape == (6, 8, 3)
    assert canvas[0, 0].tolist() == [1, 0, 0]
    assert canvas[0, 7].tolist() == [0, 0, 0]


def test_a_photo_takes_another_size(tmp_path: Path) -> None:
    assert graphdsl.compile(spec(tmp_path, "3, 4", ", size=3x4")).executor.weights["canvas"].shape == (3, 4, 3)


def test_a_photo_of_another_size_is_refused_where_it_is_written(tmp_path: Path) -> None:
    with pytest.raises(Failed) as refused:
        graphdsl.compile(spec(tmp_path, "6, 9"))
    (mistake,) = refused.value.diagnostics
    assert mistake.span is not None
    assert mistake.span.line == 2


def test_a_missing_photo_is_told_at_its_name(tmp_path: Path) -> None:
    path = spec(tmp_path, "6, 8")
    (tmp_path / "cat.png").unlink()
    with pytest.raises(Failed) as refused:
        graphdsl.compile(path)
    (mistake,) = refused.value.diagnostics
    assert mistake.code == "E0501"
    assert mistake.span is not None
