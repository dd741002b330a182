"""Arithmetic while the graph is built: numbers, sizes known only at run time, truth values, texts.

Whole numbers stay whole where that is exact: 8 / 2 is 4, 7 / 2 is 3.5. Everything stays within MAX_NUMBER.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from graphdsl.ir import Dim, Symbolic
from graphdsl.lang.limits import MAX_NUMBER
from graphdsl.lang.refusal import refuse
from graphdsl.lang.values import Datum, describe, is_number
from graphdsl.report import Failed, Span


def bounded(value: Datum, span: Span) -> Datum:
    """value; raises E0406 where it is no number that can be worked with."""
    if isinstance(value, complex) or (isinstance(value, float) and not math.isfinite(value)):
        raise refuse("E0406", "this is no real number", span)
    if isinstance(value, int) and abs(value) > MAX_NUMBER:
        raise refuse("E0406", "this number is too large", span, help=f"whole numbers go to {MAX_NUMBER:,}")
    return value


def negate(word: str, value: Datum, span: Span) -> Datum:
    """`-x`, `+x`, `not x`"""
    if word == "not":
        if isinstance(value, bool):
            return not value
        raise refuse("E0310", f"`not` needs true or false, got {describe(value)}", span)
    if not is_number(value):
        raise refuse("E0310", f"`{word}` needs a number, got {describe(value)}", span)
    return -value if word == "-" else value


def compute(word: str, left: Datum, right: Datum, span: Span) -> Datum:
    """left word right, where neither is a tensor. span is that of the operator."""
    if word in ("==", "!="):
        return _equal(left, right, span) == (word == "==")
    if not (is_number(left) and is_number(right)):
        raise refuse("E0310", f"`{word}` needs two numbers, got {describe(left)} and {describe(right)}", span)
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        return _with_free(word, left, right, span)
    if word in _COMPARE:
        return _COMPARE[word](left, right)
    try:
        return bounded(_ARITHMETIC[word](left, right), span)
    except ZeroDivisionError:
        raise refuse("E0406", "division by zero", span) from None
    except OverflowError:
        raise refuse("E0406", "this number is too large", span) from None


def _equal(left: Datum, right: Datum, span: Span) -> bool:
    if isinstance(left, Symbolic) or isinstance(right, Symbolic):
        return bool(_decided("==", left, right, span) == 0) if is_number(left) and is_number(right) else False
    comparable = is_number(left) == is_number(right) and isinstance(left, str) == isinstance(right, str)
    if not comparable and left is not None and right is not None:
        raise refuse("E0310", f"{describe(left)} and {describe(right)} are never equal", span)
    return bool(left == right)


def _divide(left: float, right: float) -> float:
    whole = isinstance(left, int) and isinstance(right, int) and left % right == 0
    return left // right if whole else left / right


def _power(base: float, exponent: float) -> Any:
    """Refuses 10 ** 10 ** 10 before it is computed."""
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0 and abs(base) > 1:
        if exponent * math.log2(abs(base)) > 64:
            raise OverflowError
        return base**exponent
    return float(base) ** exponent if exponent < 0 else base**exponent


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": operator.mod,
    "**": _power,
}
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


# --- sizes known only at run time ------------------------------------------------------------------------------------


def _with_free(word: str, left: Any, right: Any, span: Span) -> Datum:
    if isinstance(left, float) or isinstance(right, float):
        raise _undecided(word, left, right, span)
    if word in _COMPARE:
        return _COMPARE[word](_decided(word, left, right, span), 0)
    if word in ("+", "-", "*"):
        return _small(_ARITHMETIC[word](left, right), span)
    if word == "/" and isinstance(right, int) and right > 0:
        quotient = left // right
        if quotient * right == left:
            return quotient
    raise _undecided(word, left, right, span)


def _small(size: Dim, span: Span) -> Dim:
    terms = size.terms if isinstance(size, Symbolic) else (((), size),)
    if len(terms) > 16 or any(len(monomial) > 8 for monomial, _ in terms):
        raise refuse("E0406", "a size with so many free dimensions in it cannot be worked with", span)
    for _, coefficient in terms:
        bounded(coefficient, span)
    return size


def _decided(word: str, left: Any, right: Any, span: Span) -> int:
    """left - right, where that is the same for every size of the free dimensions."""
    difference = left - right
    if isinstance(difference, int):
        return difference
    raise _undecided(word, left, right, span)


def _undecided(word: str, left: Any, right: Any, span: Span) -> Failed:
    return refuse(
        "E0401",
        f"`{left} {word} {right}` is known only at run time",
        span,
        help="give the dimension a number in the input's type",
    )
