"""Arithmetic on tensors, and lifting what is the same for all samples to where a layer expects samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from graphdsl.ir import BATCH, Value
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse
from graphdsl.lang.values import Datum, describe, sample_shape
from graphdsl.ops import broadcast_to, expression, formula
from graphdsl.report import Label, Span

_WORDS: dict[str, str] = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "**": "power"}

_FORMULAS: dict[str, Callable[..., Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
    "**": lambda x, y: expression.call("power", x, y),
}


def combine(word: str, operands: Sequence[Datum], spans: Sequence[Span], span: Span, frame: Frame) -> Value:
    """`x + y`, `1 - t`, `-x`: equal shapes, or a tensor and a number. span is that of the operator.

    Raises E0301 for unequal shapes, E0310 for what is no arithmetic on tensors.
    """
    name = "negate" if len(operands) == 1 else _WORDS.get(word, "")
    if not name or word == "not":
        raise refuse("E0310", f"tensors do not take `{word}`", span, help="numbers do: `x.channels > 3`")
    tensors = _demand_floats(word, operands, spans, span)
    _demand_equal(name, tensors, [s for o, s in zip(operands, spans, strict=True) if isinstance(o, Value)], span)
    frame.session.count_layer(span, frame)
    place = frame.place(name, _numbers(operands), span)
    with frame.session.builder.within(place):
        return formula(frame.session.builder, _function(word, operands), *tensors, title=name)


def _function(word: str, operands: Sequence[Datum]) -> Callable[..., Any]:
    """The formula, with the numbers among the operands put in."""
    if len(operands) == 1:
        return (lambda x: -x) if word == "-" else (lambda x: x * 1.0)
    apply, (left, right) = _FORMULAS[word], operands
    if not isinstance(left, Value):
        return lambda y: apply(float(left), y)
    if not isinstance(right, Value):
        return lambda x: apply(x, float(right))
    return apply


def _demand_floats(word: str, operands: Sequence[Datum], spans: Sequence[Span], span: Span) -> list[Value]:
    for operand, place in zip(operands, spans, strict=True):
        if isinstance(operand, Value) and operand.type.dtype.is_float:
            continue
        if isinstance(operand, int | float) and not isinstance(operand, bool):
            continue
        message = f"`{word}` works on tensors of float and on numbers, got {describe(operand)}"
        raise refuse("E0310", message, place)
    return [o for o in operands if isinstance(o, Value)]


def _demand_equal(name: str, tensors: Sequence[Value], spans: Sequence[Span], span: Span) -> None:
    """A single number that is learned or computed goes with every tensor, as a written one does."""
    shapes = [sample_shape(t.type) for t in tensors]
    if len(tensors) < 2 or shapes[0] == shapes[1] or any(t.type.rank == 0 for t in tensors):
        return
    labels = [Label(s, t.type.describe()) for s, t in zip(spans, tensors, strict=True)]
    raise refuse("E0301", f"{name} needs equal shapes", span, labels=labels, help=_difference(tensors, spans))


def _difference(tensors: Sequence[Value], spans: Sequence[Span]) -> str:
    """Which axis differs, in the words of the text."""
    left, right = (sample_shape(t.type) for t in tensors)
    names = [f"`{s.text}`" if len(s.text) <= 30 and "\n" not in s.text else word for s, word in _sides(spans)]
    if len(left) != len(right):
        return f"{names[0]} has {_axes(left)}, {names[1]} has {_axes(right)}"
    parts = [f"{a} against {b}" for a, b in zip(left, right, strict=True) if a != b]
    if left[:-1] == right[:-1]:
        last = "channels" if len(left) == 3 else "features"
        return f"{names[0]} has {left[-1]} {last}, {names[1]} has {right[-1]}"
    return f"{names[0]} and {names[1]} differ: {', '.join(parts)}"


def _sides(spans: Sequence[Span]) -> list[tuple[Span, str]]:
    return list(zip(spans, ("the left side", "the right side"), strict=True))


def _axes(shape: tuple[Any, ...]) -> str:
    return "1 axis" if len(shape) == 1 else f"{len(shape)} axes"


def _numbers(operands: Sequence[Datum]) -> str:
    return ", ".join(f"{o:g}" for o in operands if isinstance(o, int | float))


def per_sample(value: Value, frame: Frame) -> Value:
    """value as a layer takes it: a weight or a picture is the same for every sample of the batch."""
    if value.type.batched:
        return value
    place = replace(frame.session.builder.place, path=frame.scope.path, spans=frame.spans)
    with frame.session.builder.within(place):
        return broadcast_to(frame.session.builder, value, (BATCH, *value.type.shape))
