"""Detectors learn: with anchors and without, from pictures that are made here."""

from __future__ import annotations

from pathlib import Path

import pytest

import graphdsl
from tests.support.scenes import DETECTOR, scenes

HEADS = {"anchors": "detect(2, anchors=[12x12, 24x18])", "free": "detect_free(2)"}


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_rectangles_are_found(tmp_path: Path, head: str) -> None:
    """The loss falls to less than half within ninety steps, and some are found, where before there are none."""
    scenes(tmp_path, train=48, val=8)
    text = DETECTOR.replace(HEADS["anchors"], HEADS[head]).replace("epochs    = 10", "epochs    = 15")
    (tmp_path / "boxes.dag").write_text(text)
    model = graphdsl.compile(tmp_path / "boxes.dag")
    before = model.evaluate()
    after = model.fit(runs=None, shown=False).metrics["valid"]
    assert after["loss"] < 0.5 * before["loss"]
    assert before["found.map_50"] < 0.02 < after["found.map_50"]
