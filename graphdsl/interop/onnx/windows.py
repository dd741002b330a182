"""How windows slide over space: sizes, strides, paddings. ONNX has the channels first, we have them last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graphdsl.interop.onnx.elementwise import last
from graphdsl.interop.onnx.flow import NONE, Flow
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.report import dataclass

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Slide:
    """How a window slides, every setting written out for every axis. more: what rounding up adds behind the end."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: Pads
    more: tuple[int, ...]

    def only(self, axis: int) -> Slide:
        """The same along one axis."""
        size, stride, dilation = self.size[axis], self.stride[axis], self.dilation[axis]
        return Slide((size,), (stride,), (dilation,), (self.pads[axis],), (self.more[axis],))

    def out(self, spatial: Sequence[int]) -> tuple[int, ...]:
        parts = zip(spatial, self.size, self.stride, self.dilation, self.pads, self.more, strict=True)
        return tuple((n + lo + hi + more - (k - 1) * d - 1) // s + 1 for n, k, s, d, (lo, hi), more in parts)


def picture(sheet: Sheet, x: Flow) -> Flow:
    """x as our convolutions want it: channels last, the batch apart. Raises Mixed where the batch is elsewhere."""
    if x.rank < 3:
        raise sheet.refused(f"it slides over space, and {x.shape} has none")
    if x.batch == NONE:
        if x.shape[0] != 1:
            raise sheet.refused("it is read as part of one sample, whose batch must be 1")
        return sheet.arranged(x, last(x))
    if x.batch != 0:
        raise Mixed
    return sheet.arranged(x, last(x))


def slide_of(step: Step, x: Flow, size: Sequence[int]) -> Slide:
    """The attributes of a window, auto_pad and ceil_mode worked out."""
    axes = len(size)
    stride = tuple(step.get("strides", [1] * axes))
    dilation = tuple(step.get("dilations", [1] * axes))
    reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    auto = step.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(_same(n, r, s, auto) for n, r, s in zip(x.shape[2:], reach, stride, strict=True))
    else:
        given = list(step.get("pads", [0] * 2 * axes)) if auto == "NOTSET" else [0] * 2 * axes
        pads = tuple(zip(given[:axes], given[axes:], strict=True))
    parts = zip(x.shape[2:], reach, stride, pads, strict=True)
    more = tuple(_rounded(*part) if step.get("ceil_mode", 0) else 0 for part in parts)
    return Slide(tuple(int(k) for k in size), stride, dilation, pads, more)


def _same(size: int, reach: int, stride: int, auto: str) -> tuple[int, int]:
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return (total // 2, total - total // 2) if auto == "SAME_UPPER" else (total - total // 2, total // 2)


def _rounded(size: int, reach: int, stride: int, pad: tuple[int, int]) -> int:
    """What ceil_mode adds: enough for one more window, if that begins before the end."""
    room = size + sum(pad) - reach
    out = -(-room // stride) + 1
    if (out - 1) * stride >= size + pad[0]:
        out -= 1
    return max((out - 1) * stride - room, 0)


def short(value: Sequence[int]) -> Any:
    """3x3 is 3."""
    return value[0] if len(set(value)) == 1 else tuple(value)


def settings(slide: Slide, pool: bool = False) -> dict[str, Any]:
    """Stride and dilation, where they are not ours anyway."""
    usual = slide.size if pool else (1,) * len(slide.size)
    found: dict[str, Any] = {"stride": short(slide.stride)} if slide.stride != usual else {}
    return found | ({"dilation": short(slide.dilation)} if set(slide.dilation) != {1} else {})


def padding(sheet: Sheet, x: Flow, slide: Slide) -> Any:
    """Our pad setting for these numbers."""
    pads = slide.pads
    if not any(map(any, pads)):
        return "valid"
    if all(lo == hi for lo, hi in pads):
        return short([lo for lo, _ in pads])
    reach = [(k - 1) * d + 1 for k, d in zip(slide.size, slide.dilation, strict=True)]
    free = [n in sheet.reading.sizes.values() for n in x.shape[2:]]
    parts = list(zip(x.shape[2:], reach, slide.stride, strict=True))
    if pads == tuple(_same(*part, "SAME_UPPER") for part in parts) and not any(free):
        return "same"
    return [*(lo for lo, _ in pads), *(hi for _, hi in pads)]


def _filled(value: float) -> dict[str, Any]:
    return {"value": value} if value else {}


def padded(sheet: Sheet, x: Flow, slide: Slide, value: float = 0.0) -> tuple[Flow, Slide]:
    """x with its padding written as a layer, and the slide without."""
    start = tuple(lo for lo, _ in slide.pads)
    end = tuple(hi + more for (_, hi), more in zip(slide.pads, slide.more, strict=True))
    given: dict[str, Any] = {"start": short(start), "end": short(end)}
    name = sheet.then(x, "pad", **given, **_filled(value))
    sizes = tuple(n + lo + hi for n, lo, hi in zip(x.shape[2:], start, end, strict=True))
    plain = Slide(slide.size, slide.stride, slide.dilation, ((0, 0),) * len(start), (0,) * len(start))
    return replace(x, name=name, shape=(*x.shape[:2], *sizes), port=""), plain
