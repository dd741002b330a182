"""Steps of `preprocess` that change numbers: formulas on the last axis, for pictures as for vectors."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from graphdsl.data.column import Array, Shape
from graphdsl.data.preprocess import STEPS, Step, cannot, counted
from graphdsl.ir import Number
from graphdsl.report import dataclass


class Counting(Step):
    """A step that changes numbers: a formula on the last axis, for pictures as for vectors."""

    counts: ClassVar[bool] = True

    def _checked(self, shape: Shape, **given: tuple[float, ...]) -> Shape:
        """The shape, where it has as many channels as numbers are given."""
        channels = shape[-1] if shape else 1
        for name, numbers in given.items():
            if channels is not None and len(numbers) not in (1, channels):
                message = f"`{name}` has {len(numbers)} numbers; {counted(channels)} at that point"
                raise cannot(
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
            raise cannot("`divide` by 0", "give a divisor other than 0")
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
            raise cannot("`normalize` divides by 0", "give a standard deviation, `std`, other than 0")
        return self._checked(shape, mean=self.mean, std=self.std)


def _numbers(numbers: tuple[float, ...]) -> Array:
    return np.array(numbers, np.float32)
