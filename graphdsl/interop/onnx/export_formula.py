"""Formulas as chains of ONNX operators; what ONNX has a word for becomes that word (see export_words.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from graphdsl.interop.onnx.export_sheet import LAST, Order, Sheet, first
from graphdsl.interop.onnx.export_words import EXPONENTIAL, NUMBER, word_of
from graphdsl.ir import Constant, DType, Value, Weight
from graphdsl.ops import Elementwise, expression
from graphdsl.ops.expression import Apply, Expression, Literal, Operand

REWRITES: Mapping[str, Callable[[Expression], Expression]] = {
    "expm1": lambda x: expression.exp(x) - 1,
    "log1p": lambda x: expression.log(x + 1),
}


def write_formula(sheet: Sheet, value: Value) -> None:
    """The rule of Elementwise."""
    op, operands = sheet.operation(value), sheet.operands(value)
    assert isinstance(op, Elementwise)
    order = sheet.order([value_in for value_in in operands if value_in.type.rank == value.type.rank])
    dtype = _calculated(operands)
    names: dict[Expression, str] = {
        Operand(i): _operand(sheet, v, value.type.rank, order, dtype) for i, v in enumerate(operands)
    }
    tree = _without_gaps(op.tree)
    tensor = _Chain(sheet, names, tree, dtype).write(value.type.dtype)
    sheet.bind(value, tensor, order)


def _calculated(operands: Sequence[Value]) -> DType:
    """What is calculated with: whole numbers among floats, and whole numbers alone, become floats."""
    return DType.FLOAT64 if any(v.type.dtype is DType.FLOAT64 for v in operands) else DType.FLOAT32


def _operand(sheet: Sheet, value: Value, rank: int, order: Order, dtype: DType) -> str:
    """value so that its axes meet those of a tensor of this rank in this order."""
    own = value.type.rank
    if order is LAST or own == rank:
        name = sheet.tensor(value, order)
    elif own < 1:
        name = sheet.tensor(value)
    elif isinstance(sheet.operation(value), Weight | Constant):
        array = sheet.numbers(value)
        whole = array.reshape(*(1,) * (rank - own), *array.shape).transpose(first(rank))
        turned = np.ascontiguousarray(whole[0] if own < rank else whole)
        name = sheet.keep(value.node, turned, (own - 1, *range(own - 1)))
    else:
        axes = sheet.whole(range(rank - own), "axes")
        wide = sheet.write("Unsqueeze", [sheet.tensor(value), axes], "stretched")
        name = sheet.write("Transpose", [wide], "turned", {"perm": first(rank)})
    if value.type.dtype is dtype or value.type.dtype is DType.BOOL:
        return name
    return sheet.write("Cast", [name], "cast", {"to": dtype})


def _without_gaps(tree: Expression) -> Expression:
    """The tree without the functions that ONNX lacks, but where a word of its own (Elu) covers them."""
    made: dict[Expression, Expression] = {}
    for part in expression.parts(tree):
        if isinstance(part, Apply) and part.function in REWRITES and not _covered(tree, part):
            made[part] = REWRITES[part.function](*(made[a] for a in part.arguments))
        elif isinstance(part, Apply):
            made[part] = Apply(part.function, tuple(made[a] for a in part.arguments))
        else:
            made[part] = part
    return made[tree]


def _covered(tree: Expression, part: Expression) -> bool:
    """Whether every part that reads this one, some steps up, is an Elu or Selu."""
    words = [p for p in expression.parts(tree) if any(rule(p) is not None for rule in EXPONENTIAL)]
    return any(part in expression.parts(p) for p in words)


class _Chain:
    """Writes one tree, equal parts once."""

    def __init__(self, sheet: Sheet, names: Mapping[Expression, str], tree: Expression, dtype: DType) -> None:
        self.sheet = sheet
        self.tree = tree
        self.dtype = dtype
        self.names = dict(names)

    def write(self, wanted: DType) -> str:
        """The name of the result, which is of this type."""
        if isinstance(self.tree, Literal):
            return self._filled(self.tree)
        if not isinstance(self.tree, Apply):
            return self.sheet.write("Identity", [self._name(self.tree)])
        for part in self._parts():
            word = word_of(part)
            last = part == self.tree and (wanted in (self.dtype, DType.BOOL))
            inputs = [self._name(argument) for argument in word.arguments]
            settings = {k: self.dtype if v == NUMBER else v for k, v in word.settings.items()}
            self.names[part] = self.sheet.write(word.op, inputs, "" if last else word.op.lower(), settings)
        name = self.names[self.tree]
        return name if wanted in (self.dtype, DType.BOOL) else self.sheet.write("Cast", [name], "", {"to": wanted})

    def _filled(self, number: Literal) -> str:
        """x * 0, or x * 0 + number: what such a formula was written as, and of the shape of x."""
        zero = self._name(Literal(0.0))
        if not number.value:
            return self.sheet.write("Mul", [self.names[Operand(0)], zero])
        nothing = self.sheet.write("Mul", [self.names[Operand(0)], zero], "zeros")
        return self.sheet.write("Add", [nothing, self._name(number)])

    def _parts(self) -> list[Apply]:
        """The parts that need a node, arguments before what uses them."""
        wanted, found = {self.tree}, []
        for part in reversed(expression.parts(self.tree)):
            if part in wanted and isinstance(part, Apply):
                found.append(part)
                wanted.update(a for a in word_of(part).arguments if a is not None)
        return found[::-1]

    def _name(self, part: Expression | None) -> str:
        if part is None:
            return ""
        if isinstance(part, Literal):
            return self.sheet.store(np.array(part.value, self.dtype.numpy), "number")
        return self.names[part]
