"""What an operator must be able to say of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field, fields, replace
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from graphdsl.ir.dim import Dim, Symbolic, evaluate
from graphdsl.ir.types import TensorType
from graphdsl.report import dataclass

if TYPE_CHECKING:
    from graphdsl.ir.builder import Builder
    from graphdsl.ir.graph import Value
    from graphdsl.ir.stepping import Moving, Stepper, Streamed

Array = np.ndarray[Any, Any]
Types = TensorType | tuple[TensorType, ...]
Cotangents = tuple["Value | None", ...]


class Fusion(Enum):
    """How far a kernel of this operator may be merged with its neighbours (the idea of declaring it is TVM's)."""

    SOURCE = "makes a tensor of nothing: input, weight, constant"
    ELEMENTWISE = "each result element depends on the elements at its own place"
    REDUCTION = "sums over axes"
    VIEW = "the same memory, seen in another shape"
    OPAQUE = "a kernel of its own"


class TypeRuleError(Exception):
    """An operator refuses its operands or settings. It knows no text; whoever reads the spec adds the place.

    operand    index of the operand to blame, None for all of them
    attribute  name of the setting to blame, empty for none
    """

    def __init__(
        self, message: str, *, code: str = "E0301", operand: int | None = None, attribute: str = "", help: str = ""
    ) -> None:
        Exception.__init__(self, message)
        self.message = message
        self.code = code
        self.operand = operand
        self.attribute = attribute
        self.help = help


@dataclass(frozen=True)
class Sample:
    """One legal use of an operator, for the conformance suite.

    arrays      the operands; float arrays are swept in float32 and float64 and differentiated
    smooth      operands (by index) whose gradient is checked; None: every float operand that the operator
                differentiates
    results     results (by index) that a gradient comes from, the others being kept for the backward pass; None: every
                float result
    torch       the same in PyTorch: a function of the tensors; None where PyTorch has no such thing
    """

    operator: Operator
    arrays: tuple[Array, ...]
    smooth: tuple[int, ...] | None = None
    results: tuple[int, ...] | None = None
    torch: Callable[..., Any] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class BadSample:
    """A use that must be refused, with the code of the error it must give."""

    operator: Operator
    types: tuple[TensorType, ...]
    code: str = "E0301"


class Operator(ABC):
    """One operation. Concrete ones are frozen dataclasses; the fields are settings, equal fields the same operation.

    Operand and result shapes are whole: the batch axis, where there is one, is written first.
    """

    name: ClassVar[str]
    fusion: ClassVar[Fusion] = Fusion.OPAQUE
    pure: ClassVar[bool] = True
    """Two equal calls on equal operands may be merged into one."""
    remedy: ClassVar[str] = "lower the learning rate, or limit the gradients with `clip_norm=1`"
    """What to do where a result is no finite number although the operands are."""

    @abstractmethod
    def type(self, *inputs: TensorType) -> Types:
        """The types of the results; raises TypeRuleError."""

    @abstractmethod
    def reference(self, *arrays: Array) -> Array | tuple[Array, ...]:
        """The meaning, in NumPy: clear before fast. Operands are never changed."""

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        """Emits the gradient of the operands from that of the results (None: zero). None: nothing flows there."""
        return (None,) * len(inputs)

    def simplify(self, b: Builder, inputs: tuple[Value, ...]) -> Value | None:
        """An equal value that is simpler or more stable, or None."""
        return None

    def narrowed(self, read: Collection[int]) -> Operator | None:
        """The operator that gives only these of the results, in their order. None: it cannot do less."""
        return None

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        """Emits what it does at one step of a sequence that is read step by step, with s.b.

        operands  at one step; at least one of them has an axis of steps, none sums up the steps so far
        Gives each result with the axis of its steps. Raises TypeRuleError where it needs later steps. What it must
        remember is a state: `s.state`, `s.carry`. `s.apart` does for whatever mixes no steps.
        """
        raise TypeRuleError(f"{self.name} cannot be done step by step")

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        """Multiplications and additions, counted apart; 0 where only memory moves."""
        return 0

    def bound(self, binding: Mapping[str, int]) -> Operator:
        """The same operator with every symbolic size among its fields turned into a number."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]
        new = {name: _bind(value, binding) for name, value in known.items()}
        changed = {name: value for name, value in new.items() if value != known[name]}
        return replace(self, **changed) if changed else self  # type: ignore[type-var]

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        """Legal uses; the conformance suite sweeps them over backends and types."""
        return ()

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        return ()


class ModalOperator(Operator):
    """An operator that trains and serves differently: dropout, batch normalisation. `specialise` replaces it."""

    learns: ClassVar[bool] = False
    """The weights that it updates in training are what there is to learn, not averages: it needs no loss."""

    @abstractmethod
    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """Emits what it does in training; may record updates of weights with b.update."""

    @abstractmethod
    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """Emits what it does when the model is used."""

    def reference(self, *arrays: Array) -> Array | tuple[Array, ...]:
        raise AssertionError(f"specialise replaces {self.name} before anything runs")


def _bind(value: Any, binding: Mapping[str, int]) -> Any:
    if isinstance(value, Symbolic):
        return int(evaluate(value, binding))
    if isinstance(value, tuple):
        return tuple(_bind(v, binding) for v in value)
    return value.bound(binding) if isinstance(value, Operator) else value


T = TypeVar("T", bound=Operator)

OPERATORS: dict[str, type[Operator]] = {}
"""Every operator by name: what printed graphs are read back with, and what the conformance suite sweeps."""


def operator(name: str) -> Callable[[type[T]], type[T]]:
    """Names and registers an operator class."""

    def register(cls: type[T]) -> type[T]:
        if name in OPERATORS:
            raise AssertionError(f"two operators are called {name}")
        cls.name = name
        OPERATORS[name] = cls
        return cls

    return register
