"""Operators that work element by element: each is a formula.

All of them are one operator class, Elementwise, with different trees: passes can differentiate and merge them, and
backends compile them, without knowing a single name.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from functools import cached_property, partial
from typing import Any, ClassVar, get_type_hints

import numpy as np

from graphdsl.ir import (
    LAYERS,
    PLAIN,
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Entry,
    Fusion,
    Kind,
    Moving,
    Operator,
    Sample,
    Setting,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    domain_of,
    operator,
)
from graphdsl.ops import expression as e
from graphdsl.ops.demand import demand_equal
from graphdsl.ops.expression import Expression, Operand, Scalar
from graphdsl.ops.reduce import sum_to
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass


@operator("elementwise")
@dataclass(frozen=True)
class Elementwise(Operator):
    """A formula, applied where the operands' elements meet.

    operands  any shapes that broadcast as NumPy's do (axes are matched from the last; size 1 stretches)
    returns   the common shape; a truth value for comparisons, else the widest float among the operands

    title  what people call it; two formulas that are equal are the same operation whatever they are called
    kind   what the result means
    """

    tree: Expression
    arity: int
    kind: Kind = PLAIN
    title: str = field(default="elementwise", compare=False)
    fusion: ClassVar[Fusion] = Fusion.ELEMENTWISE

    def type(self, *inputs: TensorType) -> TensorType:
        if len(inputs) != self.arity:
            raise TypeRuleError(f"{self.title} takes {self.arity} tensors, got {len(inputs)}")
        return TensorType(broadcast(self.title, [t.shape for t in inputs]), self._dtype(inputs), self.kind)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        (dy,) = d
        if dy is None:
            return (None,) * self.arity
        return tuple(self._operand_gradient(b, i, (*inputs, *outputs), dy) for i in range(self.arity))

    def reference(self, *arrays: Array) -> Array:
        dtype = self._dtype([TensorType(a.shape, DType(a.dtype.name)) for a in arrays])
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        return np.broadcast_to(e.compute(self.tree, arrays), shape).astype(dtype.numpy)

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        rank = max(o.whole.rank for o in operands)
        axes = {o.axis + rank - o.whole.rank for o in operands if o.axis is not None}
        if len(axes) > 1:
            raise TypeRuleError("the steps of its operands stand on different axes")
        (axis,) = axes
        return ((s.b.emit(self, *(_at_step(s, o, axis - rank + o.whole.rank) for o in operands)), axis),)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * e.work(self.tree)

    def _dtype(self, inputs: Sequence[TensorType]) -> DType:
        if e.gives_truth(self.tree):
            return DType.BOOL
        found = [t.dtype for t in inputs]
        floats = [d for d in found if d.is_float]
        return max(floats, key=lambda d: d.size) if floats else max(found, key=lambda d: d.size, default=DType.FLOAT32)

    def _operand_gradient(self, b: Builder, index: int, values: tuple[Value, ...], dy: Value) -> Value | None:
        """values: the operands, then the result, which is read in place of operands where it can be."""
        tree = e.derivative(self.tree, index)
        if tree == e.Literal(0.0) or not values[index].type.dtype.is_float:
            return None
        through = e.replaced(tree, self.tree, Operand(self.arity))
        shorter = len(e.operands_of(through)) <= len(e.operands_of(tree))
        made = chain(b, through if shorter else tree, values, dy, f"{self.title}_gradient")
        return sum_to(b, made, values[index].type.shape)

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [sample for formula in FORMULAS.values() for sample in formula.samples()]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        pair = cls(Operand(0) + Operand(1), 2, title="add")
        return [BadSample(pair, (TensorType((2, 3)), TensorType((2, 4))))]


def _at_step(s: Stepper, operand: Moving, axis: int) -> Value:
    """The operand at this step: its row where it stands still and has one for every step."""
    rows = operand.axis is None and axis >= 0 and operand.whole.shape[axis] != 1
    return s.row(operand, axis) if rows else operand.value


def chain(b: Builder, tree: Expression, inputs: tuple[Value, ...], dy: Value, title: str) -> Value:
    """tree (over inputs) times dy."""
    return over(b, tree * Operand(len(inputs)), (*inputs, dy), title)


def over(b: Builder, tree: Expression, values: Sequence[Value], title: str, name: str = "") -> Value:
    """Emits tree over those of the values that it reads."""
    used = e.operands_of(tree)
    places: list[Expression] = [Operand(0)] * len(values)
    for position, index in enumerate(used):
        places[index] = Operand(position)
    op = Elementwise(e.substitute(tree, places), len(used), title=title)
    return b.emit(op, *(values[i] for i in used), name=name or title)


def formula(b: Builder, function: Callable[..., Scalar], *values: Value, title: str) -> Value:
    """Emits a formula written as a Python function: `formula(b, lambda x, y: x * y, a, c, title="scale")`."""
    tree = function(*(Operand(i) for i in range(len(values))))
    if not isinstance(tree, Expression):
        tree = e.Literal(float(tree))
    return b.emit(Elementwise(tree, len(values), title=title), *values, name=title)


def broadcast(title: str, shapes: Sequence[tuple[Dim, ...]]) -> tuple[Dim, ...]:
    """The common shape, by NumPy's rule; raises TypeRuleError."""
    rank = max((len(s) for s in shapes), default=0)
    common: list[Dim] = [1] * rank
    for index, shape in enumerate(shapes):
        for axis, size in enumerate(shape, rank - len(shape)):
            common[axis] = _meet(title, shapes, index, common[axis], size)
    return tuple(common)


