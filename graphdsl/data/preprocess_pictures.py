"""Steps of `preprocess` that say where pixels are. They work on the bytes of a picture, whatever its size."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.boxes import WHOLE, Part
from graphdsl.data.column import Array, Shape
from graphdsl.data.preprocess import MOST_PIXELS, STEPS, Step, cannot, counted
from graphdsl.data.resample import by_four
from graphdsl.ir import Choice, Count, Natural, Real, Size
from graphdsl.report import dataclass

Mode = Annotated[str, Choice(("cover", "fit", "stretch"))]
Filter = Annotated[str, Choice(("bilinear", "nearest", "bicubic", "lanczos", "box", "opencv"))]
Byte = Annotated[float, Real(0.0, 255.0)]
LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in a grey picture, in parts of 65,536 (ITU-R 601), as Pillow has them."""


@STEPS.register("resize")
@dataclass(frozen=True)
class Resize(Step):
    """Scales pictures to a size, `227` or `240x320` (height x width).

    mode     cover: scaled until it covers the size, then cut to it around its centre; fit: scaled until it fits in,
             with `fill` around it; stretch: both sides scaled by themselves
    filter   as Pillow has them: where pictures shrink, all pixels count; opencv: the nearest four, as OpenCV's default
    fill     the number around a picture that was fitted in
    """

    size: Size
    mode: Mode = "cover"
    filter: Filter = "bilinear"
    fill: Byte = 0.0

    def apply(self, values: Array) -> Array:
        height, width = _pair(self.size)
        have = values.shape[1:3]
        if self.mode == "stretch":
            return self._scaled(values, height, width)
        choose = max if self.mode == "cover" else min
        factor = choose(height / have[0], width / have[1])
        sides = [max(1, round(side * factor)) for side in have]
        scaled = self._scaled(values, sides[0], sides[1])
        return _cut(scaled, height, width) if self.mode == "cover" else self._filled(scaled, height, width)

    def shape(self, shape: Shape) -> Shape:
        _bound(*_pair(self.size))
        return (*_pair(self.size), shape[2])

    def part(self, height: int, width: int) -> Part:
        if self.mode == "stretch":
            return WHOLE
        wanted = _pair(self.size)
        choose = max if self.mode == "cover" else min
        factor = choose(wanted[0] / height, wanted[1] / width)
        (top, high), (left, wide) = (self._along(*side, factor) for side in zip(wanted, (height, width), strict=True))
        return left, top, wide, high

    def _along(self, seen: int, side: int, factor: float) -> tuple[float, float]:
        """Where what is seen begins along one side of the picture, and how long it is, as fractions of the side."""
        scaled = max(1, round(side * factor))
        before = (scaled - seen) // 2 if self.mode == "cover" else -((seen - scaled) // 2)
        return before / scaled, seen / scaled

    def _scaled(self, values: Array, height: int, width: int) -> Array:
        _bound(height, width)
        if values.shape[1:3] == (height, width):
            return values
        return np.stack([_scaled(picture, height, width, self.filter) for picture in values])

    def _filled(self, values: Array, height: int, width: int) -> Array:
        top, left = (height - values.shape[1]) // 2, (width - values.shape[2]) // 2
        whole = np.full((len(values), height, width, values.shape[3]), self.fill, values.dtype)
        whole[:, top : top + values.shape[1], left : left + values.shape[2]] = values
        return whole


