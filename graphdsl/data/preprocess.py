"""What is done to every picture before it enters the network, in training as in use: `preprocess` of a spec.

Steps are applied in the order in which they are written. Those that say where pixels are (`resize`, `crop`, `bgr` …)
work on the bytes of a picture, whatever its size. From the first step that changes numbers on (`subtract`, `scale`,
`normalize` …) they are float32:

    bytes 0..255 ── resize ── bgr ──┬── subtract ── divide ──> as they then stand
                                    ├── normalize ───────────> bytes count as 0..1 here
                                    └────────────────────────> 0..1, as without `preprocess`

Numbers that are no bytes are never scaled without being told. Changes at random (`augment`) come before the first step
that changes numbers, and see them as 0..1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import takewhile
from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.column import Array, Shape
from graphdsl.data.resample import by_four
from graphdsl.ir import Choice, Count, Natural, Number, Real, Registry, Size
from graphdsl.report import Failed, Span, dataclass, fail

STEPS = Registry("preprocess")

Mode = Annotated[str, Choice(("cover", "fit", "stretch"))]
Filter = Annotated[str, Choice(("bilinear", "nearest", "bicubic", "lanczos", "box", "opencv"))]
Byte = Annotated[float, Real(0.0, 255.0)]
MOST_PIXELS = 80_000_000
"""Of a picture, as it lies in a file and after each step."""

PLAIN = 1 / 255
"""What bytes are multiplied with where no step counts."""
LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in a grey picture, in parts of 65,536 (ITU-R 601), as Pillow has them."""


class Step(ABC):
    """One step. Concrete ones are frozen dataclasses whose fields are the settings.

    counts   it changes numbers, so bytes are floats from here on
    unit     what bytes are multiplied with where it is the first such step
    """

    counts: ClassVar[bool] = False
    unit: ClassVar[float] = 1.0

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """The batch [n, height, width, channels], or for steps that count [n, …, channels], after the step."""

    @abstractmethod
    def shape(self, shape: Shape) -> Shape:
        """The shape of a sample after the step; None for sizes that differ. Raises E0518 when it cannot be done."""


# --- where pixels are ------------------------------------------------------------------------------------------------


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
            raise _cannot(message, help)
        _demand(shape, self.bottom, self.right, f"`crop` cannot cut down to {self.bottom} x {self.right}")
        return self.bottom - self.top, self.right - self.left, shape[2]


@STEPS.register("bgr")
@dataclass(frozen=True)
class Bgr(Step):
    """Puts blue first and red last."""

    def apply(self, values: Array) -> Array:
        return values[..., ::-1]

    def shape(self, shape: Shape) -> Shape:
        _demand_colours(shape, "bgr")
        return shape


@STEPS.register("grey")
@dataclass(frozen=True)
class Grey(Step):
    """One channel of three: 0.299 red + 0.587 green + 0.114 blue. The network's input has one channel then."""

    def apply(self, values: Array) -> Array:
        if values.dtype == np.uint8:
            return ((values.astype(np.int32) @ np.array(LUMA, np.int32) + 0x8000) >> 16).astype(np.uint8)[..., None]
        return (values @ (np.array(LUMA, np.float32) / 65536))[..., None]

    def shape(self, shape: Shape) -> Shape:
        _demand_colours(shape, "grey")
        return (*shape[:-1], 1)


# --- numbers ---------------------------------------------------------------------------------------------------------


class Counting(Step):
    """A step that changes numbers: a formula on the last axis, for pictures as for vectors."""

    counts: ClassVar[bool] = True

    def _checked(self, shape: Shape, **given: tuple[float, ...]) -> Shape:
        """The shape, where it has as many channels as numbers are given."""
        channels = shape[-1] if shape else 1
        for name, numbers in given.items():
            if channels is not None and len(numbers) not in (1, channels):
                message = f"`{name}` has {len(numbers)} numbers; {_counted(channels)} at that point"
                raise _cannot(
                    message, "give one number" if channels == 1 else f"give {channels} numbers, or one for all"
                )
        return shape


@STEPS.register("scale")
@dataclass(frozen=True)
class Scale(Counting):
    """Multiplies: `scale(1/255)` makes bytes 0..1, `scale(1)` leaves them 0..255. One number, or one a channel."""

    by: tuple[Number, ...]

    def apply(self, values: Array) -> Array:
        return values * _numbers(self.by)

    def shape(self, shape: Shape) -> Shape:
        return self._checked(shape, scale=self.by)


