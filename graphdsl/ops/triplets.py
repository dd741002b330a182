"""Which triplets of a batch teach: an anchor, another of its class, and one of another class.

    margin + d(anchor, positive) - d(anchor, negative), where that is above 0; d is the squared distance

Most triplets of a batch are right by the margin already and teach nothing, more of them the longer one trains; so it
matters which are chosen. All distances of a batch are one product of matrices.

Source: Schroff et al. 2015, "FaceNet"; Hermans et al. 2017, "In Defense of the Triplet Loss" (hard, all).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Choice,
    Cotangents,
    DType,
    NonNegative,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    indices,
    loss,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import formula
from graphdsl.ops.known import demand_known
from graphdsl.ops.loss import mean_loss
from graphdsl.ops.noise import key_of, random_uniform
from graphdsl.ops.reduce import sum_over
from graphdsl.report import dataclass

ALL, HARD, SEMI_HARD, RANDOM = "all", "hard", "semi_hard", "random"
Mining = Annotated[str, Choice((ALL, HARD, SEMI_HARD, RANDOM))]


@operator("triplets")
@dataclass(frozen=True)
class Triplets(Operator):
    """The mean loss of the triplets of a batch that were chosen, and its slope.

    x        [batch, features]
    label    whole numbers [batch]
    chance   [batch, 2] from 0 to 1, for mining at random
    returns  the loss, a scalar, and its slope [batch, features]; both 0 where there is no triplet

    mining, margin  see `triplet`
    """

    mining: str
    margin: float

    def type(self, x: TensorType, label: TensorType, *chance: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        if x.rank != 2 or not x.dtype.is_float or label.shape != x.shape[:1] or label.dtype.is_float:
            told = f"{x.describe()} and {label.describe()}"
            message = f"triplets are made of vectors, `float[n]`, each with a class, `int(k)`; got {told}"
            help = "`[code, person] -> triplet` with `target person: int(40)`"
            raise TypeRuleError(message, operand=0, help=help)
        return TensorType((), x.dtype), TensorType(x.shape, x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        none = (None,) * (len(inputs) - 1)
        if d[0] is None:
            return None, *none
        return formula(b, lambda s, g: s * g, outputs[1], d[0], title="triplets_gradient"), *none

    def reference(self, x: Array, label: Array, *chance: Array) -> tuple[Array, ...]:  # type: ignore[override]
        square = (x * x).sum(axis=1)
        apart = np.maximum(square[:, None] + square[None] - 2 * x @ x.T, 0)
        alike = label[:, None] == label[None]
        anchor, positive, negative = self._chosen(apart, alike, *chance)
        excess = self.margin + apart[anchor, positive] - apart[anchor, negative]
        counts = excess > 0
        many = max(1, int(counts.sum()) if self.mining == ALL else len(excess))
        pulls = np.zeros_like(apart)
        np.add.at(pulls, (anchor[counts], positive[counts]), 1 / many)
        np.add.at(pulls, (anchor[counts], negative[counts]), -1 / many)
        both = pulls + pulls.T
        slope = 2 * (both.sum(axis=1)[:, None] * x - both @ x)
        return np.asarray(excess[counts].sum() / many, x.dtype), slope.astype(x.dtype)

    def _chosen(self, apart: Array, alike: Array, *chance: Array) -> tuple[Array, Array, Array]:
        """Anchors, positives and negatives, by number."""
        same = alike & ~np.eye(len(apart), dtype=bool)
        if self.mining == ALL:
            anchor, positive, negative = np.nonzero(same[:, :, None] & ~alike[:, None, :])
            return anchor, positive, negative
        if self.mining == SEMI_HARD:
            return self._semi_hard(apart, alike, same)
        anchor = np.flatnonzero(same.any(axis=1) & ~alike.all(axis=1))
        if self.mining == RANDOM:
            first, second = chance[0][anchor].T
            return anchor, _drawn(same[anchor], first), _drawn(~alike[anchor], second)
        positive = np.where(same, apart, -np.inf)[anchor].argmax(axis=1)
        return anchor, positive, np.where(alike, np.inf, apart)[anchor].argmin(axis=1)

    def _semi_hard(self, apart: Array, alike: Array, same: Array) -> tuple[Array, Array, Array]:
        """For every pair the nearest negative that is farther than the positive; without one, the farthest of all."""
        mixed = np.asarray(~alike.all(axis=1))
        anchor, positive = np.nonzero(same & mixed[:, None])
        others = np.where(alike[anchor], np.inf, apart[anchor])
        beyond = np.where(others > apart[anchor, positive][:, None], others, np.inf)
        farthest = np.where(alike[anchor], -np.inf, apart[anchor]).argmax(axis=1) if len(anchor) else anchor
        found = np.isfinite(beyond).any(axis=1)
        return anchor, positive, np.where(found, beyond.argmin(axis=1), farthest) if len(anchor) else anchor

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(1.3 * np.arange(24.0)).reshape(8, 3)
        label = np.array([0, 1, 0, 2, 1, 1, 2, 3], np.int32)
        chance = np.linspace(0.03, 0.97, 16).reshape(8, 2)
        made = [Sample(cls(mining, 0.7), (x, label), smooth=(0,), results=(0,)) for mining in (ALL, HARD, SEMI_HARD)]
        alone = Sample(cls(HARD, 0.7), (x[:2], np.array([4, 4], np.int32)), smooth=())
        return [*made, Sample(cls(RANDOM, 0.7), (x, label, chance), smooth=(0,), results=(0,)), alone]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        label = TensorType((8,), DType.INT32, indices(4))
        return [
            BadSample(cls(HARD, 1.0), (TensorType((8, 3, 2)), label)),
            BadSample(cls(HARD, 1.0), (TensorType((8, 3)), TensorType((8,)))),
        ]


def _drawn(there: Array, chance: Array) -> Array:
    """Of every row one of the places that are there, chosen by a number from 0 to 1."""
    rank = np.minimum((chance * there.sum(axis=1)).astype(int), there.sum(axis=1) - 1)
    return np.asarray((np.cumsum(there, axis=1) == rank[:, None] + 1).argmax(axis=1))


# --- losses ----------------------------------------------------------------------------------------------------------


@loss()
def triplet(b: Builder, x: Value, label: Value, *, margin: NonNegative = 0.2, mining: Mining = "semi_hard") -> Value:
    """Things of one class are to be nearer to each other than to others, by a margin: `[code, person] -> triplet`.

    x       [features]: what the network makes of a sample; most often it ends in `l2_normalize`
    label   int(n)
    margin  by which the squared distance to another class must be larger

    mining  which triplets (anchor, positive, negative) of a batch count:
            `semi_hard`: for every pair of one class the nearest negative that is farther than the positive; where none
            is, the farthest. `hard`: for every anchor the farthest positive and the nearest negative. `all`: all, and
            the mean is over those that are not yet right by the margin. `random`: one for every anchor; soon nearly
            all of these are right, and teach nothing

    A batch needs several samples of a class: give the reader `each=4`. An anchor without a positive or without a
    negative in its batch does not count.

    E0301  x is no vector, or label no class
    Source: Schroff et al. 2015; Hermans et al. 2017.
    """
    chance = [random_uniform(b, key_of(b.place.path), (x.type.shape[0], 2))] if mining == RANDOM else []
    return b.emit_all(Triplets(mining, margin), x, label, *chance)[0]


@loss()
def contrastive(b: Builder, first: Value, second: Value, same: Value, *, margin: NonNegative = 1.0) -> Value:
    """Pairs that are the same are pulled together, others pushed apart until a margin lies between them.

    first, second  [features], of one shape: what one network makes of the two of a pair
    same           [1]: 1 where they are the same, 0 where they are not
    returns        the mean of same * d² + (1 - same) * max(margin - d, 0)², d being their distance

    E0304  other shapes
    Source: Hadsell, Chopra and LeCun 2006.
    """
    fits = first.type.shape == second.type.shape and first.type.rank == 2
    if not fits or same.type.shape != (first.type.shape[0], 1):
        told = ", ".join(v.type.describe() for v in (first, second, same))
        raise TypeRuleError(
            f"contrastive compares two vectors of one size and reads float[1]; got {told}",
            code="E0304",
            operand=0,
            help="`[left, right, same] -> contrastive` with `target same: float[1]`",
        )
    demand_known("contrastive", same, 2)
    square = formula(b, lambda p, q: (p - q) * (p - q), first, second, title="apart")
    total = sum_over(b, square, (1,), keep=True)

    def each(d: e.Expression, s: e.Expression) -> e.Expression:
        short = e.maximum(margin - e.sqrt(d + 1e-12), 0)
        return s * d + (1 - s) * short * short

    return mean_loss(b, formula(b, each, total, same, title="contrastive"), None)
