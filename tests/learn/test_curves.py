"""The picture of a run: well-formed, complete, and never stuck."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from graphdsl.learn import curves
from graphdsl.learn.curves import BOTTOM, HEIGHT

SVG = "{http://www.w3.org/2000/svg}"


def drawn(rows: list[dict[str, object]]) -> ElementTree.Element:
    return ElementTree.fromstring(curves(rows))


def titles(picture: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in picture.iter(f"{SVG}text") if e.get("class") == "title"]


def test_a_panel_a_number_losses_first() -> None:
    row: dict[str, object] = {
        "section": "train",
        "epoch": 1,
        "a.accuracy": 0.5,
        "loss": 2.0,
        "valid.loss": 2.1,
        "a.loss": 1,
    }
    picture = drawn([row, row])
    assert titles(picture) == ["loss", "a.loss", "a.accuracy"]
    assert len(list(picture.iter(f"{SVG}polyline"))) == 4


def test_one_epoch_is_a_dot() -> None:
    assert len(list(drawn([{"loss": 2.0}]).iter(f"{SVG}circle"))) == 1


def test_names_are_text() -> None:
    assert titles(drawn([{"<b>.mse": 2.0}])) == ["<b>.mse"]


@pytest.mark.parametrize(
    "values", [(1e16, 1e16 + 2), (0.0, 0.0), (-1e-30, 1e-30), (1e300, -1e300), (5.0, float("nan"))]
)
def test_any_numbers(values: tuple[float, float]) -> None:
    drawn([{"loss": v} for v in values])


def test_no_epoch_at_all() -> None:
    assert titles(drawn([])) == []


def test_the_last_tick_is_the_last_epoch() -> None:
    for epochs in (1, 2, 9, 10, 14, 30):
        text = curves([{"loss": 1 / i} for i in range(1, epochs + 1)])
        ticks = re.findall(rf'y="{HEIGHT - BOTTOM + 16:.1f}" text-anchor="middle">(\d+)</text>', text)
        assert ticks[-1] == str(epochs)
        assert len(ticks) <= 8
