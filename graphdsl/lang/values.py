"""What an expression can stand for, beside numbers, texts, none, sizes, lists (tuples), Made records and Values."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from graphdsl.ir import Made, Symbolic, TensorType, Value, show
from graphdsl.lang import ast
from graphdsl.report import Span, dataclass

if TYPE_CHECKING:
    from graphdsl.lang.frame import Frame

Datum = Any


@dataclass(frozen=True)
class Unknown:
    """Something that was told about already. Whatever is made of it is Unknown too, without a word."""


UNKNOWN = Unknown()


@dataclass(frozen=True)
class BlockWord:
    """A block, ready to be used: its text and the frame it was defined in, with the names defined before it."""

    definition: ast.Block
    home: Frame


@dataclass(slots=True)
class SharedWord:
    """A shared layer: its text, the frame it was defined in, where its weights live, and how often it was used."""

    definition: ast.Shared
    home: Frame
    weights: str
    uses: int = 0


@dataclass(frozen=True)
class ModelWord:
    """`model`, the layer that is a whole spec."""


@dataclass(frozen=True)
class SlideWord:
    """`slide`, a whole spec at every window of a picture."""


WHOLE_SPECS: dict[str, ModelWord | SlideWord] = {"model": ModelWord(), "slide": SlideWord()}
"""Words of the language that take the file of a spec."""


@dataclass(frozen=True)
class RecipeWord:
    """`preprocess`: what is done to samples before they flow in. Nothing reads it."""


@dataclass(frozen=True)
class TargetTensor:
    """The truth: only sections may read it. value is None inside a model that is used as a layer."""

    name: str
    value: Value | None


@dataclass(frozen=True)
class Watched:
    """What `[class, label] -> accuracy` stands for in a section."""

    metric: Made
    prediction: Value
    target: Value | None


@dataclass(frozen=True)
class Flow:
    """What flows into a stage and where it was written: a span for each item of a list, else one for all."""

    data: Datum
    spans: tuple[Span, ...] = field(default=())

    def span(self, index: int) -> Span:
        return self.spans[index] if index < len(self.spans) else self.spans[-1]

    @property
    def itemised(self) -> bool:
        """Whether each tensor has a place of its own."""
        return isinstance(self.data, tuple) and len(self.spans) == len(self.data) > 1


def is_unknown(data: Datum) -> bool:
    """Whether data is Unknown or a list that holds it."""
    return data is UNKNOWN or (isinstance(data, tuple) and any(map(is_unknown, data)))


def is_number(data: Datum) -> bool:
    """Whole or not; a truth value is none, a size that is known only at run time is one."""
    return isinstance(data, int | float | Symbolic) and not isinstance(data, bool)


def sample_shape(type: TensorType) -> tuple[Any, ...]:
    """The shape people see: without the batch axis."""
    return type.shape[1:] if type.batched else type.shape


def article(word: str) -> str:
    """`a loss`, `an optimizer`"""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def describe(data: Datum) -> str:
    """A noun phrase for messages."""
    match data:
        case Value():
            return f"a tensor {data.type.describe()}"
        case tuple():
            return f"a list of {len(data)}"
        case BlockWord():
            return f"the block `{data.definition.name.name}`"
        case SharedWord():
            return f"the shared layer `{data.definition.name.name}`"
        case RecipeWord():
            return "a recipe for samples"
        case TargetTensor():
            return f"the target `{data.name}`"
        case Made():
            return f"the {data.kind} `{data.name}`"
        case Watched():
            return f"the metric `{data.metric.name}`"
        case str():
            return f"the text {show(data)}"
        case None | bool():
            return show(data)
        case int() | float() | Symbolic():
            return f"the number {data if isinstance(data, Symbolic) else show(data)}"
    return show(data)