@STEPS.register("subtract")
@dataclass(frozen=True)
class Subtract(Counting):
    """Takes off one number, or one a channel: of the first channel as it stands at that point first."""

    numbers: tuple[Number, ...]

    def apply(self, values: Array) -> Array:
        return values - _numbers(self.numbers)

    def shape(self, shape: Shape) -> Shape:
        return self._checked(shape, subtract=self.numbers)


@STEPS.register("divide")
@dataclass(frozen=True)
class Divide(Counting):
    """Divides by one number, or one a channel."""

    numbers: tuple[Number, ...]

    def apply(self, values: Array) -> Array:
        return values / _numbers(self.numbers)

    def shape(self, shape: Shape) -> Shape:
        if not all(self.numbers):
            raise _cannot("`divide` by 0", "give a divisor other than 0")
        return self._checked(shape, divide=self.numbers)


@STEPS.register("normalize")
@dataclass(frozen=True)
class Normalize(Counting):
    """Subtracts the mean and divides by the standard deviation. Bytes count as 0..1 here, as such numbers are told:
    `normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])`, and `normalize(0.5, 0.5)` makes -1..1.

    mean, std   one number, or one a channel
    """

    unit: ClassVar[float] = 1 / 255

    mean: tuple[Number, ...]
    std: tuple[Number, ...]

    def apply(self, values: Array) -> Array:
        return (values - _numbers(self.mean)) / _numbers(self.std)

    def shape(self, shape: Shape) -> Shape:
        if not all(self.std):
            raise _cannot("`normalize` divides by 0", "give a standard deviation, `std`, other than 0")
        return self._checked(shape, mean=self.mean, std=self.std)


@dataclass(frozen=True)
class Preprocess:
    """The steps for one input, and where the spec writes them."""

    steps: tuple[Step, ...] = ()
    span: Span | None = None

    @property
    def placing(self) -> tuple[Step, ...]:
        """The steps before the first that counts."""
        return tuple(takewhile(lambda step: not step.counts, self.steps))

    @property
    def counting(self) -> tuple[Step, ...]:
        """The steps from the first that counts on."""
        return self.steps[len(self.placing) :]

    @property
    def unit(self) -> float:
        """What bytes of pictures are multiplied with before the steps that count."""
        return self.counting[0].unit if self.counting else PLAIN

    def channels(self, wanted: int) -> int:
        """How many channels of a picture are read for a network that takes so many."""
        return 3 if any(isinstance(step, Bgr | Grey) for step in self.steps) else wanted


NO_STEPS = Preprocess()

# --- parts -----------------------------------------------------------------------------------------------------------


def applied(steps: tuple[Step, ...], values: Array) -> Array:
    """The batch after all steps."""
    for step in steps:
        values = step.apply(values)
    return values


def shaped(steps: tuple[Step, ...], shape: Shape) -> Shape:
    """The shape of a sample after all steps. Raises E0518: steps that move pixels need pictures."""
    for step in steps:
        if not step.counts and len(shape) != 3:
            message = "only pictures, `float[height, width, channels]`, can be scaled, cut or recoloured"
            raise _cannot(message, "leave the step out, or declare the input as a picture")
        shape = step.shape(shape)
    return shape


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


def _numbers(numbers: tuple[float, ...]) -> Array:
    return np.array(numbers, np.float32)


def _pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    if len(size) != 2:
        help = f"write `{'x'.join(map(str, size[:2]))}`, height x width: channels stay as they are"
        raise _cannot(f"a size of pictures needs two numbers, got {len(size)}", help)
    return size[0], size[1]


def _demand(shape: Shape, height: int, width: int, message: str) -> None:
    have = [side or 0 for side in shape[:2]]
    if None not in shape[:2] and (have[0] < height or have[1] < width):
        raise _cannot(f"{message} out of {have[0]} x {have[1]}", "cut less, or `resize` to more before it")


def _bound(height: int, width: int) -> None:
    if height * width > MOST_PIXELS:
        message = f"`resize` would make {height} x {width} pixels; at most {MOST_PIXELS:,} are accepted"
        raise _cannot(message, "give a smaller size")


def _demand_colours(shape: Shape, step: str) -> None:
    """Three channels; None where nobody knows yet."""
    channels = shape[-1]
    if channels not in (3, None):
        message = f"`{step}` needs three channels, {_counted(channels)} at that point"
        raise _cannot(message, f"leave `{step}` out" if channels == 1 else "give pictures of three channels")


def _counted(channels: int) -> str:
    """In words, for messages."""
    return "there is 1 channel" if channels == 1 else f"there are {channels} channels"


def _cannot(message: str, help: str) -> Failed:
    return fail("E0518", message, help=help)
