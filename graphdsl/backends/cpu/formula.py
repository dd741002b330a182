"""Formulas made ready for C: where operands lie, which loop works them out, or else code for the interpreter."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache

from graphdsl.backends.axes import Lying, lying_in
from graphdsl.backends.cpu.formula_code import Code, coded
from graphdsl.backends.cpu.library import Library
from graphdsl.backends.cpu.task import Task, address, i64, pointer
from graphdsl.backends.formula_text import LETTERS, RESULTS, Canonical, canonical
from graphdsl.ir import Array
from graphdsl.ops import Elementwise, Formulas
from graphdsl.ops.expression import Apply
from graphdsl.report import dataclass

KINDS = {"float32": 0, "bool": 1, "int32": 2}
"""What the C side calls the kinds of numbers."""
SHORT_ROW = 32
"""Columns up to which one number a row is written out as often as there are columns."""


class formula_operand(Task):
    _fields_ = (
        ("base", address),
        ("row", i64),
        ("column", i64),
        ("every", i64),
        ("period", i64),
        ("kind", i64),
        ("spread", i64),
    )


class formula_task(Task):
    _fields_ = (
        ("loop", address),
        ("operands", address),
        ("literals", address),
        ("code", address),
        ("count", i64),
        ("results", i64),
        ("place", i64),
        ("literal_count", i64),
        ("instructions", i64),
        ("registers", i64),
    )


@dataclass(frozen=True)
class Bound:
    """A formula bound to its arrays. order: by number the arrays that the task has, the result last."""

    task: Task
    order: tuple[int, ...]


def epilogue(library: Library, op: Elementwise, operands: Sequence[Array], output: Array, place: int) -> Task | None:
    """The formula as a task for `formula_block`: rows of output made of the same rows of the operands, or of a tile
    that stands for operand number place. For that operand give output itself.

    The table's columns are the last axis of output. The task keeps everything it points to; None where operands lie in
    a way that C does not follow.
    """
    columns = output.shape[-1] if output.ndim else 1
    found = [lying_in(a, output.shape) for a in operands]
    if not operands or any(at is None for at in found):
        return None
    full = lying_in(output, output.shape)
    assert full is not None
    made = bound(library, op, [*operands, output], [*(at for at in found if at), full], columns, place)
    return made.task if made else None


def bound(
    library: Library,
    op: Elementwise | Formulas,
    arrays: Sequence[Array],
    lying: Sequence[Lying],
    columns: int,
    place: int = 0,
) -> Bound | None:
    """The formula over arrays (the results last) that lie so. None for numbers that C does not know."""
    if any(a.dtype.name not in KINDS or not a.flags.c_contiguous for a in arrays):
        return None
    trees = op.trees if isinstance(op, Formulas) else ()
    tree = Apply(RESULTS, trees) if isinstance(op, Formulas) else op.tree
    arity, results = len(arrays) - max(len(trees), 1), max(len(trees), 1)
    made = "w" if trees else LETTERS[arrays[-1].dtype.name, True]
    known = canonical(tree, letters(arrays[:arity], lying[:arity], columns) + made)
    order = (*known.operands, *range(arity, len(arrays)))
    rows = (formula_operand * len(order))(
        *(operand_of(arrays[i], lying[i], i < arity and _is_spread(lying[i], columns)) for i in order)
    )
    place = known.operands.index(place) if place in known.operands else -1
    return Bound(_task(library, known, rows, results, place, tuple(arrays)), order)


def letters(arrays: Sequence[Array], lying: Sequence[Lying], columns: int, *, spread: bool = True) -> str:
    """What formula_text.py calls the operands. spread: one number a short row counts as numbers along the row."""
    return "".join(
        LETTERS[a.dtype.name, bool(at.column) or (spread and _is_spread(at, columns))]
        for a, at in zip(arrays, lying, strict=True)
    )


def _is_spread(at: Lying, columns: int) -> bool:
    return bool(at.row and not at.column and columns <= SHORT_ROW)


def operand_of(array: Array, at: Lying, spread: bool = False) -> formula_operand:
    size = array.itemsize
    kind = KINDS[array.dtype.name]
    return formula_operand(pointer(array), at.row * size, at.column * size, at.every, at.period, kind, spread)


def _task(
    library: Library,
    known: Canonical,
    rows: ctypes.Array[formula_operand],
    results: int,
    place: int,
    keeps: tuple[Array, ...],
) -> Task:
    loop = library.loop(known.name)
    vectors = tuple(letter in "vbi" for letter in known.classes[:-1])
    code = Code((), known.literals, 0) if loop else coded(known.tree, vectors, instructions(library))
    literals = (ctypes.c_float * max(len(code.literals), 1))(*code.literals)
    table = (ctypes.c_int64 * max(len(code.words), 1))(*code.words)
    task = formula_task(
        loop=loop or library.function("formula_interpret"),
        operands=ctypes.addressof(rows),
        literals=ctypes.addressof(literals),
        code=ctypes.addressof(table),
        count=len(rows),
        results=results,
        place=place,
        literal_count=len(code.literals),
        instructions=len(code.words) // 5,
        registers=code.registers,
    )
    task.keeps = (rows, literals, table, keeps)
    return task


@cache
def instructions(library: Library) -> tuple[str, ...]:
    """The interpreter's instructions, in their order: "add VS"."""
    text = ctypes.string_at(ctypes.addressof(ctypes.c_char.in_dll(library.c, "formula_instructions"))).decode()
    return tuple(text.split("\n"))
