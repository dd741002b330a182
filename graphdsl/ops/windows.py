"""What a slid network says of every window, and windows as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import lcm
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    BATCH,
    PROBABILITIES,
    PROBABILITY,
    BadSample,
    Builder,
    Constant,
    Graph,
    Input,
    Layer,
    ModalOperator,
    Node,
    OneOrMore,
    Place,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    Weight,
    Whole,
    layer,
    operator,
)
from graphdsl.ops.concat import Concat
from graphdsl.ops.detect import MOST_CELLS, candidates
from graphdsl.ops.elementwise import Elementwise
from graphdsl.ops.expression import Operand
from graphdsl.ops.reduce import broadcast_to
from graphdsl.ops.resize import LARGEST, resampled
from graphdsl.ops.shape import reshape
from graphdsl.ops.sliding import SLIDING, SPACE, Map, Slider, State, Still, flops_of, slid
from graphdsl.ops.taps import picked, tapped
from graphdsl.ops.window import Sizes, per_axis
from graphdsl.report import dataclass

PICTURE_AXES = 4
"""Samples, height, width, channels."""
Index = Annotated[int, Whole(0, 1_000_000)]


@operator("window_map")
@dataclass(frozen=True)
class WindowMap(ModalOperator):
    """x itself, known to be what a network says of every window of a picture: [batch, rows, columns, ...].

    crop      height and width of a window, as the network reads it
    picture   height and width of what the windows were slid over
    stride    how many of its pixels lie between two
    once      multiplications and additions of all windows in one pass
    crop_work of one window by itself
    """

    crop: Sizes
    picture: Sizes
    stride: Sizes
    once: int
    crop_work: int

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if x.shape[1:3] != self.windows:
            raise TypeRuleError(f"{self.windows} windows, got {x.describe()}", operand=0)
        return x

    @property
    def windows(self) -> Sizes:
        """How many there are, down and across."""
        return window_count(self.picture, self.crop, self.stride)

    @property
    def apart(self) -> int:
        """Multiplications and additions of all windows crop by crop."""
        down, across = self.windows
        return down * across * self.crop_work

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return inputs

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        return inputs

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [Sample(cls((4, 4), (8, 6), (2, 2), 10, 5), (np.linspace(0, 1, 18).reshape(1, 3, 2, 3),))]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return [BadSample(cls((4, 4), (8, 6), (2, 2), 10, 5), (TensorType((1, 2, 2, 3)),))]


def window_count(picture: Sizes, crop: Sizes, stride: Sizes) -> Sizes:
    """How many windows fit, down and across."""
    down, across = ((n - k) // s + 1 for n, k, s in zip(picture, crop, stride, strict=True))
    return down, across


class Unslidable(Exception):
    """A layer of the crop's network that no picture can replace. at: what it is; rule: why, and what to do."""

    def __init__(self, node: Node, rule: TypeRuleError) -> None:
        Exception.__init__(self, rule.message)
        self.node = node
        self.rule = rule


@dataclass(frozen=True)
class Crop:
    """A network that judges crops: its graph, what reads a crop, and the tensor that is wanted."""

    graph: Graph
    input: str
    result: Value

    @property
    def size(self) -> Sizes:
        """Height and width. Raises TypeRuleError where it reads no picture of a known size."""
        type = self.graph.node(self.input).types[0]
        sizes = [s for s in type.spatial if isinstance(s, int)] if type.rank == PICTURE_AXES else []
        if len(sizes) != len(SPACE) or not type.dtype.is_float:
            raise TypeRuleError(
                f"its input `{self.input}` is {type.describe()}, and a window is float[height, width, channels]",
                help="give the sizes numbers",
            )
        return sizes[0], sizes[1]

    @property
    def stride(self) -> Sizes:
        """How far apart windows are whose maps meet: what all strides together make."""
        steps: dict[str, Sizes] = {self.input: (1, 1)}
        for name, node in self.graph.items():
            before = [steps[v.node] for v in self.graph.operands(name) if v.node in steps]
            if before:
                own = node.op.stride if isinstance(node.op, SLIDING) and len(node.op.stride) == len(SPACE) else (1, 1)
                steps[name] = tuple(lcm(*(s[axis] for s in before)) * own[axis] for axis in range(len(SPACE)))
        down, across = (lcm(*(s[axis] for s in steps.values())) for axis in range(len(SPACE)))
        return down, across

    @property
    def work(self) -> int:
        """Multiplications and additions of one crop."""
        return sum(flops_of(n.op, self.graph.operands(name), self.graph.values(name)) for name, n in self.graph.items())


