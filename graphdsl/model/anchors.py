"""What a spec says of the boxes that it learns from: how large they are as the network sees them, and its heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from graphdsl.data import NO_STEPS, READERS, Boxes, Dataset, Images, Places, Wanted, read, views
from graphdsl.ir import Array
from graphdsl.lang import Spec
from graphdsl.model.model import Model
from graphdsl.model.steps import steps_of
from graphdsl.ops import Candidates
from graphdsl.report import Failed, dataclass, fail

DIGITS = 6
"""Behind the point of a pixel: what is left of 0.3 - 0.1 and 0.9 - 0.7 would make two sizes of one."""


@dataclass(frozen=True, eq=False)
class Sizes:
    """How large boxes are.

    sizes     [n, 2]: widths and heights in pixels of what the network sees
    pictures  how many there are
    seen      height and width of what the network sees
    """

    sizes: Array
    pictures: int
    seen: tuple[int, int]


@dataclass(frozen=True)
class Head:
    """A head of a detector: its name in the spec, its cells, and its anchors in pixels."""

    name: str
    rows: int
    columns: int
    anchors: tuple[tuple[float, float], ...]


def sizes_of(data: Dataset, seen: tuple[int, int]) -> Sizes:
    """The boxes of a dataset whose pictures are stretched to height and width. Raises E0815 where it has none."""
    boxes = next((column for column in data.columns.values() if isinstance(column, Boxes)), None)
    if boxes is None or not boxes.longest():
        raise fail("E0815", f"`{data.origin}` has no boxes to choose anchors by", help="give pictures with their boxes")
    rows = np.concatenate([row[:, 2:4] for row in boxes.rows if len(row)])
    sizes = np.maximum((rows * (seen[1], seen[0])).round(DIGITS), 10.0**-DIGITS)
    return Sizes(sizes, len(boxes), seen)


def sizes_learned(model: Model, bad: str | None = None) -> Sizes:
    """The boxes that the first section with data trains on, as `preprocess` leaves them.

    bad  what happens to bad boxes; None: what the spec says
    Raises E0815 where the spec reads no boxes, or they are not in pictures of one size, and what reading gives.
    """
    plan = next((plan for plan in model.plans if plan.data is not None), None)
    height, width, image = _picture(model.spec)
    if plan is None or plan.data is None:
        raise _none(model.spec, "it has no train section with data")
    knows = bad is not None and READERS[plan.data.name].setting("bad") is not None
    told = plan.data.settings | ({"bad": bad} if knows else {})
    feed = read(replace(plan.data, arguments=tuple(told.items())), Places(Path(model.spec.source.path).parent))
    boxes = next((c for c in feed.dataset.columns.values() if isinstance(c, Boxes)), None)
    paths = next((c.paths for c in feed.dataset.columns.values() if isinstance(c, Images)), ())
    if boxes is None or not paths:
        raise _none(model.spec, f"`{plan.data.name}` reads no pictures with boxes")
    parts = views(paths, image, steps_of(model.spec).get(image.name, NO_STEPS))
    rows = feed.parts(len(boxes), plan.seed)[0]
    return sizes_of(Dataset({"boxes": boxes.seen(parts).only(rows)}, origin=feed.dataset.origin), (height, width))


def heads_of(spec: Spec) -> list[Head]:
    """The heads with anchors, that with the fewest cells first."""
    height, width, _ = _picture(spec)
    named = {value.node: name for name, value in spec.names.items()}
    found = [(named.get(key, key), node.op) for key, node in spec.graph.items() if isinstance(node.op, Candidates)]
    heads = [
        Head(name, op.rows, op.columns, tuple((w * width, h * height) for w, h in op.anchors))
        for name, op in found
        if op.anchors
    ]
    return sorted(heads, key=lambda head: head.rows * head.columns)


def _picture(spec: Spec) -> tuple[int, int, Wanted]:
    """Height and width of the only picture that flows in, and what the spec wants of it."""
    ports = [port for port in spec.inputs.values() if port.type.rank == 4]
    sizes = [size for port in ports for size in port.type.spatial if isinstance(size, int)]
    if len(ports) != 1 or len(sizes) != 2:
        raise _none(spec, "there is not one input of pictures of one size")
    (port,) = ports
    return sizes[0], sizes[1], Wanted(port.name, "input", port.type, port.span)


def _none(spec: Spec, why: str) -> Failed:
    message = f"`{spec.source.title}` says nothing of boxes to choose anchors by: {why}"
    return fail("E0815", message, help="give the data themselves: `graphdsl anchors photos/ --size 240x320`")
