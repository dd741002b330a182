"""What text a row of frames says: the decoders that belong to the loss `ctc`.

A text has at most as many characters as there are frames, and how many depends on the numbers. It stands at the front
of as many places as there are frames, and -1 behind its end.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Dim,
    DType,
    Kind,
    Natural,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    Whole,
    layer,
    operator,
)
from graphdsl.ops.ctc import Lengths, demand_frames
from graphdsl.ops.softmax import Softmax
from graphdsl.report import dataclass

END = -1
"""What stands behind the end of a text."""

Width = Annotated[int, Whole(1, 1000)]


def texts(classes: int) -> Kind:
    """The kind of what decoders give: whole numbers below classes, then nothing but -1."""
    return Kind("text", classes)


@dataclass(frozen=True)
class Decoder(Operator):
    """What decoders share.

    blank  which of the outputs says nothing; class k is output k before it, k + 1 from it on
    """

    blank: int

    def type(self, p: TensorType, *lengths: TensorType) -> TensorType:  # type: ignore[override]
        if p.rank != 3 or not p.dtype.is_float or not isinstance(p.channels, int) or p.channels < 2:
            raise TypeRuleError(f"{self.name} reads [batch, frames, outputs], got {p}", operand=0)
        if not 0 <= self.blank < p.channels:
            raise TypeRuleError(f"no output {self.blank} of {p.channels}", code="E0305", attribute="blank")
        if len(lengths) > 1 or any(t.shape != p.shape[:1] or t.dtype.is_float for t in lengths):
            raise TypeRuleError(f"{self.name} needs whole lengths, one a sample", operand=1)
        return TensorType(p.shape[:2], DType.INT32, texts(p.channels - 1))

    def reference(self, p: Array, *lengths: Array) -> Array:  # type: ignore[override]
        found = np.full(p.shape[:2], END, np.int32)
        for row, frames, real in zip(found, p, self._lengths(p, lengths), strict=True):
            said = [k - (k > self.blank) for k in self.read(frames[:real])]
            row[: len(said)] = said
        return found

    @abstractmethod
    def read(self, p: Array) -> Iterable[int]:
        """The outputs that [frames, outputs] of one sample say, without blanks."""

    @staticmethod
    def _lengths(p: Array, lengths: Lengths) -> Array:
        return lengths[0] if lengths else np.full(len(p), p.shape[1])

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count


@operator("ctc_greedy")
@dataclass(frozen=True)
class CtcGreedy(Decoder):
    """The most probable output of each frame; equal neighbours once, blanks left out.

    p        [batch, frames, outputs]
    lengths  int32 [batch], left out where all frames are real
    returns  int32 [batch, frames]: classes, then -1 behind the end

    Of equally probable outputs the first counts; NaN counts as the largest.
    """

    def read(self, p: Array) -> Iterable[int]:
        best = p.argmax(-1)
        begins = np.append(True, best[1:] != best[:-1])[: len(best)]
        return (int(k) for k in best[begins & (best != self.blank)])

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        p, lengths = _frames(), np.array([12, 5, 0, 1], np.int32)
        return [
            *(Sample(cls(blank), (p,), smooth=()) for blank in (0, 2, 3)),
            Sample(cls(3), (p, lengths), smooth=()),
            Sample(cls(0), (np.full((1, 3, 2), 0.5),), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return _bad(cls)


@operator("ctc_beam")
@dataclass(frozen=True)
class CtcBeam(Decoder):
    """The most probable text: a search that keeps the `width` most probable beginnings after each frame.

    p        [batch, frames, outputs], probabilities
    lengths  int32 [batch], left out where all frames are real
    returns  int32 [batch, frames]: classes, then -1 behind the end

    How probable a beginning is, is summed over the ways of writing it that the search has met. Of equally probable ones
    those are kept that were there before, then those whose beginning was more probable, then the first output.
    Probabilities below 1e-300 count as that much.
    """

    width: int = 25

    def read(self, p: Array) -> Iterable[int]:
        texts: list[Text] = [()]
        ends = np.array([[0.0, -np.inf]])
        for frame in np.log(np.maximum(p.astype(np.float64), 1e-300)):
            texts, ends = self._grown(texts, ends, frame)
        return texts[0]

    def _grown(self, texts: list[Text], ends: Array, frame: Array) -> tuple[list[Text], Array]:
        """The best beginnings after one more frame, best first.

        ends   [texts, 2]: log of how probable each is, ending in a blank and ending in its last character
        frame  log of how probable each output is
        """
        total, last = np.logaddexp(*ends.T), np.array([text[-1] if text else self.blank for text in texts])
        stay = np.stack([total + frame[self.blank], ends[:, 1] + frame[last]], axis=1)
        longer = total[:, None] + frame
        longer[np.arange(len(texts)), last] = ends[:, 0] + frame[last]
        longer[:, self.blank] = -np.inf
        for one, parent in _parents(texts):
            stay[one, 1] = np.logaddexp(stay[one, 1], longer[parent, last[one]])
            longer[parent, last[one]] = -np.inf
        scores = np.append(np.logaddexp(*stay.T), longer)
        best = [k for k in np.argsort(-scores, kind="stable")[: self.width] if scores[k] > -np.inf]
        added = [divmod(int(k) - len(texts), len(frame)) for k in best]
        grown = [(*texts[i], k) if i >= 0 else texts[at] for (i, k), at in zip(added, best, strict=True)]
        every = np.concatenate([stay, np.stack([np.full(longer.size, -np.inf), longer.ravel()], axis=1)])
        return grown, every[best]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        p, lengths = _frames(), np.array([12, 5, 0, 1], np.int32)
        better = np.array([[[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]])
        return [
            *(Sample(cls(blank, 8), (p,), smooth=()) for blank in (0, 3)),
            Sample(cls(3, 1), (p,), smooth=()),
            Sample(cls(3, 4), (p, lengths), smooth=()),
            Sample(cls(2), (better,), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return _bad(cls)


Text = tuple[int, ...]


def _parents(texts: list[Text]) -> Iterator[tuple[int, int]]:
    """Of each text that is another one and a character: its number and that of the other."""
    places = {text: i for i, text in enumerate(texts)}
    return ((i, places[text[:-1]]) for text, i in places.items() if text and text[:-1] in places)


def _frames() -> Array:
    """Probabilities: 4 samples, 12 frames, 4 outputs, no two of which are equal; neighbours often say the same."""
    places = np.arange(192.0).reshape(4, 12, 4)
    return Softmax().reference(np.sin(np.floor(places / 8) * 2.1 + places % 4 * 1.7) * 2 + np.sin(places) * 0.3)


def _bad(cls: type[Decoder]) -> Sequence[BadSample]:
    p = TensorType((2, 7, 5))
    return [
        BadSample(cls(4), (TensorType((2, 5)),)),
        BadSample(cls(5), (p,), "E0305"),
        BadSample(cls(4), (p, TensorType((3,), DType.INT32))),
    ]


# --- layers ----------------------------------------------------------------------------------------------------------


@layer()
def ctc_greedy(b: Builder, x: Value, *, blank: Natural | None = None) -> Value:
    """The text that frames say, each frame for itself: the most probable class of each, equal neighbours once, blanks
    left out.

    x        probabilities [frames, n + 1], from `softmax`, as `ctc` learns them
    blank    which of the n + 1 is the blank; none: the last
    returns  whole numbers [frames]: the text, and -1 behind its end

    Fast, and right where the network is sure; `ctc_beam` also adds up what several ways of writing a text say.
    `predict` shows the text. No gradient.

    E0303  x is not of probabilities
    E0304  x is no sequence of them
    E0305  there is no such blank
    """
    return _decoded(b, x, CtcGreedy(demand_frames("ctc_greedy", x.type, blank)))


@layer()
def ctc_beam(b: Builder, x: Value, width: Width = 25, *, blank: Natural | None = None) -> Value:
    """The text that frames say, looked for among the most probable beginnings: prefix beam search without a language
    model.

    x        probabilities [frames, n + 1], from `softmax`, as `ctc` learns them
    width    how many beginnings are kept after each frame
    blank    which of the n + 1 is the blank; none: the last
    returns  whole numbers [frames]: the text, and -1 behind its end

    Texts are ranked by the sum of all ways of writing them, so it may find a text that no single way makes likely:
    [0.4, 0, 0.6] twice, the blank last, says `a` (0.64), where frame by frame the blank wins. No gradient.

    E0303  x is not of probabilities
    E0304  x is no sequence of them
    E0305  there is no such blank

    Source: Hannun et al. 2014.
    """
    return _decoded(b, x, CtcBeam(demand_frames("ctc_beam", x.type, blank), width))


def _decoded(b: Builder, x: Value, op: Decoder) -> Value:
    lengths = b.lengths(x.type.shape[1])
    return b.emit(op, x, *([] if lengths is None else [lengths]))