def slide(
    b: Builder,
    crop: Crop,
    picture: Value,
    *,
    stride: int | Sizes | None = None,
    window: int | Sizes | None = None,
    again: int = 0,
    reuse: bool = False,
) -> tuple[Value, Value]:
    """What crop says of every window of picture, in one pass: [rows, columns, ...]; and what it was slid over.

    stride  pixels between two windows, a multiple of what the network's own strides make, which is the default
    window  another size of windows: the picture is made so much smaller or larger that a crop covers as much of it
    again   how many times crop was slid before in the same place
    reuse   its weights exist already

    Raises TypeRuleError, and Unslidable where a layer of crop does not slide.
    """
    size, place = crop.size, b.place
    with b.within(replace(place, layer=_resizing(place.layer))):
        scaled = _scaled(b, _demand_picture(crop, picture), size, window)
    high, wide = scaled.type.spatial
    assert isinstance(high, int) and isinstance(wide, int)
    if high < size[0] or wide < size[1]:
        own = size if window is None else per_axis("windows", window, len(SPACE))
        over = [n for n in picture.type.spatial if isinstance(n, int)]
        raise TypeRuleError(
            f"a window of {own[0]}x{own[1]} is larger than what it is slid over, {over[0]}x{over[1]}",
            attribute="" if window is None else "windows",
            operand=0 if window is None else None,
            help=f"declare the picture at least {own[0]}x{own[1]}, or give smaller windows: `windows={min(over)}`",
        )
    step = _demand_stride(crop.stride, stride)
    s = Slider(b, window_count((high, wide), size, step), step)
    value = _Fold(crop, s, again, reuse or again > 0).value(scaled)
    return b.emit(WindowMap(size, (high, wide), step, s.work, crop.work), value, name="slide"), scaled


def _resizing(layer: Layer | None) -> Layer | None:
    """The layer that makes the picture smaller or larger before a layer that is slid over it."""
    if layer is None:
        return None
    shared = f"{layer.shared}/resize" if layer.shared else ""
    return replace(layer, path=f"{layer.path}/resize", kind="resize", settings="", shared=shared)


def _demand_picture(crop: Crop, picture: Value) -> Value:
    wanted, got = crop.graph.node(crop.input).types[0], picture.type
    if got.rank == PICTURE_AXES and not all(isinstance(size, int) for size in got.spatial):
        raise TypeRuleError(
            f"how many windows {got.describe()} has is known only at run time",
            code="E0401",
            operand=0,
            help="give height and width numbers in the input's type",
        )
    if got.rank != PICTURE_AXES or got.channels != wanted.channels or got.dtype != wanted.dtype:
        raise TypeRuleError(
            f"a window is {wanted.describe()}, and it is slid over a picture with as many channels, "
            f"not over {got.describe()}",
            operand=0,
        )
    return picture


def _scaled(b: Builder, picture: Value, crop: Sizes, window: int | Sizes | None) -> Value:
    """The picture in the size in which windows are as large as crops."""
    if window is None:
        return picture
    wanted = per_axis("windows", window, len(SPACE))
    for axis, own, want in zip(SPACE, crop, wanted, strict=True):
        before = picture.type.shape[axis]
        assert isinstance(before, int)
        after = max(1, round(before * own / want))
        if after > LARGEST:
            raise TypeRuleError(f"windows of {want} make the picture {after:,} places long", attribute="windows")
        picture = tapped(b, picture, axis, resampled(before, after), "resize")
    return picture


