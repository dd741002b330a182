"""What is done to the results of a product before they are stored: read off the formula of a Fused call.

The tiles of tile.h know four things, in this order: + bias, one number a column; + another tensor; no less than `low`
(relu); 0 where a mask is not > 0. Any other formula is applied to lines of results just written, or after the call.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.backends.cpu.formula import epilogue
from graphdsl.backends.cpu.task import BINDERS, Machine, Step, Task, all_float32
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise, Fused
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

ZERO = Literal(0.0)


@dataclass(frozen=True)
class Finish:
    """bias [columns], add and mask of the shape of the results.

    formula   what else is done, or None; operand number place is the result so far
    operands  of the formula; the result itself stands at `place`
    """

    bias: Array | None = None
    add: Array | None = None
    low: float = float("-inf")
    mask: Array | None = None
    formula: Elementwise | None = None
    operands: tuple[Array, ...] = ()
    place: int = 0

    @property
    def keeps(self) -> tuple[Array, ...]:
        return tuple(a for a in (self.bias, self.add, self.mask, *self.operands) if a is not None)


def finish_of(op: Fused, others: Sequence[Array], y: Array) -> Finish:
    """How the results of op's producer become y."""
    operands = tuple(op.placed(y, others))
    found = _in_tiles(op.formula.tree, operands, op.place, y) if all_float32(y, *others) else None
    return found or Finish(formula=op.formula, operands=operands, place=op.place)


def _in_tiles(tree: Expression, operands: Sequence[Array], place: int, y: Array) -> Finish | None:
    """The formula as tiles know it, or None."""
    match tree:
        case Apply("where", (Apply("greater", (Operand(m), zero)), inner, other)) if zero == other == ZERO:
            found = _sum(inner, operands, place, y)
            if found is None or m == place or operands[m].shape != y.shape:
                return None
            return Finish(found.bias, found.add, mask=operands[m])
        case Apply("maximum", (inner, zero)) | Apply("maximum", (zero, inner)) if zero == ZERO:
            found = _sum(inner, operands, place, y)
            return None if found is None else Finish(found.bias, found.add, 0.0)
        case _:
            return _sum(tree, operands, place, y)


def _sum(tree: Expression, operands: Sequence[Array], place: int, y: Array) -> Finish | None:
    """The result plus a bias, plus a tensor, or less of it."""
    terms = _terms(tree)
    if terms is None or terms.count(place) != 1 or len(terms) > 3:
        return None
    others = [operands[t] for t in terms if t != place]
    columns = [a for a in others if a.size == a.shape[-1:][0] == y.shape[-1]] if all(a.ndim for a in others) else []
    full = [a for a in others if a.shape == y.shape and not any(a is b for b in columns)]
    if len(columns) > 1 or len(full) > 1 or len(columns) + len(full) < len(others):
        return None
    return Finish(next(iter(columns), None), next(iter(full), None))


def _terms(tree: Expression) -> list[int] | None:
    """The operands that a sum is of."""
    match tree:
        case Operand(index):
            return [index]
        case Apply("add", (left, right)):
            some, more = _terms(left), _terms(right)
            return None if some is None or more is None else some + more
        case _:
            return None


def riding(
    finish: Finish, y: Array, machine: Machine, *, here: bool = True
) -> tuple[Task | None, tuple[Step, ...] | None]:
    """The formula for y as a task for `formula_block`, or as steps that come after; (None, None) where C knows neither.

    here  whether the kernel can take the task
    """
    if finish.formula is None:
        return None, ()
    operands = [*finish.operands]
    operands[finish.place] = y
    task = epilogue(machine.library, finish.formula, operands, y, finish.place) if here else None
    if task is not None:
        return task, ()
    alone = BINDERS.get(Elementwise)
    plan = alone(Call("", finish.formula, (), ()), operands, [y], machine) if alone else None
    return None, plan.steps if plan else None
