"""Sections at the end: softmax, dropout, cost, and the heads of detectors."""

from __future__ import annotations

import re
from typing import Any

from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section
from graphdsl.interop.darknet.convs import MOST

MOST_ANCHORS = 1000
JOINED = re.compile(r"\d\s+[\d.]")
"""`61,45    61,45`"""


def dropout(a: Assembly, s: Section) -> Made:
    """Dropout by the number. In use it is nothing."""
    if s.flag("dropblock"):
        raise s.refuse("dropblock: leaving out whole squares has no counterpart here", key="dropblock")
    x = a.last(s)
    rate = s.real("probability", 0.2)
    if not 0 <= rate < 1:
        raise s.refuse(f"a probability of {rate:g} is not below 1", key="probability", code="E0902")
    return Made(a.emit("dropout", x.tensor, rate=rate), *x.picture, flat=x.flat)


def softmax(a: Assembly, s: Section) -> Made:
    """Probabilities: over everything, over groups of numbers, or over the channels of each place (spatial=1)."""
    if s.has("tree"):
        raise s.refuse("tree: a softmax over a hierarchy of classes has no counterpart here", key="tree")
    x, groups = a.last(s), s.whole("groups", 1, 1, MOST)
    temperature = s.real("temperature", 1)
    if s.flag("spatial"):
        x = a.picture(s)
        return Made(a.emit("softmax", _cooled(a, x.tensor, temperature)), *x.picture)
    if x.count % groups:
        raise s.refuse(f"{groups} groups do not divide {x.count} numbers", key="groups", code="E0902")
    tensor = _cooled(a, a.vector(x), temperature)
    if groups > 1:
        tensor = a.emit("softmax", a.emit("reshape", tensor, shape=(groups, x.count // groups)))
        return Made(a.emit("flatten", tensor), *x.picture, flat=True)
    return Made(a.emit("softmax", tensor), *x.picture, flat=True)


def _cooled(a: Assembly, tensor: str, temperature: float) -> str:
    return tensor if temperature == 1 else a.emit("/", tensor, right=temperature)


def cost(a: Assembly, s: Section) -> Made:
    """A loss, which exists in training only: what flows in flows on."""
    name = s.text("type", "sse") if s.kind == "cost" else s.kind
    a.notes.append(f"{s.name}: the loss `{name}` in training.")
    return a.last(s)


def logistic(a: Assembly, s: Section) -> Made:
    """A sigmoid that is trained with cross-entropy (pjreddie)."""
    x = a.last(s)
    return Made(a.emit("sigmoid", x.tensor), *x.picture, flat=x.flat)


def l2norm(a: Assembly, s: Section) -> Made:
    """The channels of every place, divided by their length (pjreddie)."""
    x = a.last(s)
    return Made(a.emit("l2_normalize", x.tensor), *x.picture, flat=x.flat)


def empty(a: Assembly, s: Section) -> Made:
    """Nothing."""
    return a.last(s)


def yolo(a: Assembly, s: Section) -> Made:
    """YOLO v3 and v4: anchors in pixels, `mask` says which of them are meant."""
    if not s.flag("new_coords"):
        return _candidates(a, s, _masked(a, s), {})
    tensor = a.picture(s).tensor
    maker = next((layer for layer in a.layers if tensor in layer.outputs), None)
    if maker is None or maker.word != "sigmoid":
        raise s.refuse("new_coords reads numbers behind `activation=logistic`", key="new_coords")
    return _candidates(a, s, _masked(a, s), {"sizes": "square"})


def gaussian_yolo(a: Assembly, s: Section) -> Made:
    """YOLO v3 that also says how unsure it is of each coordinate."""
    if s.text("yolo_point", "center") != "center":
        raise s.refuse("yolo_point: boxes that are placed by a corner have no counterpart here", key="yolo_point")
    return _candidates(a, s, _masked(a, s), {"gaussian": True})


def _masked(a: Assembly, s: Section) -> list[Any]:
    """The anchors that the mask picks; where there are more than `num` says, Darknet reads beyond its memory."""
    anchors, count = _anchors(s), s.whole("num", 1, 1, MOST_ANCHORS)
    if JOINED.search(s.text("anchors")):
        a.notes.append(
            f"{s.name}: a comma is missing between anchors; Darknet reads both numbers as one, and this as two."
        )
    mask = s.wholes("mask", ",".join(map(str, range(count))), 0, MOST_ANCHORS)
    if max(mask, default=MOST_ANCHORS) >= len(anchors):
        raise s.refuse(f"mask {s.text('mask')} points beyond its {len(anchors)} anchors", key="mask", code="E0902")
    if max(mask) >= count:
        a.notes.append(f"{s.name}: num={count}, but {len(anchors)} anchors are listed and the mask needs them.")
    return [anchors[m] for m in mask]


def region(a: Assembly, s: Section) -> Made:
    """YOLO v2: anchors in cells, classes by softmax."""
    if s.has("tree"):
        raise s.refuse("tree: a softmax over a hierarchy of classes has no counterpart here", key="tree")
    if s.whole("coords", 4) != 4:
        raise s.refuse("coords: boxes of other than 4 numbers have no counterpart here", key="coords")
    x = a.picture(s)
    across, down = a.input.width / x.width, a.input.height / x.height
    anchors = [[round(w * across, 4), round(h * down, 4)] for w, h in _anchors(s)[: s.whole("num", 1)]]
    return _candidates(a, s, anchors, {"softmax": True} if s.flag("softmax") else {})


def _anchors(s: Section) -> list[Any]:
    """Pairs of width and height: sizes where they are whole numbers."""
    numbers, count = s.reals("anchors"), s.whole("num", 1, 1, MOST_ANCHORS)
    if not numbers:
        numbers = [0.5] * (2 * count)
    if len(numbers) < 2 * count or len(numbers) % 2:
        raise s.refuse(f"{len(numbers)} numbers for {count} anchors", key="anchors", code="E0902")
    pairs = list(zip(numbers[0::2], numbers[1::2], strict=True))
    if min(map(min, pairs)) <= 0:
        raise s.refuse("an anchor without width or height", key="anchors", code="E0902")
    whole = s.kind != "region" and all(v == int(v) for pair in pairs for v in pair)
    return [(int(w), int(h)) if whole else [w, h] for w, h in pairs]


def _candidates(a: Assembly, s: Section, anchors: list[Any], settings: dict[str, Any]) -> Made:
    x, classes = a.picture(s), s.whole("classes", 20, 1, MOST)
    wanted = len(anchors) * (classes + (9 if settings.get("gaussian") else 5))
    if x.channels != wanted:
        raise s.refuse(
            f"{len(anchors)} anchors and {classes} classes need {wanted} filters in the layer before, which has "
            f"{x.channels}",
            code="E0902",
        )
    scale = s.real("scale_x_y", 1)
    if scale != 1:
        settings["scale_xy"] = scale
    a.heads.append(a.emit("decode_boxes", x.tensor, classes=classes, anchors=anchors, **settings))
    return x


def detection(a: Assembly, s: Section) -> Made:
    """YOLO v1: a vector of class probabilities, confidences and boxes of every cell of a grid."""
    classes, count, side = (s.whole(k, d, 1, 10_000) for k, d in (("classes", 1), ("num", 1), ("side", 7)))
    if s.whole("coords", 1) != 4:
        raise s.refuse("coords: boxes of other than 4 numbers have no counterpart here", key="coords")
    x = a.last(s)
    cells = side * side
    if x.count != cells * (classes + 5 * count):
        wanted = cells * (classes + 5 * count)
        raise s.refuse(
            f"{x.count:,} numbers flow in; {side}x{side} cells of {count} boxes and {classes} classes are {wanted:,}",
            code="E0902",
        )
    settings: dict[str, Any] = {"softmax": True} if s.flag("softmax") else {}
    settings |= {"root": True} if s.flag("sqrt") else {}
    tensor = a.vector(x)
    a.heads.append(a.emit("decode_grid", tensor, classes=classes, boxes=count, side=side, **settings))
    return Made(tensor, *x.picture, flat=True)


def refused(why: str) -> Any:
    """A section that cannot be said."""

    def refuse(a: Assembly, s: Section) -> Made:
        raise s.refuse(why)

    return refuse
