"""Formulas that ride on the results of another kernel: the generated half of epilogue.cuh.

A kernel that finishes its own results takes part in three places:

    conv.cu     #include "epilogue.cuh"
                struct conv_args { …; epilogue_args epilogue; };
                … y[row * columns + column] = epilogue::of(a.epilogue, sum, row, column);
                or four neighbours at once, whose operands then are read as quads where they lie so: of_four

    conv.py     class conv_args(Arguments): _fields_ = (…, ("epilogue", epilogue_args))

                @finishes(Conv)
                def conv(op: Operator, inputs: Arrays, y: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
                    unit = Unit("conv", "conv<…>", conv_args, end.code)
                    … conv_args(…, end.arguments)

`finishes` serves Conv itself as well, with PLAIN, which returns the value as it is. fused.py hands over what a Fused
call wants; where the function returns None for that, the formula runs over the stored results. A kernel that sums in
two stages applies the epilogue in the second. Literals come with the arguments, so formulas that differ in numbers, and
in nothing else, share a kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod

from graphdsl.backends.axes import Lying, lying_in
from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.formula import TYPES, formula_of, letters
from graphdsl.backends.cuda.launch import Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, launches
from graphdsl.backends.cuda.unit import Arguments, address, f32, i32
from graphdsl.ir import Call, Operator
from graphdsl.ops import Elementwise
from graphdsl.report import dataclass

OPERANDS, LITERALS = 6, 10
"""As in epilogue.cuh."""


class epilogue_args(Arguments):
    _fields_ = (
        ("operands", address * OPERANDS),
        ("every", i32 * OPERANDS),
        ("period", i32 * OPERANDS),
        ("row", i32 * OPERANDS),
        ("k", f32 * LITERALS),
    )


@dataclass(frozen=True)
class Epilogue:
    """What is done to results before they are stored.

    code       of the kernel's Unit
    arguments  a field of the kernel's arguments
    """

    code: str
    arguments: epilogue_args


PLAIN = Epilogue(
    """#include "epilogue.cuh"
struct epilogue {
    DEVICE static float of(const epilogue_args &, float value, i64, i64) { return value; }
    DEVICE static quad of_four(const epilogue_args &, const quad &values, i64, i64) { return values; }
};
""",
    epilogue_args(),
)
"""Results are stored as they are."""

Finishing = Callable[[Operator, Arrays, DeviceArray, Gpu, Epilogue], Plan | None]
FINISHING: dict[type[Operator], Finishing] = {}


def finishes(*operators: type[Operator]) -> Callable[[Finishing], Finishing]:
    """Decorator: the function makes calls of these operators ready, and does to their results what it is given."""

    def register(function: Finishing) -> Finishing:
        @launches(*operators)
        def plain(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
            return function(call.op, inputs, outputs[0], gpu, PLAIN)

        FINISHING.update(dict.fromkeys(operators, function))
        return function

    return register


def epilogue_of(op: Elementwise, operands: Sequence[DeviceArray], y: DeviceArray, place: int) -> Epilogue | None:
    """The formula for results y; operand number place (give y itself) is the value that the kernel has.

    None where y is not of float32, where operands are too many, of other numbers, or lie too differently.
    """
    rows = prod(y.shape[:-1])
    found = [lying_in(a, y.shape) for a in operands]
    classes = letters(operands, [True] * len(operands))
    if y.dtype.name != "float32" or classes is None or None in found or rows >= 2**31:
        return None
    lying = [at for at in found if at is not None]
    formula = formula_of((op.tree,), classes, "float32")
    others = [i for i in formula.operands if i != place]
    if len(others) > OPERANDS or len(formula.literals) > LITERALS:
        return None
    arguments = epilogue_args()
    for n, i in enumerate(others):
        arguments.operands[n] = operands[i].address
        arguments.every[n], arguments.period[n] = lying[i].every, lying[i].period
        arguments.row[n] = lying[i].row
    arguments.k[: len(formula.literals)] = formula.literals
    ways = tuple("" if i == place else _way(lying[i], rows) for i in formula.operands)
    kinds = tuple(TYPES[classes[i]] for i in formula.operands)
    along = [operands[i] for i, way in zip(formula.operands, ways, strict=True) if way in ALONG]
    quads = y.shape[-1] % 4 == 0 and all(a.address % (4 * a.dtype.itemsize) == 0 for a in along)
    return Epilogue(_text(formula.text, ways, kinds, quads), arguments)


ALONG = frozenset({"along_columns", "whole", "elsewhere"})
"""Where neighbours in a row lie beside each other."""


def _way(at: Lying, rows: int) -> str:
    """The function of epilogue.cuh that finds such an operand."""
    if not at.row or rows == 1:
        return "along_columns" if at.column else "everywhere"
    if at.every == 1 and at.period == rows:
        return "whole" if at.column else "along_rows"
    return "elsewhere" if at.column else "singly"


@lru_cache(maxsize=1024)
def _text(formula: str, ways: tuple[str, ...], kinds: tuple[str, ...], quads: bool) -> str:
    """ways: of each operand, empty for the value itself."""
    numbers = [sum(map(bool, ways[:i])) for i in range(len(ways))]
    places = [f"operand::{w}<{t}>(a, {n}, row, column)" for w, t, n in zip(ways, kinds, numbers, strict=True)]
    single = [f"*{place}" if way else "value" for way, place in zip(ways, places, strict=True)]
    return f"""#include "epilogue.cuh"
{formula}
struct epilogue {{
    DEVICE static float of(const epilogue_args &a, float value, i64 row, i64 column) {{
        float y;
        formula::compute({", ".join(["a.k", *single, "y"])});
        return y;
    }}
    DEVICE static quad of_four(const epilogue_args &a, const quad &values, i64 row, i64 column) {{
        {NEW_LINE.join(_four(ways, kinds, places) if quads else ONE_BY_ONE)}
    }}
}};
"""


NEW_LINE = "\n" + " " * 8
ONE_BY_ONE = (
    "return {of(a, values.x, row, column), of(a, values.y, row, column + 1), of(a, values.z, row, column + 2),",
    "        of(a, values.w, row, column + 3)};",
)


def _four(ways: Sequence[str], kinds: Sequence[str], places: Sequence[str]) -> list[str]:
    """Statements that work out four results with operands read as quads."""
    lines = ["float value[4] = {values.x, values.y, values.z, values.w}, y[4];"]
    given = []
    for i, (way, kind, place) in enumerate(zip(ways, kinds, places, strict=True)):
        given.append(f"x{i}[i]" if way in ALONG else f"x{i}" if way else "value[i]")
        lines += [f"{kind} x{i}[4];", f"read({place}, x{i});"] if way in ALONG else []
        lines += [f"const {kind} x{i} = *{place};"] if way and way not in ALONG else []
    loop = f"UNROLL for (int i = 0; i < 4; i++) formula::compute({', '.join(['a.k', *given, 'y[i]'])});"
    return [*lines, loop, "return {y[0], y[1], y[2], y[3]};"]
