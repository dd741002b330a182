"""Facts about tensors, usable as numbers: `in.channels`, `x.height`, `y.receptive_field`."""

from __future__ import annotations

from graphdsl.ir import Builder, Value
from graphdsl.lang import ast
from graphdsl.lang.refusal import refuse
from graphdsl.lang.values import Datum, describe, sample_shape
from graphdsl.ops import sight_of
from graphdsl.report import Failed, did_you_mean

FACTS = ("channels", "features", "height", "width", "length", "receptive_field")


def fact(value: Datum, expression: ast.Fact, builder: Builder) -> Datum:
    """channels and features are the last axis; height and width those of an image; length the steps of a sequence;
    receptive_field how many steps of the inputs decide one of its steps.

    Raises E0222 where there is no such fact, E0310 where value is no tensor.
    """
    name = expression.fact
    if name not in FACTS:
        help = did_you_mean(name, FACTS) or f"facts are {', '.join(f'`{f}`' for f in FACTS)}"
        raise refuse("E0222", f"no fact is called `{name}`", expression.fact_span, help=help)
    if not isinstance(value, Value):
        raise refuse("E0310", f"`{name}` is a fact about a tensor, got {describe(value)}", expression.value.span)
    shape = sample_shape(value.type)
    whole = value.type.kind.name == "indices"
    if name == "length" and (len(shape) == 2 or (len(shape) == 1 and whole)):
        return shape[0]
    if name in ("height", "width") and len(shape) == 3:
        return shape[0] if name == "height" else shape[1]
    if name in ("channels", "features") and shape and not whole:
        return shape[-1]
    if name == "receptive_field" and len(shape) > 1:
        return _steps(value, expression, builder)
    raise _missing(name, value, expression)


def _steps(value: Value, expression: ast.Fact, builder: Builder) -> int:
    seen = sight_of(value, builder.operation, builder.operands)
    steps = seen.steps if seen else 0
    if steps is None:
        help = "a recurrence, a sum over all steps and the like see whole sequences"
        message = f"each step of {value.type.describe()} is decided by any number of steps"
        raise refuse("E0222", message, expression.fact_span, help=help)
    return steps


def _missing(name: str, value: Value, expression: ast.Fact) -> Failed:
    needs = {"height": "[height, width, channels]", "width": "[height, width, channels]", "length": "[time, features]"}
    needs |= {"receptive_field": "[time, features]"}
    message = f"{value.type.describe()} has no `{name}`: that is a fact about float{needs.get(name, '[…, features]')}"
    return refuse("E0222", message, expression.fact_span)
