"""Shapes with as few axes as possible."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod
from typing import Protocol

from graphdsl.report import dataclass


class Shaped(Protocol):
    """An array, wherever it lies."""

    @property
    def shape(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class Axes:
    """What is left of a shape that several arrays are stretched to.

    strides  for each array along each axis, in elements; 0 where it is stretched
    summed   for each axis whether it was among those that were named
    """

    shape: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]
    summed: tuple[bool, ...]


def coalesced(arrays: Sequence[Shaped], whole: tuple[int, ...], summed: Collection[int] = ()) -> Axes:
    """Neighbours that every array has, or lacks, together become one axis; two axes are left at least.

    [32, 28, 28, 8] + [8] is a table of 25088 rows and 8 columns. Axes that are summed over and others stay apart.
    """
    padded = [(1,) * (len(whole) - len(a.shape)) + a.shape for a in arrays]
    shape: list[int] = []
    kinds: list[tuple[bool, ...]] = []
    for axis, size in enumerate(whole):
        kind = (axis in summed, *(p[axis] != 1 for p in padded))
        if size == 1:
            continue
        if kinds and kinds[-1] == kind:
            shape[-1] *= size
        else:
            shape.append(size)
            kinds.append(kind)
    while len(shape) < 2:
        shape.insert(0, 1)
        kinds.insert(0, (False,) * (1 + len(arrays)))
    strides = tuple(_strides(shape, [k[1 + i] for k in kinds]) for i in range(len(arrays)))
    return Axes(tuple(shape), strides, tuple(k[0] for k in kinds))


def _strides(shape: Sequence[int], present: Sequence[bool]) -> tuple[int, ...]:
    own, step = [0] * len(shape), 1
    for axis in range(len(shape) - 1, -1, -1):
        if present[axis]:
            own[axis] = step
            step *= shape[axis]
    return tuple(own)


@dataclass(frozen=True)
class Lying:
    """How an operand lies in a table of rows and columns: element (r, c) is number

    (r / every) % period * row + c * column
    """

    row: int
    column: int
    every: int = 1
    period: int = 1


def lying_in(array: Shaped, whole: tuple[int, ...]) -> Lying | None:
    """How array lies where it is stretched to the shape whole, a table whose columns are the last axis.

    None where the axes before it that array has are no neighbours.
    """
    shape = (1,) * (len(whole) - len(array.shape)) + array.shape
    columns = shape[-1] if shape else 1
    if not whole:
        return Lying(0, 0)
    column = 0 if columns == 1 else 1
    if whole[-1] == 1:
        column = 1 if prod(whole) == prod(shape) else 0
    axes = [a for a, size in enumerate(shape[:-1]) if size != 1]
    if not axes:
        return Lying(0, column)
    inner = [a for a in range(axes[0], axes[-1] + 1) if whole[a] != 1]
    if axes != inner:
        return None
    every = prod(whole[axes[-1] + 1 : -1])
    return Lying(columns, column, every, prod(shape[:-1]))