@STEPS.register("center_crop")
@dataclass(frozen=True)
class CenterCrop(Step):
    """Cuts a part of this size, `224` or `24x32`, out of the centre."""

    size: Size

    def apply(self, values: Array) -> Array:
        height, width = _pair(self.size)
        self.shape(values.shape[1:])
        return _cut(values, height, width)

    def shape(self, shape: Shape) -> Shape:
        height, width = _pair(self.size)
        _demand(shape, height, width, f"`center_crop` cannot cut {height} x {width}")
        return height, width, shape[2]

    def part(self, height: int, width: int) -> Part:
        high, wide = _pair(self.size)
        return ((width - wide) // 2 / width, (height - high) // 2 / height, wide / width, high / height)


@STEPS.register("crop")
@dataclass(frozen=True)
class Crop(Step):
    """Cuts a part out of each picture: columns from left to below right, rows from top to below bottom."""

    left: Natural
    top: Natural
    right: Count
    bottom: Count

    def apply(self, values: Array) -> Array:
        self.shape(values.shape[1:])
        return values[:, self.top : self.bottom, self.left : self.right]

    def shape(self, shape: Shape) -> Shape:
        if self.right <= self.left or self.bottom <= self.top:
            message = f"`crop` from {self.left}, {self.top} to {self.right}, {self.bottom} leaves nothing"
            help = "`crop(left, top, right, bottom)`: right must be more than left, and bottom more than top"
            raise cannot(message, help)
        _demand(shape, self.bottom, self.right, f"`crop` cannot cut down to {self.bottom} x {self.right}")
        return self.bottom - self.top, self.right - self.left, shape[2]

    def part(self, height: int, width: int) -> Part:
        wide, high = self.right - self.left, self.bottom - self.top
        return self.left / width, self.top / height, wide / width, high / height


@STEPS.register("bgr")
@dataclass(frozen=True)
class Bgr(Step):
    """Puts blue first and red last."""

    coloured: ClassVar[bool] = True

    def apply(self, values: Array) -> Array:
        return values[..., ::-1]

    def shape(self, shape: Shape) -> Shape:
        _demand_colours(shape, "bgr")
        return shape


@STEPS.register("grey")
@dataclass(frozen=True)
class Grey(Step):
    """One channel of three: 0.299 red + 0.587 green + 0.114 blue. The network's input has one channel then."""

    coloured: ClassVar[bool] = True

    def apply(self, values: Array) -> Array:
        if values.dtype == np.uint8:
            return ((values.astype(np.int32) @ np.array(LUMA, np.int32) + 0x8000) >> 16).astype(np.uint8)[..., None]
        return (values @ (np.array(LUMA, np.float32) / 65536))[..., None]

    def shape(self, shape: Shape) -> Shape:
        _demand_colours(shape, "grey")
        return (*shape[:-1], 1)


# --- parts -----------------------------------------------------------------------------------------------------------


def _scaled(picture: Array, height: int, width: int, filter: str) -> Array:
    """A picture [height, width, channels] in another size, each channel by itself."""
    from PIL import Image

    if filter == "opencv":
        return by_four(picture, height, width)
    how = Image.Resampling[filter.upper()]
    whole = picture if picture.dtype == np.uint8 else picture.astype(np.float32)
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(whole, -1, 0)]
    return np.stack([np.asarray(channel.resize((width, height), how)) for channel in channels], axis=-1)


def _cut(values: Array, height: int, width: int) -> Array:
    top, left = (values.shape[1] - height) // 2, (values.shape[2] - width) // 2
    return values[:, top : top + height, left : left + width]


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        help = f"write `{'x'.join(map(str, size[:2]))}`, height x width: channels stay as they are"
        raise cannot(f"a size of pictures needs two numbers, got {len(size)}", help)
    return size[0], size[1]


def _demand(shape: Shape, height: int, width: int, message: str) -> None:
    have = [side or 0 for side in shape[:2]]
    if None not in shape[:2] and (have[0] < height or have[1] < width):
        raise cannot(f"{message} out of {have[0]} x {have[1]}", "cut less, or `resize` to more before it")


def _bound(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        message = f"`resize` would make {height} x {width} pixels; at most {MOST_PIXELS:,} are accepted"
        raise cannot(message, "give a smaller size")


def _demand_colours(shape: Shape, step: str) -> None:
    """Three channels; None where nobody knows yet."""
    channels = shape[-1]
    if channels not in (3, None):
        message = f"`{step}` needs three channels, {counted(channels)} at that point"
        raise cannot(message, f"leave `{step}` out" if channels == 1 else "give pictures of three channels")
