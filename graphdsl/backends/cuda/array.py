"""Arrays in a device's memory: where they begin, and what is there. Nothing here needs a GPU."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from graphdsl.report import dataclass


@dataclass(frozen=True)
class DeviceArray:
    """An array in row order.

    memory   what keeps the memory allocated
    address  of the first element
    """

    memory: Any
    address: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.nbytes

    def reshaped(self, *shape: int) -> DeviceArray:
        """The same elements in another shape."""
        assert prod(shape) == self.size
        return DeviceArray(self.memory, self.address, shape, self.dtype)


def all_of(dtype: str, *arrays: DeviceArray) -> bool:
    """Whether all arrays hold numbers of this type."""
    return all(a.dtype.name == dtype for a in arrays)
