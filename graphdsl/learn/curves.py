"""Curves of a run as one SVG: losses first, then a panel for each metric, training and validation in one panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, isfinite, log10

from graphdsl.report import dataclass

WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 34
TRAIN, VALID = "#1f6feb", "#d1570a"
LEFT_OUT = frozenset({"epoch", "rate", "seconds", "section", "step"})

STYLE = """text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:13px}
.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke-width:2;stroke-linejoin:round}
.tick{font-size:11px;fill:#57606a}.bg{fill:#fff}
@media (prefers-color-scheme:dark){.bg{fill:#0d1117}text{fill:#e6edf3}.tick{fill:#8b949e}.grid{stroke:#30363d}}"""

Row = Mapping[str, object]
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One chart: its title and what is drawn in it, each curve with its name and colour."""

    title: str
    curves: tuple[tuple[str, str, tuple[tuple[float, float], ...]], ...]


def curves(rows: Sequence[Row], counted: str = "epoch") -> str:
    """The SVG text for the rows of metrics.csv, one row an epoch, numbered on through several sections.

    counted   what a row is, for what stands below the axis
    """
    panels = _panels(rows)
    columns = 2 if len(panels) > 1 else 1
    lines = max(1, -(-len(panels) // columns))
    width, height = columns * WIDTH, lines * HEIGHT
    drawn = [_panel(p, i % columns * WIDTH, i // columns * HEIGHT, counted) for i, p in enumerate(panels)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    return "\n".join(
        [head, f"<style>{STYLE}</style>", '<rect class="bg" width="100%" height="100%"/>', *drawn, "</svg>\n"]
    )


def _panels(rows: Sequence[Row]) -> list[Panel]:
    """A panel a name; `valid.loss` shares that of `loss`. Names without a finite number are left out."""
    names = list(dict.fromkeys(n.removeprefix("valid.") for row in rows for n in row if n not in LEFT_OUT))
    made = []
    for name in sorted(names, key=lambda n: (n != "loss", not n.endswith("loss"))):
        found = [("train", TRAIN, _points(rows, name)), ("valid", VALID, _points(rows, f"valid.{name}"))]
        kept = tuple((title, colour, tuple(points)) for title, colour, points in found if points)
        made += [Panel(name, kept)] if kept else []
    return made


def _points(rows: Sequence[Row], name: str) -> Points:
    values = [(float(i), row.get(name)) for i, row in enumerate(rows, 1)]
    return [(x, float(y)) for x, y in values if isinstance(y, int | float) and isfinite(y)]


def _panel(panel: Panel, x: int, y: int, counted: str) -> str:
    points = [p for _, _, curve in panel.curves for p in curve]
    low, high, step = _scale(min(v for _, v in points), max(v for _, v in points))
    first, last = min(e for e, _ in points), max(e for e, _ in points)

    def across(epoch: float) -> float:
        inner = WIDTH - LEFT - RIGHT
        return LEFT + inner * ((epoch - first) / (last - first) if last > first else 0.5)

    def down(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - low) / (high - low))

    parts = [
        f'<g transform="translate({x},{y})">',
        f'<text class="title" x="{LEFT}" y="20">{escape(panel.title)}</text>',
    ]
    for i in range(round((high - low) / step) + 1):
        value = low + i * step
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(value):.1f}" y2="{down(value):.1f}"/>'
        )
        parts.append(tick(LEFT - 6, down(value) + 4, "end", f"{value:.6g}"))
    for epoch in _ticks(first, last):
        parts.append(tick(across(epoch), HEIGHT - BOTTOM + 16, "middle", f"{epoch:g}"))
    parts.append(tick((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, "middle", counted))
    for i, (title, colour, curve) in enumerate(panel.curves):
        parts.append(drawn_curve([(across(e), down(v)) for e, v in curve], colour))
        label = f'<text x="{WIDTH - RIGHT - 44 * i}" y="20" text-anchor="end" style="fill:{colour}">{title}</text>'
        parts.append(label)
    return "".join([*parts, "</g>"])


def drawn_curve(points: Points, colour: str) -> str:
    """A line through these points; a dot where there is one."""
    if len(points) == 1:
        return f'<circle cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3" fill="{colour}"/>'
    return f'<polyline class="line" stroke="{colour}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def tick(x: float, y: float, anchor: str, text: str) -> str:
    """Small words at a place: of an axis."""
    return f'<text class="tick" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'


def _scale(low: float, high: float) -> tuple[float, float, float]:
    """Ends and step of an axis around [low, high]: the step is 1, 2 or 5 times a power of ten."""
    span = max(high - low, 1e-6 * max(abs(high), abs(low))) or 1.0
    power = 10.0 ** floor(log10(span / 4))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 5)
    bottom = floor(low / step) * step
    top = bottom
    while top < high or top == bottom:
        top += step
    return bottom, top, step


def _ticks(first: float, last: float) -> list[float]:
    """At most eight whole epochs: evenly spaced from the first, then the last in place of one that is too near."""
    step = max(1, -(-int(last - first) // 7))
    spaced = [first + i * step for i in range(int(last - first) // step + 1)]
    return [*(epoch for epoch in spaced if last - epoch > step / 2), last]