def _meet(title: str, shapes: Sequence[tuple[Dim, ...]], index: int, common: Dim, size: Dim) -> Dim:
    if common == 1 or size in (1, common):
        return size if common == 1 else common
    got = " and ".join(TensorType(s).describe() for s in shapes)
    raise TypeRuleError(f"{title} needs equal shapes, got {got}", operand=index)


# --- formulas of the language ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Formula:
    """A named formula with the range it is tested over.

    torch     the same as a function of (torch module, operands, settings), None where PyTorch has none
    examples  the settings it is tested with
    """

    name: str
    function: Callable[..., Scalar]
    kind: Kind
    low: float
    high: float
    torch: Callable[..., Any] | None
    examples: Sequence[Mapping[str, Any]]

    def operator(self, **settings: Any) -> Elementwise:
        """The operator with these settings."""
        tree = self.function(*(Operand(i) for i in range(self.arity)), **settings)
        return Elementwise(tree if isinstance(tree, Expression) else e.Literal(tree), self.arity, self.kind, self.name)

    @cached_property
    def arity(self) -> int:
        return len(self.operands)

    @cached_property
    def operands(self) -> tuple[str, ...]:
        kinds = inspect.signature(self.function).parameters.values()
        return tuple(p.name for p in kinds if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD)

    def samples(self) -> Sequence[Sample]:
        """Values spread over the range, none at a kink at zero or at an end."""
        count = 2 * 3 * 4
        steps = (np.arange(count * self.arity) * 0.618033988749895) % 1.0
        arrays = np.split(self.low + (self.high - self.low) * (0.0137 + 0.97 * steps), self.arity)
        given = tuple(a.reshape(2, 3, 4) for a in arrays)
        return [self._sample(given, settings) for settings in self.examples]

    def _sample(self, given: tuple[Array, ...], settings: Mapping[str, Any]) -> Sample:
        op = self.operator(**settings)
        smooth = tuple(i for i in range(self.arity) if e.derivative(op.tree, i) != e.Literal(0.0))
        return Sample(op, given, smooth, torch=partial(self.torch, **settings) if self.torch else None)


FORMULAS: dict[str, Formula] = {}


def elementwise(
    name: str = "",
    *,
    kind: Kind = PLAIN,
    low: float = -3.0,
    high: float = 3.0,
    torch: Callable[..., Any] | None = None,
    examples: Sequence[Mapping[str, Any]] = ({},),
) -> Callable[[Callable[..., Scalar]], Callable[..., Scalar]]:
    """Decorator: makes a formula a layer of the language, under its name or the one given.

    Keyword-only parameters are its settings; the others are tensors of one shape.
    """

    def register(function: Callable[..., Scalar]) -> Callable[..., Scalar]:
        word = name or function.__name__
        made = Formula(word, function, kind, low, high, torch, examples)
        FORMULAS[word] = made
        LAYERS.add(_entry(made))
        return function

    return register


def _entry(made: Formula) -> Entry:
    def build(b: Builder, *xs: Value, **settings: Any) -> Value:
        for position, x in enumerate(xs):
            demand_float(made.name, x.type, position)
        demand_equal(made.name, xs)
        return b.emit(made.operator(**settings), *xs, name=made.name)

    function = made.function
    hints = get_type_hints(function, include_extras=True)
    keyword_only = [
        p for p in inspect.signature(function).parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    settings = tuple(Setting(p.name, domain_of(hints[p.name]), p.default) for p in keyword_only)
    return Entry("layer", made.name, made.operands, settings, inspect.getdoc(function) or "", build)
