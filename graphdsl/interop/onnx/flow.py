"""Tensors while a graph is read: which of our axes is which of ONNX's.

ONNX says [batch, channels, height, width], we say [height, width, channels]. Nothing is moved for that: every tensor
knows its order. `order=(2, 3, 1)` says that our first axis is ONNX's axis 2. The batch axis is not among them. Nor need
axes of size 1 be: [batch, 64, 1, 1] may be ours as [64], so squeezing is free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from math import prod

from graphdsl.ir import Array
from graphdsl.report import dataclass

NONE = -1
"""The batch axis of a tensor when the whole graph is read as one sample."""


@dataclass(frozen=True)
class Mix:
    """Features that ONNX has in another order: they are those of axes of these sizes, which ours has in `order`."""

    sizes: tuple[int, ...]
    order: tuple[int, ...]


@dataclass(frozen=True)
class Flow:
    """A tensor that depends on the input.

    name     ours
    shape    ONNX's, with the batch
    order    the ONNX axis of each of our axes; those that are missing have size 1
    batch    which of ONNX's axes is the batch, NONE where the whole is one sample
    dtype    ONNX's; ours are float32, and int32 for what counts classes
    classes  above 0: ours holds whole numbers below this; otherwise it holds floats
    local    whether these are places as our max_pool_places counts them
    port     the input whose order may still be chosen, because nothing but formulas stand between
    mix      set on a flattened picture: its features stand in another order than ONNX's
    groups   set where ONNX has joined the batch with other axes, [time * batch, features]: for each of its axes those
             of shape that it holds; shape, order and batch are those before that
    """

    name: str
    shape: tuple[int, ...]
    order: tuple[int, ...]
    batch: int
    dtype: str = "float32"
    classes: int = 0
    local: bool = False
    port: str = ""
    mix: Mix | None = None
    groups: tuple[tuple[int, ...], ...] = ()

    @property
    def joined(self) -> tuple[int, ...]:
        """ONNX's shape, where it has joined axes."""
        return tuple(prod(self.shape[a] for a in group) for group in self.groups) if self.groups else self.shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def written(self) -> tuple[int, ...]:
        """Our shape, as a spec writes it."""
        return tuple(self.shape[a] for a in self.order)

    @property
    def axes(self) -> tuple[int, ...]:
        """ONNX's axes without the batch."""
        return tuple(a for a in range(self.rank) if a != self.batch)

    def axis(self, axis: int) -> int:
        """An ONNX axis counted from the front."""
        if not -self.rank <= axis < self.rank:
            raise IndexError(f"axis {axis} of a tensor with {self.rank} axes")
        return axis % self.rank

    def place(self, axis: int) -> int:
        """Our axis for one of ONNX's."""
        return self.order.index(axis)


Value = Flow | Array


def thick(shape: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """The axes of an order that have more than one place."""
    return tuple(a for a in order if shape[a] != 1)


def moved(flow: Flow, perm: Sequence[int]) -> Flow:
    """ONNX's Transpose: nothing happens, the axes have other numbers."""
    new = {old: at for at, old in enumerate(perm)}
    shape = tuple(flow.shape[a] for a in perm)
    return replace(flow, shape=shape, order=tuple(new[a] for a in flow.order), batch=new.get(flow.batch, NONE), port="")


def grouped(old: Sequence[int], new: Sequence[int]) -> list[tuple[list[int], list[int]]]:
    """How a reshape pairs axes: lists of old and new axes that hold the same numbers. Axes of size 1 are left out.

    [8, 4, 4] as [2, 4, 16] is [([0], [0, 1]), ([1, 2], [2])].
    """
    pairs: list[tuple[list[int], list[int]]] = []
    left, right = [a for a, s in enumerate(old) if s != 1], [a for a, s in enumerate(new) if s != 1]
    while left or right:
        ours, theirs = left[:1], right[:1]
        del left[:1], right[:1]
        while (have := prod(old[a] for a in ours)) != (want := prod(new[a] for a in theirs)):
            side, rest = (ours, left) if have < want else (theirs, right)
            side.append(rest.pop(0))
        pairs.append((ours, theirs))
    return pairs


def regrouped(flow: Flow, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Our order after a reshape to this ONNX shape without moving anything; None where that cannot be.

    The batch axis must be out of the way: flow and shape are those of one sample.
    """
    pairs = grouped(flow.shape, shape)
    ours = thick(flow.shape, flow.order)
    made: list[int] = []
    at = 0
    by_first = {old[0]: (old, new) for old, new in pairs if old}
    while at < len(ours):
        old, new = by_first.get(ours[at], ([], []))
        if not old or list(ours[at : at + len(old)]) != old:
            return None
        made += new
        at += len(old)
    return tuple(made)


def together(flow: Flow, shape: Sequence[int]) -> tuple[int, ...]:
    """Our order with axes that a reshape to this ONNX shape joins beside each other: `regrouped` then finds one."""
    groups = {axis: old for old, _ in grouped(flow.shape, shape) for axis in old}
    backwards = dict.fromkeys(a for axis in thick(flow.shape, flow.order)[::-1] for a in groups[axis][::-1])
    return tuple(backwards)[::-1]


def parted(flow: Flow) -> tuple[Flow, tuple[int, ...]]:
    """A tensor with joined axes as one without, and how many axes each of ONNX's had."""
    if not flow.groups:
        return flow, (1,) * flow.rank
    counts = tuple(len(group) for group in flow.groups)
    return moved(replace(flow, groups=()), [a for group in flow.groups for a in group]), counts


def rejoined(flow: Flow, counts: Sequence[int]) -> Flow:
    """The reverse of parted."""
    if all(n == 1 for n in counts):
        return flow
    starts = [sum(counts[:at]) for at in range(len(counts))]
    return replace(flow, groups=tuple(tuple(range(s, s + n)) for s, n in zip(starts, counts, strict=True)))


def refined(old: Sequence[int], new: Sequence[int], batch: int) -> tuple[list[int], list[int]] | None:
    """The new shape with the axis that holds the batch cut into parts, the batch alone among them, and how many parts
    each axis has. None where the batch itself would be cut.

    [9, batch, 16] as [9, batch * 4, 4] is [9, batch, 4, 4]: 1, 2, 1.
    """
    begin, size = prod(old[:batch]), old[batch]
    marks = sorted({1, begin, begin * size, *(prod(old[: at + 1]) for at in range(len(old)))})
    sizes: list[int] = []
    counts: list[int] = []
    for axis, here in enumerate(new):
        start = prod(new[:axis])
        stop = start * here
        inner = [start, *(m for m in marks if start < m < stop), stop] if start <= begin < stop else [start, stop]
        if any(b % a for a, b in pairwise(inner)) or begin < start < begin * size:
            return None
        parts = [b // a for a, b in pairwise(inner)]
        sizes += parts
        counts.append(len(parts))
    return sizes, counts
