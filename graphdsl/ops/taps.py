"""Weighted sums of a few elements along one axis: resizing, borders, steps, windows, turning round.

    result j = sum of weight * x[place] over the pairs (place, weight) of j

What an element goes into is again such a list of pairs, so the gradient is the same operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from graphdsl.ir import (
    PLAIN,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.report import dataclass

Pairs = tuple[tuple[tuple[int, float], ...], ...]
"""For every result the places that it is made of, each with its weight; none: the result is 0."""


@operator("taps")
@dataclass(frozen=True)
class Taps(Operator):
    """Weighted sums of elements along an axis, which is counted from 0, the batch axis.

    x        any shape with size elements along axis; whole numbers only where elements are picked: one a result, or
             none, with the weight 1
    pairs    for every result its places and weights
    returns  the same with as many elements along axis as there are lists of pairs

    What has no weight does not matter at all, not even NaN.
    """

    axis: int
    size: int
    pairs: Pairs

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if not 0 <= self.axis < x.rank or x.shape[self.axis] != self.size:
            raise TypeRuleError(f"sums of {self.size} elements along axis {self.axis} of {x}", operand=0)
        if any(not 0 <= place < self.size for each in self.pairs for place, _ in each):
            raise TypeRuleError(f"sums of elements beyond the {self.size} that there are", operand=0)
        if not (x.dtype.is_float or self.picks):
            raise TypeRuleError(f"weighted sums need float numbers, got {x.describe()}", operand=0)
        stays = x.kind.name == "indices" or (self.picks and self.axis < x.rank - 1)
        shape = (*x.shape[: self.axis], len(self.pairs), *x.shape[self.axis + 1 :])
        return TensorType(shape, x.dtype, x.kind if stays else PLAIN)

    @property
    def picks(self) -> bool:
        """Whether every result is an element as it is, or 0."""
        return all(len(each) == 0 or (len(each) == 1 and each[0][1] == 1) for each in self.pairs)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        return (b.emit(Taps(self.axis, len(self.pairs), self.turned()), dy) if dy else None,)

    def turned(self) -> Pairs:
        """For every element the results that it goes into, each with its weight."""
        found: list[list[tuple[int, float]]] = [[] for _ in range(self.size)]
        for result, each in enumerate(self.pairs):
            for place, weight in each:
                found[place].append((result, weight))
        return tuple(map(tuple, found))

    def tables(self) -> tuple[Array, Array, Array]:
        """Places and weights [results, most], 0 behind those that there are, and how many there are of each."""
        counts = np.array([len(each) for each in self.pairs], np.int64)
        places = np.zeros((len(self.pairs), max(int(counts.max(initial=0)), 1)), np.int64)
        weights = np.zeros(places.shape)
        for result, each in enumerate(self.pairs):
            for k, (place, weight) in enumerate(each):
                places[result, k], weights[result, k] = place, weight
        return places, weights, counts

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        along = np.moveaxis(x, self.axis, 0)
        y = np.zeros((len(self.pairs), *along.shape[1:]), x.dtype)
        places, weights, counts = self.tables()
        for k in range(places.shape[1]):
            real = counts > k
            column = weights[real, k].astype(x.dtype).reshape(-1, *(1,) * (x.ndim - 1))
            y[real] += column * along[places[real, k]]
        return np.ascontiguousarray(np.moveaxis(y, 0, self.axis))

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        return inputs[0] if self.pairs == picks(range(self.size)) else None

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        if self.picks or not self.pairs:
            return 0
        return outputs[0].count * (2 * sum(map(len, self.pairs)) // len(self.pairs))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(1.7 * np.arange(24.0)).reshape(2, 4, 3)
        steps = cls(1, 4, picks((3, 1, 1, None)))
        return [
            Sample(steps, (x,), torch=_torch(steps)),
            *(Sample(op, (x,), torch=_torch(op)) for op in (cls(1, 4, _BLEND), cls(2, 3, picks(range(2, -1, -1))))),
            Sample(cls(1, 4, _BLEND), (np.sin(np.arange(80.0)).reshape(1, 4, 20),), torch=_torch(cls(1, 4, _BLEND))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x = TensorType((2, 4, 3))
        return [
            BadSample(cls(1, 3, picks((0,))), (x,)),
            BadSample(cls(3, 4, picks((0,))), (x,)),
            BadSample(cls(1, 4, picks((4,))), (x,)),
            BadSample(cls(1, 4, _BLEND), (TensorType((2, 4), DType.INT32),)),
        ]


_BLEND: Pairs = (((0, 0.5), (3, 0.25)), ((2, 1.0),), (), ((1, -0.5), (2, 1.5), (3, 0.125)), ((0, 2.0),))


def _torch(op: Taps) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        shares = torch.zeros(len(op.pairs), op.size, dtype=x.dtype)
        for result, each in enumerate(op.pairs):
            for place, weight in each:
                shares[result, place] += weight
        return torch.tensordot(shares, x, ([1], [op.axis])).movedim(0, op.axis)

    return run


def picks(places: Iterable[int | None]) -> Pairs:
    """Elements as they are, from these places; None: 0."""
    return tuple(() if p is None else ((int(p), 1.0),) for p in places)


def picked(b: Builder, x: Value, axis: int, places: Iterable[int | None], name: str = "") -> Value:
    """x with these of its elements along axis (counted with the batch axis); None: 0. x itself if nothing changes."""
    return tapped(b, x, axis, picks(places), name)


def tapped(b: Builder, x: Value, axis: int, pairs: Pairs, name: str = "") -> Value:
    """Weighted sums of x along axis; x itself where each is the element at its place. Raises TypeRuleError E0401."""
    size = x.type.shape[axis]
    if not isinstance(size, int):
        raise TypeRuleError(
            f"what becomes of {size} elements of {x.type.describe()} is known only at run time",
            code="E0401",
            operand=0,
            help="give the dimension a number in the input's type",
        )
    return x if pairs == picks(range(size)) else b.emit(Taps(axis, size, pairs), x, name=name)
