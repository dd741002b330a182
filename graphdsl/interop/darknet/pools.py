"""Sections that look at windows or move numbers: pools, upsample, reorg, crop."""

from __future__ import annotations

from typing import Any

from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section
from graphdsl.interop.darknet.convs import MOST, blurred


def maxpool(a: Assembly, s: Section) -> Made:
    """The largest of each window. Darknet's padding counts both sides together; windows begin padding // 2 before."""
    if s.flag("maxpool_depth"):
        raise s.refuse("maxpool_depth: a maximum over groups of channels has no counterpart here", key="maxpool_depth")
    if s.flag("maxpool_zero_nonmax"):
        raise s.refuse("maxpool_zero_nonmax has no counterpart here", key="maxpool_zero_nonmax")
    blur = s.whole("antialiasing", 0, 0, 2)
    made = _pool(a, s, "max_pool", one_step=bool(blur))
    return blurred(a, s, made, blur, _stride(s)) if blur else made


def local_avgpool(a: Assembly, s: Section) -> Made:
    """The mean of each window; padding does not count."""
    return _pool(a, s, "avg_pool")


def _stride(s: Section) -> tuple[int, int]:
    stride = s.whole("stride", 1, 1, MOST)
    return s.whole("stride_y", stride, 1, MOST), s.whole("stride_x", stride, 1, MOST)


def _pool(a: Assembly, s: Section, word: str, one_step: bool = False) -> Made:
    x = a.picture(s)
    size = s.whole("size", s.whole("stride", 1, 1, MOST), 1, MOST)
    stride = (1, 1) if one_step else _stride(s)
    padding = s.whole("padding", size - 1, 0, MOST)
    height, width = ((n + padding - size) // d + 1 for n, d in zip(x.picture, stride, strict=False))
    if min(height, width) < 1:
        raise s.refuse(
            f"a window of {size} is larger than the padded input of {x.height}x{x.width}", key="size", code="E0902"
        )
    if padding // 2 >= size:
        raise s.refuse(f"padding {padding} makes windows of {size} that see nothing", key="padding", code="E0902")
    settings = _pad(size, stride, padding, x)
    if stride != (size, size):
        settings["stride"] = stride[0] if stride[0] == stride[1] else stride
    return Made(a.emit(word, x.tensor, size=size, **settings), height, width, x.channels)


def _pad(size: int, stride: tuple[int, int], padding: int, x: Made) -> dict[str, Any]:
    """The pad setting whose windows stand where Darknet's stand."""
    before = padding // 2
    axes = list(zip(x.picture, stride, strict=False))
    if before == 0 and all(_behind(n, size, d, padding) <= 0 for n, d in axes):
        return {}
    if all((n + 2 * before - size) // d == (n + padding - size) // d for n, d in axes):
        return {"pad": before}
    behind = [max(_behind(n, size, d, padding), 0) for n, d in axes]
    if all(_same(n, size, d) == (before, after) for (n, d), after in zip(axes, behind, strict=True)):
        return {"pad": "same"}
    return {"pad": [before, before, *behind]}


def _behind(n: int, size: int, stride: int, padding: int) -> int:
    """How far the last window reads behind the end."""
    return (n + padding - size) // stride * stride + size - padding // 2 - n


def _same(n: int, size: int, stride: int) -> tuple[int, int]:
    total = max((-(-n // stride) - 1) * stride + size - n, 0)
    return total // 2, total - total // 2


def avgpool(a: Assembly, s: Section) -> Made:
    """The mean of every channel."""
    x = a.picture(s)
    return Made(a.emit("global_avg_pool", x.tensor), 1, 1, x.channels, flat=True)


def upsample(a: Assembly, s: Section) -> Made:
    """Every number repeated, and scaled if asked for."""
    x = a.picture(s)
    factor = s.whole("stride", 2, -MOST, MOST)
    if factor < 1:
        raise s.refuse(
            "a negative stride, which adds up what upsampling would repeat, has no counterpart here", key="stride"
        )
    scale = s.real("scale", 1)
    tensor = a.emit("upsample", x.tensor, factor=factor)
    if scale != 1:
        tensor = a.emit("*", tensor, right=scale)
    return Made(tensor, x.height * factor, x.width * factor, x.channels)


def reorg3d(a: Assembly, s: Section) -> Made:
    """AlexeyAB's: blocks of stride x stride places become channels, place by place."""
    if s.flag("reverse"):
        raise s.refuse(
            "reverse=1 reads its input as a tensor of another shape, which has no counterpart here", key="reverse"
        )
    x, stride = a.picture(s), s.whole("stride", 1, 1, MOST)
    height, width, channels = _smaller(s, x, stride)
    return Made(a.emit("space_to_depth", x.tensor, size=stride), height, width, channels)


def reorg(a: Assembly, s: Section) -> Made:
    """The older one reads its input as a picture of fewer channels and more places, whose blocks become channels."""
    if s.flag("extra"):
        return _extended(a, s)
    for key in ("reverse", "flatten"):
        if s.flag(key):
            raise s.refuse(f"{key}={s.text(key)} has no counterpart here", key=key)
    x, stride = a.picture(s), s.whole("stride", 1, 1, MOST)
    height, width, channels = _smaller(s, x, stride)
    if x.channels % (stride * stride):
        raise s.refuse(f"{x.channels} channels are not a multiple of {stride}x{stride}", key="stride", code="E0902")
    return Made(a.emit("reorg", x.tensor, size=stride), height, width, channels)


def _extended(a: Assembly, s: Section) -> Made:
    """`extra=1`: all numbers in Darknet's order, and as many zeros behind (pjreddie, for Go: the move that passes)."""
    x, extra = a.last(s), s.whole("extra", 0, 0, MOST)
    column = a.emit("reshape", a.vector(x), shape=(x.count, 1))
    longer = a.emit("pad", column, start=0, end=extra)
    return Made(a.emit("flatten", longer), 1, 1, x.count + extra, flat=True)


def _smaller(s: Section, x: Made, stride: int) -> tuple[int, int, int]:
    if x.height % stride or x.width % stride:
        raise s.refuse(
            f"{x.height}x{x.width} places are not a multiple of the stride {stride}", key="stride", code="E0902"
        )
    return x.height // stride, x.width // stride, x.channels * stride * stride


def crop(a: Assembly, s: Section) -> Made:
    """In use: the middle, from [0, 1] to [-1, 1] unless noadjust=1. In training: anywhere, flipped, other colours."""
    x = a.picture(s)
    height, width = s.whole("crop_height", 1, 1, x.height), s.whole("crop_width", 1, 1, x.width)
    tensor = x.tensor
    for axis, (whole, kept) in enumerate(((x.height, height), (x.width, width))):
        start = (whole - kept) // 2
        if kept < whole:
            tensor = a.emit("slice", tensor, start=start, end=start + kept, axis=axis)
    if not s.flag("noadjust"):
        tensor = a.emit("-", a.emit("*", tensor, right=2), right=1)
    a.notes.append(f"{s.name}: Darknet crops at random, flips and changes colours in training; here it is the middle.")
    return Made(tensor, height, width, x.channels)