def _demand_stride(own: Sizes, stride: int | Sizes | None) -> Sizes:
    step = own if stride is None else per_axis("stride", stride, len(SPACE))
    if any(s % k for s, k in zip(step, own, strict=True)):
        above = -(-step[0] // own[0]) * own[0], -(-step[1] // own[1]) * own[1]
        raise TypeRuleError(
            f"the network's strides take windows {_times(own)} pixels apart, and {_times(step)} is no multiple of that",
            code="E0305",
            attribute="stride",
            help=f"write `stride={_times(above)}`, or leave it out for {_times(own)}",
        )
    return step


def _times(sizes: Sizes) -> str:
    return str(sizes[0]) if sizes[0] == sizes[1] else f"{sizes[0]}x{sizes[1]}"


class _Fold:
    """The crop's graph, node by node on the picture's side."""

    def __init__(self, crop: Crop, slider: Slider, again: int, reuse: bool) -> None:
        self.crop = crop
        self.s = slider
        self.again = again
        self.reuse = reuse

    def value(self, picture: Value) -> Value:
        """What the wanted tensor is: [batch, rows, columns, ...]."""
        graph, new = self.crop.graph, dict[str, tuple[State, ...]]()
        for name, node in graph.items():
            if name == self.crop.input:
                new[name] = (Map(picture, node.types[0], self.crop.size, (1, 1)),)
            else:
                place = Place(path=name.rpartition("/")[0], layer=self._layer(node.layer), spans=node.spans)
                with self.s.b.within(place):
                    new[name] = self._node(name, node, [new[v.node][v.port] for v in graph.operands(name)])
        found = new[self.crop.result.node][self.crop.result.port]
        assert not isinstance(found, Still), "it depends on the picture"
        return self.s.grid(found)

    def _node(self, name: str, node: Node, operands: list[State]) -> tuple[State, ...]:
        self.s.name = name
        if isinstance(node.op, Input):
            return (Still(self.s.b.input(name, node.types[0])),)
        if isinstance(node.op, Weight) and self.reuse:
            return (Still(self.s.b.value(name)),)
        try:
            return slid(node.op, self.s, operands, node.types)
        except TypeRuleError as error:
            raise Unslidable(node, error) from None

    def _layer(self, layer: Layer | None) -> Layer | None:
        """Of a further size of windows every layer is a further use."""
        if layer is None or not self.again:
            return layer
        return replace(layer, path=f"{layer.path}/{self.again + 1}", shared=layer.shared or layer.path)


# --- windows as boxes ------------------------------------------------------------------------------------------------


@layer()
def decode_windows(b: Builder, xs: OneOrMore, *, background: Index | None = None) -> Value:
    """Windows as boxes: what `slide` says of each of them, as candidates for `nms`.

    xs       maps as `slide` gives them, of one size of windows or of several: [rows, columns, classes], probabilities
    returns  [n, 5 + classes]: centre x, centre y, width and height as fractions of the picture, 1, and how probable
             each class is; row by row

    background  the class that is no object, counted from 0; it is no class of what comes out. None: all are objects

    E0303  xs do not come straight from `slide`, or are no probabilities
    E0301  maps of different classes
    E0305  the background is no class, or the only one
    E0405  more than 1,048,576 windows
    """
    maps = [_demand_map(b, x, place) for place, x in enumerate(xs)]
    counts = {x.type.channels for x in xs}
    if len(counts) > 1:
        raise TypeRuleError(f"maps of different classes: {' and '.join(map(str, counts))}", operand=1)
    total = xs[0].type.channels
    assert isinstance(total, int)
    if background is not None and (background >= total or total == 1):
        raise TypeRuleError(
            f"class {background} of {total} cannot be the background",
            code="E0305",
            attribute="background",
            help=f"classes are 0 to {total - 1}, and one is left" if total > 1 else "leave `background` out",
        )
    kept = [c for c in range(total) if c != background]
    parts = [_boxes(b, x, found, kept) for x, found in zip(xs, maps, strict=True)]
    joined = b.emit(Concat(1), *parts) if len(parts) > 1 else parts[0]
    return b.emit(Elementwise(Operand(0), 1, candidates(len(kept)), "candidates"), joined, name="candidates")


def _demand_map(b: Builder, x: Value, place: int) -> WindowMap:
    found = b.operation(x)
    if not isinstance(found, WindowMap) or x.type.rank != PICTURE_AXES:
        raise TypeRuleError(
            f"decode_windows reads what `slide` gives, got {x.type.describe()}",
            code="E0303",
            operand=place,
            help='write `picture -> slide("crop.dag") -> decode_windows`',
        )
    if x.type.kind not in (PROBABILITIES, PROBABILITY):
        raise TypeRuleError(
            "decode_windows reads probabilities",
            code="E0303",
            operand=place,
            help="let the network of the crop end in `softmax` or `sigmoid`",
        )
    if found.windows[0] * found.windows[1] > MOST_CELLS:
        message = f"{found.windows[0]}x{found.windows[1]} windows; at most {MOST_CELLS:,} become boxes"
        raise TypeRuleError(message, code="E0405", operand=place, help="take a larger `stride` in `slide`")
    return found


def _boxes(b: Builder, x: Value, found: WindowMap, kept: list[int]) -> Value:
    """[batch, n, 5 + classes]"""
    down, across = found.windows
    rows, columns = np.mgrid[:down, :across]
    (high, wide), crop = found.picture, found.crop
    place = [
        (columns * found.stride[1] + crop[1] / 2) / wide,
        (rows * found.stride[0] + crop[0] / 2) / high,
        np.full((down, across), crop[1] / wide),
        np.full((down, across), crop[0] / high),
        np.ones((down, across)),
    ]
    fixed = b.emit(Constant.array(np.stack(place, -1).astype(np.float32).reshape(1, -1, len(place))), name="windows")
    count = down * across
    kinds = picked(b, reshape(b, x, (BATCH, count, x.type.channels)), 2, kept)
    return b.emit(Concat(2), broadcast_to(b, fixed, (BATCH, count, len(place))), kinds)
