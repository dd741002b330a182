"""Types that people write: `float[224, 224, 3]`, `int(10)`, `int(10000)[T]`, `box(20)[50]`."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.ir import (
    BATCH,
    PARTIAL,
    PLAIN,
    POINTS,
    Dim,
    DType,
    Kind,
    SettingError,
    Symbolic,
    TensorType,
    Whole,
    boxes,
    indices,
    symbol,
)
from graphdsl.lang import ast
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.limits import MAX_ELEMENTS, is_bounded
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.values import UNKNOWN, describe

TYPES = ("float", "int", "box", "point", "bool")
TAILS = {"box": (5,), "point": (2,)}
"""What one is made of: a box of centre x and y, width, height (parts of the picture's), class; a point of x and y."""


def read_type(
    expression: ast.TypeExpression, frame: Frame, fit: Sequence[Dim] | None = None, *, target: bool = False
) -> TensorType:
    """The type, batch axis first. Dimensions that are given by fit bind free ones on the way.

    target  it is a target's, so entries may be unknown
    Raises E0313 for what is no type, E0405 for one that is too large.
    """
    dtype, kind = _numbers(expression, frame)
    if kind in (PARTIAL, POINTS) and not target:
        message = "only what a target says may be unknown"
        raise refuse("E0313", message, expression.span, help="inputs and weights are float[…], int(n)[…] or bool[…]")
    written = expression.dimensions or ()
    dims = [_dimension(d, frame, fit[i] if fit and i < len(fit) else None) for i, d in enumerate(written)]
    type = TensorType((BATCH, *dims, *TAILS.get(expression.name, ())), dtype, kind)
    if not is_bounded(type):
        help = f"at most {MAX_ELEMENTS:,} numbers for one sample"
        raise refuse("E0405", "this tensor would be too large", expression.span, help=help)
    return type


def _numbers(expression: ast.TypeExpression, frame: Frame) -> tuple[DType, Kind]:
    match expression.name, len(expression.arguments):
        case name, _ if expression.maybe and name != "float":
            raise refuse("E0313", "only float[…] has a `?` for unknown entries", expression.span)
        case "float", 0:
            return DType.FLOAT32, PARTIAL if expression.maybe else PLAIN
        case "bool", 0:
            return DType.BOOL, PLAIN
        case "int", 0:
            return DType.INT32, PLAIN
        case "int", 1:
            return DType.INT32, indices(_classes(expression.arguments[0], frame))
        case "box", 1 if expression.dimensions and len(expression.dimensions) == 1:
            return DType.FLOAT32, boxes(_classes(expression.arguments[0], frame))
        case "point", 0 if expression.dimensions and len(expression.dimensions) == 1:
            return DType.FLOAT32, POINTS
    if expression.name not in TYPES:
        help = (
            frame.session.suggest(expression.name, TYPES)
            or "types are float[…], int(n)[…], box(n)[m], point[n], bool[…]"
        )
        raise refuse("E0313", f"no type is called `{expression.name}`", expression.name_span, help=help)
    forms = {"float": "float[…]", "bool": "bool[…]", "int": "int(n)[…]", "box": "box(n)[m]", "point": "point[n]"}
    raise refuse("E0313", f"this type is written {forms[expression.name]}", expression.span)


def _classes(expression: ast.Expression, frame: Frame) -> int:
    value = read(expression, frame)
    if value is UNKNOWN:
        raise told()
    try:
        return Whole(1).accept(value)
    except SettingError as error:
        raise refuse("E0313", f"the number of classes {error.message}", expression.span) from None


def _dimension(expression: ast.Expression, frame: Frame, given: Dim | None) -> Dim:
    if isinstance(expression, ast.Name) and expression.name[0].isupper() and frame.names.find(expression.name) is None:
        size = symbol(expression.name) if given is None else given
        frame.names.bind(expression.name, size, expression.span)
        return size
    value = read(expression, frame)
    if value is UNKNOWN:
        raise told()
    if isinstance(value, Symbolic):
        return value
    try:
        return Whole(1).accept(value)
    except SettingError:
        message = f"a dimension is a whole number of at least 1, or a name with a capital, got {describe(value)}"
        raise refuse("E0313", message, expression.span) from None
