"""Connectionist temporal classification: a text and a longer row of frames, of which nobody says which says what.

Of every frame there is a probability for each character and one for the blank, which says nothing. A way of writing a
text is a character or a blank for each frame: equal neighbours are one character, blanks vanish.

    text     c a a t                          frames   1 2 3 4 5 6 7
    states   _ c _ a _ a _ t _                a way    c c a _ a _ t
                                                       a blank must stand between the two a

The loss is - log of the sum of the probabilities of all ways. They are summed frame by frame: `forward` holds, for each
state, how probable it is to be there, `backward`, how probable the rest of the text is from there. A state follows
itself, the state before it, or, where it is a character unlike the one before, the state two before. Both go by
logarithms in double precision, since a product of a hundred probabilities has no place in float32.

Source: Graves et al. 2006, "Connectionist Temporal Classification".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.ir import (
    PROBABILITIES,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Flag,
    Natural,
    Operator,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    loss,
)
from graphdsl.ir import operator as registered
from graphdsl.ops import expression as e
from graphdsl.ops.crossentropy import SMALLEST
from graphdsl.ops.elementwise import formula
from graphdsl.ops.reduce import DimNumber, sum_over
from graphdsl.ops.shape import reshape
from graphdsl.ops.softmax import Softmax
from graphdsl.report import dataclass

Lengths = tuple[Array, ...]


@dataclass(frozen=True)
class Aligned(Operator):
    """What both forms of the loss say of themselves.

    blank       which of the outputs is the blank; class k of the text is output k before it, k + 1 from it on
    frames      whether the lengths of x are an operand
    characters  whether the lengths of the texts are an operand
    skip        a text that no way can write counts 0, else infinity
    """

    remedy = (
        "a text that is too long for its frames costs infinity: let the network keep more frames, leave such samples "
        "out with `ctc(zero_infinity=true)`, or, where all texts fit, lower the learning rate"
    )

    blank: int
    frames: bool = False
    characters: bool = False
    skip: bool = False

    def demand(self, *operands: TensorType) -> TensorType:
        """The type of the loss. Raises TypeRuleError."""
        x, text, *lengths = operands
        if x.rank != 3 or not x.dtype.is_float or text.rank != 2 or text.dtype.is_float or text.shape[0] != x.shape[0]:
            wanted = "[batch, frames, outputs] and whole [batch, characters]"
            raise TypeRuleError(f"{self.name} needs {wanted}, got {x} and {text}")
        if isinstance(x.channels, int) and not 0 <= self.blank < x.channels:
            raise TypeRuleError(f"no output {self.blank} of {x.channels}", code="E0305", attribute="blank")
        if len(lengths) != self.frames + self.characters or any(t.shape != x.shape[:1] for t in lengths):
            raise TypeRuleError(f"{self.name} needs lengths, one a sample", operand=len(operands) - 1)
        return TensorType(x.shape[:1], x.dtype)

    def sizes(self, x: Array, text: Array, lengths: Lengths) -> tuple[Array, Array]:
        """How many frames and characters of each sample are real."""
        own = iter(lengths)
        frames = next(own) if self.frames else np.full(len(x), x.shape[1])
        characters = next(own) if self.characters else np.full(len(x), text.shape[1])
        return frames, characters

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        x, text = inputs[:2]
        return x.count * 7 + x.shape[0] * x.shape[1] * (text.shape[1] * 2 + 1) * 20


@registered("ctc")
@dataclass(frozen=True)
class Ctc(Aligned):
    """- log of the probability that frames say a text, from probabilities.

    p        [batch, frames, outputs], probabilities; those below 1e-7 count as 1e-7 and get no gradient
    text     whole numbers [batch, characters]
    lengths  int32 [batch], of the frames, of the texts: where there are any
    returns  [batch]

    Always simplifies to `softmax_ctc`: of the scores where p comes from a softmax, of log p elsewhere.
    """

    def type(self, *inputs: TensorType) -> TensorType:
        return self.demand(*inputs)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,), (p, *rest) = d, inputs
        if dy is None:
            return (None,) * len(inputs)
        slope = b.emit_all(self.of_scores, _logarithm(b, p), *rest)[1]
        each = reshape(b, dy, (*dy.type.shape, 1, 1))
        dp = formula(b, lambda p, s, g: e.where(p > SMALLEST, s / p * g, 0), p, slope, each, title="ctc_gradient")
        return dp, *(None,) * len(rest)

    @property
    def of_scores(self) -> SoftmaxCtc:
        """The same of scores."""
        return SoftmaxCtc(self.blank, self.frames, self.characters, self.skip)

    def reference(self, p: Array, text: Array, *lengths: Array) -> Array:  # type: ignore[override]
        return self.of_scores.reference(np.log(np.maximum(p, p.dtype.type(SMALLEST))), text, *lengths)[0]

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        p, *rest = inputs
        scores = b.operands(p)[0] if isinstance(b.operation(p), Softmax) else _logarithm(b, p)
        return b.emit_all(self.of_scores, scores, *rest)[0]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, text, frames, characters = _arrays()
        p = Softmax().reference(x)
        certain = np.array([[[0.0, 1.0], [1.0, 0.0]]])
        return [
            Sample(cls(4, True, True), (p, text, frames, characters)),
            Sample(cls(1), (certain, np.array([[0]], np.int32)), smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return _bad(cls)


@registered("softmax_ctc")
@dataclass(frozen=True)
class SoftmaxCtc(Aligned):
    """- log of the probability that frames say a text, from the scores before a softmax, and its slope.

    x        [batch, frames, outputs], scores
    text     whole numbers [batch, characters]
    lengths  int32 [batch], of the frames, of the texts: where there are any
    returns  the loss [batch], and its slope, the shape of x: softmax(x) minus how probable it is, given the text, that
             a frame says this; 0 behind the last frame, and where no way can write the text; of these, those that it
             gives

    A text that no way can write (more characters, and blanks between equal ones, than frames) counts infinity, as in
    PyTorch, or 0 with skip. NaN in any frame makes the loss of its sample NaN.

    gives  which of the two results there are, by number
    """

    gives: tuple[int, ...] = (0, 1)

    def type(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        each = self.demand(*inputs)
        results = each, TensorType(inputs[0].shape, inputs[0].dtype)
        return tuple(results[i] for i in self.gives)

    def narrowed(self, read: Collection[int]) -> Operator:
        return replace(self, gives=tuple(self.gives[i] for i in sorted(read)))

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        if d[0] is None:
            return (None,) * len(inputs)
        each = reshape(b, d[0], (*d[0].type.shape, 1, 1))
        dx = formula(b, lambda s, g: s * g, outputs[1], each, title="ctc_gradient")
        return dx, *(None,) * (len(inputs) - 1)

    def reference(self, x: Array, text: Array, *lengths: Array) -> tuple[Array, ...]:  # type: ignore[override]
        each, slope = np.zeros(len(x), x.dtype), np.zeros_like(x)
        for i, (frames, characters) in enumerate(zip(*self.sizes(x, text, lengths), strict=True)):
            each[i], slope[i, :frames] = self._of_one(x[i, :frames].astype(np.float64), text[i, :characters])
        return tuple((each, slope)[i] for i in self.gives)

    def _of_one(self, x: Array, text: Array) -> tuple[float, Array]:
        states = states_of(text, self.blank)
        logs = x - np.logaddexp.reduce(x, axis=-1, keepdims=True)
        forward = _walked(logs[:, states], states)
        backward = _walked(logs[::-1][:, states[::-1]], states[::-1])[::-1, ::-1]
        ends = forward[-1, -2:] if len(x) else np.where(len(text), -np.inf, [0.0])
        total = float(np.logaddexp.reduce(ends))
        if total == -np.inf:
            return 0.0 if self.skip else np.inf, np.zeros_like(x)
        with np.errstate(invalid="ignore"):
            through = np.exp(forward + backward - logs[:, states] - total)
        said = np.zeros_like(x.T)
        np.add.at(said, states, np.where(forward + backward == -np.inf, 0, through).T)
        return -total, np.exp(logs) - said.T

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, text, frames, characters = _arrays()
        whole = x[:2], text[:2, :3]
        sure = np.where(np.arange(4) == np.array([3, 0, 0, 3, 1])[:, None], 90.0, -90.0)[None]
        impossible = x[:1, :2], np.array([[1, 1]], np.int32)
        return [
            Sample(cls(4), whole, smooth=(0,), results=(0,), torch=_torch(4)),
            Sample(cls(0), whole, smooth=(0,), results=(0,), torch=_torch(0)),
            Sample(cls(2, True, True), (x, text, frames, characters), smooth=(0,), results=(0,)),
            Sample(cls(4, characters=True), (x, text, characters), smooth=(0,), results=(0,)),
            Sample(cls(4, frames=True), (x, text[:, :2], np.maximum(frames, 4)), smooth=(0,), results=(0,)),
            Sample(cls(4, gives=(0,)), whole, smooth=()),
            Sample(cls(4, gives=(1,)), whole, smooth=()),
            Sample(cls(3), (sure, np.array([[0, 1]], np.int32)), smooth=(0,), results=(0,)),
            Sample(cls(4, skip=True), impossible, smooth=()),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return _bad(cls)


def states_of(text: Array, blank: int) -> Array:
    """The outputs that a text passes through: a blank, then each character and a blank."""
    states = np.full(2 * len(text) + 1, blank, np.int64)
    states[1::2] = text + (text >= blank)
    return states


def _walked(logs: Array, states: Array) -> Array:
    """[frames, states]: log of how probable it is to have come to a state, its own frame included.

    logs  [frames, states], of what each state says in each frame
    """
    leaps = np.zeros(len(states), bool)
    leaps[2:] = states[2:] != states[:-2]
    leaps[::2] = False
    found = np.full_like(logs, -np.inf)
    before = np.full(len(states) + 2, -np.inf)
    before[1] = 0.0
    for frame, own in enumerate(logs):
        leapt = np.where(leaps | (frame == 0), before[:-2], -np.inf)
        found[frame] = np.logaddexp(np.logaddexp(before[2:], before[1:-1]), leapt) + own
        before[:2], before[2:] = -np.inf, found[frame]
    return found


def _logarithm(b: Builder, p: Value) -> Value:
    return formula(b, lambda p: e.log(e.maximum(p, SMALLEST)), p, title="log")


def _arrays() -> tuple[Array, ...]:
    """Scores, texts, lengths of both: 5 samples, 7 frames, 5 outputs, 3 characters. Equal neighbours among them."""
    x = np.sin(np.arange(175.0) * 0.7).reshape(5, 7, 5) * 2
    text = np.array([[1, 1, 2], [0, 3, 0], [2, 2, 2], [3, 0, 0], [1, 3, 2]], np.int32)
    return x, text, np.array([7, 6, 5, 1, 4], np.int32), np.array([3, 2, 3, 0, 1], np.int32)


def _torch(blank: int) -> Callable[..., Any]:
    def made(torch: Any, x: Any, text: Any) -> Any:
        places = text.long() + (text >= blank)
        sizes = (torch.full(x.shape[:1], x.shape[1]), torch.full(text.shape[:1], text.shape[1]))
        logs = x.log_softmax(-1).transpose(0, 1)
        return (torch.nn.functional.ctc_loss(logs, places, *sizes, blank=blank, reduction="none"),)

    return made


def _bad(cls: type[Aligned]) -> Sequence[BadSample]:
    x, text = TensorType((2, 7, 5)), TensorType((2, 3), DType.INT32)
    lengths = TensorType((3,), DType.INT32)
    return [
        BadSample(cls(4), (TensorType((2, 5)), text)),
        BadSample(cls(4), (x, TensorType((2, 3)))),
        BadSample(cls(5), (x, text), "E0305"),
        BadSample(cls(4, True), (x, text, lengths)),
        BadSample(cls(4, True), (x, text)),
    ]


# --- the loss --------------------------------------------------------------------------------------------------------


@loss("ctc")
def ctc(
    b: Builder, prediction: Value, target: Value, *, blank: Natural | None = None, zero_infinity: Flag = False
) -> Value:
    """A text, read of frames of which nobody says which says what: the mean over samples of - log p(text).

    prediction     probabilities [frames, n + 1], from `softmax`: a class for each of n characters, and the blank
    target         the text: `int(n)[L]`, as many characters as each sample has
    blank          which output is the blank; none: the last, as in TensorFlow. 0 is PyTorch's, class k of the target is
                   then output k + 1
    zero_infinity  a text that is too long for its frames counts 0; else it is infinitely bad, which stops a run

    p(text) sums over all ways of writing the text: a character or a blank for each frame, equal neighbours being one
    character and blanks none. So two equal characters need a blank between them. Frames and texts of free lengths count
    as long as they are. `ctc_greedy` and `ctc_beam` read the text of a prediction. After a softmax it is computed from
    the scores, in double precision. A text that is too long has gradient 0.

    E0303  the prediction is not of probabilities: end it with `softmax`; the target is not of classes
    E0304  the prediction has no output for every class and the blank, or is no sequence
    E0305  there is no such blank

    Source: Graves et al. 2006.
    """
    place = demand_outputs(b, prediction, target, blank)
    lengths = [b.lengths(v.type.shape[1]) for v in (prediction, target)]
    op = Ctc(place, lengths[0] is not None, lengths[1] is not None, zero_infinity)
    each = b.emit(op, prediction, target, *(v for v in lengths if v is not None))
    samples = b.emit(DimNumber(each.type.shape[0], each.type.dtype), name="samples")
    total = sum_over(b, each, (0,))
    return formula(b, lambda s, n: s / e.maximum(n, 1), total, samples, title="mean")


def demand_outputs(b: Builder, prediction: Value, target: Value, blank: int | None) -> int:
    """Which output is the blank. Raises TypeRuleError where prediction and target do not suit each other."""
    place = demand_frames("ctc", prediction.type, blank)
    if target.type.kind.name != "indices" or target.type.rank != 2:
        raise TypeRuleError(
            f"ctc compares with a text, `int(n)[L]`, got {target.type.describe()}", code="E0303", operand=1
        )
    classes, outputs = target.type.kind.classes, prediction.type.channels
    if outputs != classes + 1:
        raise TypeRuleError(
            f"the prediction has {outputs} outputs, the target {classes} classes, and there is the blank",
            code="E0304",
            operand=0,
            help=f"the last layer before `softmax` should have {classes + 1} outputs, as `dense({classes + 1})`",
        )
    return place


def demand_frames(title: str, x: TensorType, blank: int | None) -> int:
    """Which output of probabilities [frames, outputs] is the blank. Raises TypeRuleError E0303, E0304, E0305."""
    if x.kind != PROBABILITIES:
        raise TypeRuleError(
            f"{title} needs probabilities, got plain {x.describe()}",
            code="E0303",
            operand=0,
            help="end the prediction with `softmax`",
        )
    if x.rank != 3 or not isinstance(x.channels, int) or x.channels < 2:
        help = "of a picture, `reshape` makes columns the frames"
        raise TypeRuleError(f"{title} reads [frames, classes], got {x.describe()}", code="E0304", operand=0, help=help)
    if blank is not None and blank >= x.channels:
        raise TypeRuleError(f"there is no output {blank} among {x.channels}", code="E0305", attribute="blank")
    return x.channels - 1 if blank is None else blank
