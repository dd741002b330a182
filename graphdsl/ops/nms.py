"""Non-maximum suppression: of candidates that show the same thing, the best one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Choice,
    Dim,
    Flag,
    Fraction,
    Kind,
    OneOrMore,
    Operator,
    Positive,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    Whole,
    layer,
    operator,
)
from graphdsl.ops.concat import Concat
from graphdsl.ops.detect import BOX
from graphdsl.report import dataclass

COLUMNS = 6
"""x, y, width, height, score, class"""

LINEAR, GAUSSIAN = SOFT = "linear", "gaussian"
Soft = Annotated[str, Choice(SOFT)]

Most = Annotated[int, Whole(1, 10_000)]

Pair = tuple[int, int]
"""A candidate and a class."""


def detections(classes: int) -> Kind:
    """The kind of [max, 6], what `nms` gives."""
    return Kind("detections", classes)


@operator("nms")
@dataclass(frozen=True)
class Nms(Operator):
    """Of candidates of one class that overlap much, only the best; or the others with lower scores.

    x        [batch, n, 5 + classes]: centre x, centre y, width, height, object, classes
    returns  [batch, most, 6]: centre x, centre y, width, height, score, class, the best score first; 0 where there are
             no more

    score     what object * class must reach, also after it was lowered
    overlap   a candidate goes when intersection / union with a better one of its class that stays is above this
    most      how many stay at most
    several   whether a candidate counts once for each class, or only for its most probable one
    together  whether candidates of all classes are held against each other
    soft      none goes for its overlap: each one that stays lowers the scores of the others of its class, before the
              best of those is looked for. `linear`: times 1 - share where the share is above `overlap`; `gaussian`:
              times exp(-share^2 / sigma)

    Equal scores: the candidate that stands first is the better one, then the first class; of equally probable classes
    the first counts. NaN as a score is none; boxes without area, or with NaN, overlap nothing.
    Source: Bodla et al. 2017, "Soft-NMS"; there a share that equals the threshold lowers too.
    """

    score: float
    overlap: float
    most: int
    several: bool = False
    together: bool = False
    soft: str | None = None
    sigma: float = 0.5

    def type(self, x: TensorType) -> TensorType:  # type: ignore[override]
        if x.rank != 3 or not x.dtype.is_float or not isinstance(x.channels, int) or x.channels <= BOX:
            raise TypeRuleError(f"nms reads float[n, 5 + classes], got {x.describe()}", operand=0)
        return TensorType((x.shape[0], self.most, COLUMNS), x.dtype, detections(x.channels - BOX))

    def reference(self, x: Array) -> Array:  # type: ignore[override]
        return (
            np.stack([self._of_one(sample) for sample in x]) if len(x) else np.zeros((0, self.most, COLUMNS), x.dtype)
        )

    def _of_one(self, x: Array) -> Array:
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            scores = x[:, 4:5] * x[:, BOX:]
            corners = np.concatenate([x[:, :2] - x[:, 2:4] / 2, x[:, :2] + x[:, 2:4] / 2], 1)
            places = self._candidates(scores)
            kept = self._softly(corners, scores, places) if self.soft else self._greedily(corners, scores, places)
        rows = np.zeros((self.most, COLUMNS), x.dtype)
        for row, ((i, c), score) in zip(rows, kept, strict=False):
            row[:] = *x[i, :4], score, c
        return rows

    def _greedily(self, corners: Array, scores: Array, places: Sequence[Pair]) -> list[tuple[Pair, float]]:
        kept: list[Pair] = []
        for i, c in places:
            better = [k for k, other in kept if self.together or other == c]
            if len(kept) < self.most and not self._overlaps(corners[i], corners[better]).any():
                kept.append((i, c))
        return [((i, c), scores[i, c]) for i, c in kept]

    def _softly(self, corners: Array, scores: Array, places: Sequence[Pair]) -> list[tuple[Pair, float]]:
        """The best one, and then the best of the others, whose scores it has lowered."""
        i, c = np.array(sorted(places), int).reshape(-1, 2).T
        left, kept = scores[i, c], list[tuple[Pair, float]]()
        while len(kept) < self.most and len(left):
            k = int(left.argmax())
            kept.append(((int(i[k]), int(c[k])), left[k]))
            left = np.where(self.together | (c == c[k]), left * self._lowering(corners[i[k]], corners[i]), left)
            stay = (left >= np.asarray(self.score, left.dtype)) & (np.arange(len(left)) != k)
            left, i, c = left[stay], i[stay], c[stay]
        return kept

    def _candidates(self, scores: Array) -> list[Pair]:
        """Pairs of candidate and class, the best first."""
        real = np.where(np.isnan(scores), -np.inf, scores)
        if not self.several:
            best = real.argmax(1)[:, None] == np.arange(scores.shape[1])
            real = np.where(best, real, -np.inf)
        i, c = np.nonzero(real >= np.asarray(self.score, scores.dtype))
        order = np.argsort(-real[i, c], kind="stable")
        return list(zip(i[order].tolist(), c[order].tolist(), strict=True))

    def _overlaps(self, box: Array, others: Array) -> Array:
        """Whether intersection > overlap * union, for each of others."""
        both, union = _areas(box, others)
        return np.asarray(both > np.asarray(self.overlap, box.dtype) * union)

    def _lowering(self, box: Array, others: Array) -> Array:
        """What the scores of others are multiplied with, box being the best."""
        both, union = _areas(box, others)
        share = both / union
        share = np.where(share > 0, share, 0).astype(box.dtype)
        if self.soft == GAUSSIAN:
            return np.asarray(np.exp(-share * share / np.asarray(self.sigma, box.dtype)))
        return np.where(share > np.asarray(self.overlap, box.dtype), 1 - share, 1).astype(box.dtype)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        crowd = _crowd(2, 40, 3)
        ties = np.tile([[0.5, 0.5, 0.25, 0.25, 1.0, 0.5, 0.5]], (1, 5, 1))
        ties[0, 3, 0] = 0.125
        odd = _crowd(1, 8, 2)
        odd[0, 0, 4], odd[0, 1, 0], odd[0, 2, 2] = np.nan, np.nan, 0
        odd[0, 3, 5:] = [np.nan, 0.9]
        return [
            Sample(cls(0.25, 0.45, 10), (crowd,), smooth=()),
            Sample(cls(0.25, 0.45, 100, several=True), (crowd,), smooth=()),
            Sample(cls(0.05, 0.3, 3), (crowd,), smooth=()),
            Sample(cls(0.25, 0.5, 4), (ties,), smooth=()),
            Sample(cls(0.25, 0.5, 4, several=True), (ties,), smooth=()),
            Sample(cls(0.1, 0.5, 5, several=True), (odd,), smooth=()),
            Sample(cls(0.0, 1.0, 50), (crowd[:1],), smooth=()),
            Sample(cls(2.0, 0.5, 5), (crowd,), smooth=()),
            Sample(cls(0.25, 0.45, 3), (np.zeros((2, 0, 7)),), smooth=()),
            Sample(cls(0.1, 0.45, 10, together=True), (crowd,), smooth=()),
            *(Sample(op, (x,), smooth=()) for op in cls._soft_ones() for x in (crowd, ties, odd, crowd[:, :0])),
        ]

    @classmethod
    def _soft_ones(cls) -> Sequence[Nms]:
        return (
            cls(0.1, 0.3, 10, soft=LINEAR),
            cls(0.1, 0.3, 30, several=True, soft=GAUSSIAN),
            cls(0.0, 0.3, 9, together=True, soft=GAUSSIAN, sigma=0.1),
        )

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op = cls(0.25, 0.45, 10)
        return [BadSample(op, (TensorType((2, 4, 5)),)), BadSample(op, (TensorType((2, 8)),))]


def _areas(box: Array, others: Array) -> tuple[Array, Array]:
    """The intersections and unions of box with each of others: left, top, right, bottom."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    both = np.maximum(sides, 0).prod(1)
    return both, (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both


def _crowd(batch: int, n: int, classes: int) -> Array:
    """Boxes of which many overlap, no two scores close to each other, no overlap close to a usual threshold."""
    steps = (np.arange(batch * n * (BOX + classes)) * 0.618033988749895 % 1).reshape(batch, n, BOX + classes)
    boxes = np.concatenate([steps[..., :2] * 0.4 + 0.3, steps[..., 2:4] * 0.2 + 0.15], -1)
    return np.concatenate([np.round(boxes * 64) / 64, steps[..., 4:]], -1)


@layer()
def nms(
    b: Builder,
    xs: OneOrMore,
    *,
    score: Fraction = 0.25,
    iou: Fraction = 0.45,
    max: Most = 100,
    several: Flag = False,
    together: Flag = False,
    soft: Soft | None = None,
    sigma: Positive = 0.5,
) -> Value:
    """Of candidates that show the same thing, the best one: `[large, small] -> nms`.

    xs       candidates as `detect` gives them, of one head or of several: [n, 5 + classes]
    returns  [max, 6]: centre x, centre y, width, height as fractions of the picture, score, class; the best first, and
             rows of 0 where there are no more

    score     what object * class probability must reach: as much as this is enough
    iou       a candidate goes when it shares more than this with a better one of its class (intersection / union)
    max       how many stay at most
    several   whether a candidate counts for every class that reaches the score, or only for its most probable one
    together  true: candidates of all classes are held against each other
    soft      none: a candidate that shares too much goes. `linear` and `gaussian` keep it and lower its score: by the
              part that it shares, where that is more than `iou`; by exp(-share^2 / sigma). `score` is asked again then

    Classes leave each other alone, unless `together`. Equal scores: the candidate that stands first is the better one.
    No gradient. A share of exactly `iou` is no reason to go, as in ONNX and torchvision; where it should be, write a
    little less: `iou=0.4999`.

    E0303  xs are no candidates
    E0301  heads of different classes
    E0305  `several` with `together`
    Source: Bodla et al. 2017, "Soft-NMS".
    """
    if several and together:
        help = "with `together` only the most probable class of a candidate could stay: leave `several` out"
        raise TypeRuleError(
            "`several` and `together` contradict each other", code="E0305", attribute="together", help=help
        )
    kinds = {x.type.kind for x in xs}
    for place, x in enumerate(xs):
        if x.type.kind.name != "candidates":
            raise TypeRuleError(
                f"nms reads candidates, got {x.type.describe()}",
                code="E0303",
                operand=place,
                help="`detect` and `decode_boxes` give them",
            )
    if len(kinds) > 1:
        counts = " and ".join(str(x.type.kind.classes) for x in xs)
        raise TypeRuleError(f"nms needs heads of the same classes, got {counts}", operand=1)
    joined = b.emit(Concat(1), *xs) if len(xs) > 1 else xs[0]
    return b.emit(Nms(score, iou, max, several, together, soft, sigma), joined)
