"""Anchors that suit the boxes of a dataset: k-means over how much shapes overlap.

Boxes are laid on each other by their corners, so only width and height count: 1 - intersection / union is the distance.
The usual one would let large boxes decide.

    count   1     2     3     4     5
    mean   .55   .70   .77   .80   .81     how well the best anchor of each box suits it: more anchors than pay are
                                           work for nothing

Source: Redmon and Farhadi 2016, "YOLO9000", section 2; the start: Arthur and Vassilvitskii 2007, "k-means++".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.data.column import Array
from graphdsl.report import dataclass, fail

MOST_BOXES = 100_000
"""Of more, so many are drawn by the seed: means of so many move by less than a pixel."""
STARTS = 8
ROUNDS = 300


@dataclass(frozen=True, eq=False)
class Anchors:
    """shapes [count, 2]: widths and heights, the smallest area first; mean: overlap of boxes with their best anchor."""

    shapes: Array
    mean: float


def chosen(sizes: Array, count: int, seed: int = 0) -> Anchors:
    """The best of several runs of k-means.

    sizes  [n, 2]: widths and heights of boxes, above 0
    Raises E0815 where sizes has fewer different rows than count.
    """
    generator = np.random.default_rng([seed, count])
    if len(sizes) > MOST_BOXES:
        sizes = sizes[generator.choice(len(sizes), MOST_BOXES, replace=False)]
    different = len(np.unique(sizes, axis=0))
    if different < count:
        what = f"{different} box{'es' if different != 1 else ''} of different size" if different else "no boxes"
        raise fail("E0815", f"{count} anchors are asked for, and there are {what}", help="ask for fewer: `--count`")
    runs = [_run(sizes, count, generator) for _ in range(STARTS)]
    best = max(runs, key=lambda run: run.mean)
    order = np.argsort(best.shapes.prod(axis=1), kind="stable")
    return Anchors(best.shapes[order], best.mean)


def suits(sizes: Array, shapes: Array) -> float:
    """The mean, over boxes, of the overlap with the anchor that suits each best."""
    return float(alike(sizes, shapes).max(axis=1).mean())


def alike(sizes: Array, shapes: Array) -> Array:
    """[n, count]: intersection / union of every box with every anchor, corner on corner."""
    common = np.minimum(sizes[:, None], shapes[None]).prod(axis=-1)
    return np.asarray(common / (sizes.prod(axis=-1)[:, None] + shapes.prod(axis=-1)[None] - common))


def shared_out(count: int, heads: int) -> list[int]:
    """How many of count anchors each head gets, the finest first: as equally as can be, the rest to the coarse ones."""
    each, rest = divmod(count, heads)
    return [each + (head >= heads - rest) for head in range(heads)]


def written(shapes: Array | Sequence[tuple[float, float]]) -> str:
    """As a spec has them: `[10x14, 23x27]`."""
    return "[" + ", ".join(f"{max(1, round(float(w)))}x{max(1, round(float(h)))}" for w, h in shapes) + "]"


def _run(sizes: Array, count: int, generator: np.random.Generator) -> Anchors:
    """One run: boxes go to the anchor that suits them best, anchors to the mean of their boxes, while that helps."""
    best = Anchors(_start(sizes, count, generator), -1.0)
    shapes = best.shapes
    for _ in range(ROUNDS):
        overlap = alike(sizes, shapes)
        mean = float(overlap.max(axis=1).mean())
        if mean <= best.mean:
            break
        best, own = Anchors(shapes, mean), overlap.argmax(axis=1)
        shapes = np.array([sizes[own == k].mean(axis=0) if (own == k).any() else shapes[k] for k in range(count)])
    return best


def _start(sizes: Array, count: int, generator: np.random.Generator) -> Array:
    """k-means++: a box at random, then boxes that no anchor suits yet, by the square of their distance."""
    shapes = sizes[[generator.integers(len(sizes))]]
    while len(shapes) < count:
        apart = np.maximum(1 - alike(sizes, shapes).max(axis=1), 0) ** 2
        drawn = generator.choice(len(sizes), p=apart / apart.sum())
        shapes = np.concatenate([shapes, sizes[[drawn]]])
    return np.asarray(shapes)
