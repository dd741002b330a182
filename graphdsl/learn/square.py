"""Charts of one part over another, both from 0 to 1, as one SVG: precision over recall, a ROC curve."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from graphdsl.ir import Array
from graphdsl.learn.curves import BOTTOM, HEIGHT, LEFT, STYLE, TOP, drawn_curve, tick
from graphdsl.learn.picture_files import PALETTE
from graphdsl.report import dataclass

PANEL, LEGEND, LINE = 330, 190, 15
"""Widths in an SVG of a chart and of what stands beside it; the height of a line of that."""
POINTS = 400
"""Of a curve that is drawn."""
DRAWN = 12
"""Curves of a chart that are drawn, the first ones."""


@dataclass(frozen=True, eq=False)
class Curve:
    """across, up: [points]. label: what stands beside the chart. number: of its colour, as classes have in pictures."""

    label: str
    across: Array
    up: Array
    number: int = 0


@dataclass(frozen=True)
class Square:
    """A chart: its title, what its axes count, its curves."""

    title: str
    across: str
    up: str
    curves: Sequence[Curve]


def squares(charts: Sequence[Square]) -> str:
    """The SVG text, chart below chart."""
    width, height = PANEL + LEGEND, HEIGHT * max(1, len(charts))
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    panels = [_panel(chart, HEIGHT * i) for i, chart in enumerate(charts)]
    back = '<rect class="bg" width="100%" height="100%"/>'
    return "\n".join([head, f"<style>{STYLE}</style>", back, *panels, "</svg>\n"])


def _panel(chart: Square, y: int) -> str:
    top, bottom, right = TOP, HEIGHT - BOTTOM, PANEL - 14
    parts = [f'<g transform="translate(0,{y})">', f'<text class="title" x="{LEFT}" y="20">{escape(chart.title)}</text>']
    for k in range(6):
        across, down = LEFT + (right - LEFT) * k / 5, bottom - (bottom - top) * k / 5
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{down:.1f}" y2="{down:.1f}"/>')
        parts += [tick(LEFT - 6, down + 4, "end", f"{k / 5:g}"), tick(across, bottom + 15, "middle", f"{k / 5:g}")]
    parts.append(tick((LEFT + right) / 2, HEIGHT - 4, "middle", chart.across))
    parts.append(f'<g transform="translate(14,{(top + bottom) / 2}) rotate(-90)">{tick(0, 0, "middle", chart.up)}</g>')
    shown = chart.curves[:DRAWN]
    for place, (curve, colour) in enumerate(zip(shown, _colours(shown), strict=True)):
        points = [(LEFT + (right - LEFT) * a, bottom - (bottom - top) * u) for a, u in _thinned(curve)]
        parts.append(drawn_curve(points, colour) if points else "")
        row = top + LINE * (place + 1)
        parts.append(f'<text x="{PANEL}" y="{row}" style="fill:{colour}">{escape(curve.label)}</text>')
    hidden = len(chart.curves) - DRAWN
    more = [tick(PANEL, top + LINE * (DRAWN + 1), "start", f"and {hidden} more classes")] if hidden > 0 else []
    return "".join([*parts, *more, "</g>"])


def _colours(curves: Sequence[Curve]) -> list[str]:
    """Each class has the colour of its boxes, or the next free one where an earlier curve has that already."""
    given: list[str] = []
    for curve in curves:
        own = curve.number % len(PALETTE)
        given.append(next(colour for colour in (*PALETTE[own:], *PALETTE[:own]) if colour not in given))
    return given


def _thinned(curve: Curve) -> list[tuple[float, float]]:
    places = thinned(len(curve.across), POINTS)
    return list(zip(curve.across[places].tolist(), curve.up[places].tolist(), strict=True))


def thinned(count: int, most: int) -> list[int]:
    """Places of at most so many of count points, evenly, with the first and the last."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []
