"""What is done to every sample before it enters the network, in training as in use: `preprocess` of a spec.

Steps are applied in the order in which they are written. There are three sorts:

    ColumnStep   takes a whole column at once, when data are bound: texts become numbers, sequences are cut. One that is
                 `Fitted` first learns from the rows that are trained on; what it has learned, its state, is kept
                 with the weights.
    Step         works batch by batch. Those that say where pixels are (`resize`, `crop`, `bgr` …) work on the bytes of
                 a picture, whatever its size. From the first step that counts on (`subtract`, `normalize` …) numbers
                 are float32:

    bytes 0..255 ── resize ── bgr ──┬── subtract ── divide ──> as they then stand
                                    ├── normalize ───────────> bytes count as 0..1 here
                                    └────────────────────────> 0..1, as without `preprocess`

Numbers that are no bytes are never scaled without being told. Changes at random (`augment`) come before the first step
that counts, and see pictures as 0..1. A Step before a ColumnStep is done to the whole column too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, ClassVar

from graphdsl.data.boxes import WHOLE, Part
from graphdsl.data.column import Array, Column, Shape
from graphdsl.data.vocabulary import Vocabulary
from graphdsl.data.wanted import Wanted
from graphdsl.ir import Registry
from graphdsl.report import Failed, Span, dataclass, fail

STEPS = Registry("preprocess")

MOST_PIXELS = 80_000_000
"""Of a picture, as it lies in a file and after each step."""

PLAIN = 1 / 255
"""What bytes are multiplied with where no step counts."""

State = Mapping[str, tuple[Any, ...]]
"""What a step has learned: lists of texts or of numbers, by name. It is kept as JSON."""


class Step(ABC):
    """A step that works batch by batch. Concrete ones are frozen dataclasses whose fields are the settings.

    counts   it changes numbers, so bytes are floats from here on
    unit     what bytes are multiplied with where it is the first such step
    coloured it says how many channels there are, and reads three
    """

    counts: ClassVar[bool] = False
    unit: ClassVar[float] = 1.0
    coloured: ClassVar[bool] = False

    @abstractmethod
    def apply(self, values: Array) -> Array:
        """The batch [n, height, width, channels], or for steps that count [n, …, channels], after the step."""

    @abstractmethod
    def shape(self, shape: Shape) -> Shape:
        """The shape of a sample after the step; None for sizes that differ. Raises E0518 when it cannot be done."""

    def part(self, height: int, width: int) -> Part:
        """Which part of a picture of this size is seen after the step."""
        return WHOLE


@dataclass(frozen=True)
class Use:
    """What a step works for: a column by its name, the input or target it goes to, and how its rows are called."""

    column: str
    wanted: Wanted
    place: Callable[[int], str]


class ColumnStep(ABC):
    """A step that takes a whole column at once, when data are bound."""

    @abstractmethod
    def suit(self, wanted: Wanted) -> None:
        """Raises E0518 where an input or target of this type cannot be meant. Asked before there are data."""

    @abstractmethod
    def change(self, column: Column, state: State, use: Use) -> Column:
        """The column after the step. state: empty for steps that learn nothing. Raises E05xx where it cannot be done"""


class Fitted(ColumnStep):
    """A step that learns from the rows that are trained on.

    together   the inputs and targets that a recipe names share what is learned; else each has a state of its own
    """

    together: ClassVar[bool] = True

    @property
    @abstractmethod
    def learns(self) -> tuple[str, ...]:
        """The lists that its state has; empty where its settings say all."""

    def knows(self, state: State) -> bool:
        """Whether state, which may come from any file, is one of this step's."""
        return set(self.learns) <= set(state)

    @abstractmethod
    def fit(self, columns: Sequence[Column], uses: Sequence[Use]) -> State:
        """What is learned. columns: the training rows of all that share it."""


class Spelling(Fitted):
    """A step that makes numbers of names: of words, letters, categories."""

    @abstractmethod
    def vocabulary(self, state: State) -> Vocabulary:
        """What the numbers stand for."""


AnyStep = Step | ColumnStep


@dataclass(frozen=True)
class Preprocess:
    """The steps for one input or target, and where the spec writes them.

    keys   what the state of each step is kept under; names that one recipe names together share it
    """

    steps: tuple[AnyStep, ...] = ()
    span: Span | None = None
    keys: tuple[str, ...] = ()

    @property
    def whole(self) -> int:
        """How many steps are done to whole columns: up to the last that takes one."""
        return max((i + 1 for i, step in enumerate(self.steps) if isinstance(step, ColumnStep)), default=0)

    @property
    def batchwise(self) -> tuple[Step, ...]:
        """The steps behind those."""
        return tuple(step for step in self.steps[self.whole :] if isinstance(step, Step))

    @property
    def placing(self) -> tuple[Step, ...]:
        """Of the steps batch by batch, those before the first that counts."""
        return tuple(takewhile(lambda step: not step.counts, self.batchwise))

    @property
    def counting(self) -> tuple[Step, ...]:
        """Of the steps batch by batch, those from the first that counts on."""
        return self.batchwise[len(self.placing) :]

    @property
    def unit(self) -> float:
        """What bytes of pictures are multiplied with before the steps that count."""
        return self.counting[0].unit if self.counting else PLAIN

    def channels(self, wanted: int) -> int:
        """How many channels of a picture are read for a network that takes so many."""
        return 3 if any(step.coloured for step in self.batchwise) else wanted


NO_STEPS = Preprocess()


def applied(steps: Sequence[Step], values: Array) -> Array:
    """The batch after all steps."""
    for step in steps:
        values = step.apply(values)
    return values


def shaped(steps: Sequence[Step], shape: Shape) -> Shape:
    """The shape of a sample after all steps. Raises E0518: steps that move pixels need pictures."""
    for step in steps:
        if not step.counts and len(shape) != 3:
            message = "only pictures, `float[height, width, channels]`, can be scaled, cut or recoloured"
            raise cannot(message, "leave the step out, or declare the input as a picture")
        shape = step.shape(shape)
    return shape


def seen(steps: Sequence[Step], height: int, width: int) -> Part:
    """Which part of a picture of this size is seen after all steps."""
    left, top, wide, high = WHOLE
    for step in steps:
        inner = step.part(height, width)
        left, top = left + inner[0] * wide, top + inner[1] * high
        wide, high = wide * inner[2], high * inner[3]
        height, width = (int(size or 0) for size in step.shape((height, width, None))[:2])
    return left, top, wide, high


def counted(channels: int) -> str:
    """In words, for messages."""
    return "there is 1 channel" if channels == 1 else f"there are {channels} channels"


def cannot(message: str, help: str) -> Failed:
    """E0518: the step cannot be done."""
    return fail("E0518", message, help=help)
