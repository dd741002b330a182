"""Parts of formulas that ONNX has an operator for: Relu, LeakyRelu, Clip, HardSigmoid …"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphdsl.ops import expression
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

WORDS = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "negative": "Neg",
    "absolute": "Abs",
    "exp": "Exp",
    "log": "Log",
    "sqrt": "Sqrt",
    "tanh": "Tanh",
    "erf": "Erf",
    "sin": "Sin",
    "cos": "Cos",
    "sign": "Sign",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "floor": "Floor",
    "nearest": "Round",
    "logistic": "Sigmoid",
    "softplus": "Softplus",
    "maximum": "Max",
    "minimum": "Min",
    "where": "Where",
    "greater": "Greater",
    "greater_equal": "GreaterOrEqual",
    "less": "Less",
    "less_equal": "LessOrEqual",
    "equal": "Equal",
    "both": "And",
}
"""What ONNX calls our scalar functions. Those that it lacks are rewritten by export_formula.py."""

NUMBER = "number"
"""The type that a formula calculates with, as an attribute."""


@dataclass(frozen=True)
class Word:
    """An ONNX operator that stands for a part of a formula: its operands (None: left out) and its attributes."""

    op: str
    arguments: tuple[Expression | None, ...]
    settings: Mapping[str, Any]


Rule = Callable[[Expression], Word | None]


def _is(part: Expression, function: str) -> bool:
    return isinstance(part, Apply) and part.function == function


def _arguments(part: Expression, function: str) -> tuple[Expression, ...]:
    return part.arguments if isinstance(part, Apply) and part.function == function else ()


def _relu(part: Expression) -> Word | None:
    match _arguments(part, "maximum"):
        case (x, Literal(0.0)):
            return Word("Relu", (x,), {})
    return None


def _clip(part: Expression) -> Word | None:
    match part:
        case Apply("minimum", (Apply("maximum", (x, Literal() as low)), Literal() as high)):
            return Word("Clip", (x, low, high), {})
        case Apply("maximum", (x, Literal() as low)):
            return Word("Clip", (x, low), {})
        case Apply("minimum", (x, Literal() as high)):
            return Word("Clip", (x, None, high), {})
    return None


def _hard_sigmoid(part: Expression) -> Word | None:
    match _arguments(part, "minimum"):
        case (Apply("maximum", (Apply("add", (scaled, Literal(beta))), Literal(0.0))), Literal(1.0)):
            match scaled:
                case Apply("divide", (x, Literal(divisor))):
                    return Word("HardSigmoid", (x,), {"alpha": 1 / divisor, "beta": beta})
                case Apply("multiply", (x, Literal(alpha)) | (Literal(alpha), x)):
                    return Word("HardSigmoid", (x,), {"alpha": alpha, "beta": beta})
    return None


def _leaky_relu(part: Expression) -> Word | None:
    match _arguments(part, "where"):
        case (Apply("greater", (x, Literal(0.0))), same, Apply("multiply", (Literal(slope), scaled))) if (
            x == same == scaled
        ):
            return Word("LeakyRelu", (x,), {"alpha": slope})
    return None


def _elu(part: Expression) -> Word | None:
    match _arguments(part, "where"):
        case (Apply("greater", (x, Literal(0.0))), same, below) if x == same:
            alpha = _exponential(below, x)
            return None if alpha is None else Word("Elu", (x,), {"alpha": alpha})
    return None


def _selu(part: Expression) -> Word | None:
    match _arguments(part, "multiply"):
        case (Literal(gamma), inner):
            found = _elu(inner)
            return None if found is None else Word("Selu", found.arguments, {**found.settings, "gamma": gamma})
    return None


def _exponential(part: Expression, x: Expression) -> float | None:
    """alpha where the part is alpha * expm1(minimum(0, x))."""
    match part:
        case Apply("multiply", (Literal(alpha), Apply("expm1", (Apply("minimum", (Literal(0.0), same)),)))) if (
            same == x
        ):
            return alpha
        case Apply("expm1", (Apply("minimum", (Literal(0.0), same)),)) if same == x:
            return 1.0
    return None


def _celu(part: Expression) -> Word | None:
    match _arguments(part, "where"):
        case (Apply("greater", (x, Literal(0.0))), same, Apply("multiply", (Literal(alpha), below))) if x == same:
            bent = expression.expm1(expression.minimum(0, x) / alpha)
            return Word("Celu", (x,), {"alpha": alpha}) if below == bent else None
    return None


def _prelu(part: Expression) -> Word | None:
    """The slope is another tensor."""
    match _arguments(part, "where"):
        case (Apply("greater", (Operand() as x, Literal(0.0))), same, Apply("multiply", (Operand() as slope, scaled))):
            return Word("PRelu", (x, slope), {}) if x == same == scaled else None
    return None


def _thresholded_relu(part: Expression) -> Word | None:
    match _arguments(part, "where"):
        case (Apply("greater", (x, Literal(alpha))), same, Literal(0.0)) if x == same:
            return Word("ThresholdedRelu", (x,), {"alpha": alpha})
    return None


def _shrink(part: Expression) -> Word | None:
    match _arguments(part, "where"):
        case (Apply("greater", (x, Literal(limit))), above, below):
            bias = _taken_off(above, x)
            low = expression.where(x < -limit, x + (bias or 0), 0)
            return Word("Shrink", (x,), {"lambd": limit, "bias": bias}) if bias is not None and below == low else None
    return None


def _taken_off(part: Expression, x: Expression) -> float | None:
    """b where the part is x - b."""
    match part:
        case Apply("subtract", (same, Literal(bias))) if same == x:
            return bias
    return 0.0 if part == x else None


def _truth(part: Expression) -> Word | None:
    """1 where something holds, 0 elsewhere: the truth itself, as a number."""
    match _arguments(part, "where"):
        case (condition, Literal(1.0), Literal(0.0)):
            return Word("Cast", (condition,), {"to": NUMBER})
    return None


def _hard_swish(part: Expression) -> Word | None:
    match _arguments(part, "multiply"):
        case (x, gate) if gate == expression.minimum(expression.maximum(x / 6 + 0.5, 0), 1):
            return Word("HardSwish", (x,), {})
    return None


def _ceil(part: Expression) -> Word | None:
    match part:
        case Apply("negative", (Apply("floor", (Apply("negative", (x,)),)),)):
            return Word("Ceil", (x,), {})
    return None


def _reciprocal(part: Expression) -> Word | None:
    match _arguments(part, "divide"):
        case (Literal(1.0), x):
            return Word("Reciprocal", (x,), {})
    return None


def _softsign(part: Expression) -> Word | None:
    match _arguments(part, "divide"):
        case (x, Apply("add", (Literal(1.0), Apply("absolute", (same,))))) if x == same:
            return Word("Softsign", (x,), {})
    return None


def _mean(part: Expression) -> Word | None:
    match _arguments(part, "divide"):
        case (total, Literal(count)):
            terms = _chain_of(total, "add")
            return Word("Mean", terms, {}) if len(terms) == count > 1 else None
    return None


def _several(part: Expression) -> Word | None:
    """Of three tensors or more at once."""
    for function, op in (("add", "Sum"), ("maximum", "Max"), ("minimum", "Min")):
        terms = _chain_of(part, function)
        if len(terms) > 2:
            return Word(op, terms, {})
    return None


def _chain_of(part: Expression, function: str) -> tuple[Expression, ...]:
    """a, b, c of function(function(a, b), c), where all of them are tensors."""
    terms: list[Expression] = []
    while _is(part, function):
        part, term = _arguments(part, function)
        terms.append(term)
    found = (part, *reversed(terms))
    return found if all(isinstance(t, Operand) for t in found) else ()


EXPONENTIAL: tuple[Rule, ...] = (_selu, _elu, _celu)
"""Those that have an expm1 inside, which ONNX lacks."""

RULES: tuple[Rule, ...] = (
    *EXPONENTIAL,
    _leaky_relu,
    _prelu,
    _thresholded_relu,
    _shrink,
    _truth,
    _hard_swish,
    _hard_sigmoid,
    _relu,
    _clip,
    _ceil,
    _softsign,
    _reciprocal,
    _mean,
    _several,
)
"""The first that fits."""


def word_of(part: Apply) -> Word:
    """The largest ONNX operator that the part is."""
    for rule in RULES:
        found = rule(part)
        if found is not None:
            return found
    return Word(WORDS[part.function], part.arguments, {})
