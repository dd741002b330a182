"""Operators that act on every number for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.interop.onnx.flow import Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Sheet
from graphdsl.interop.onnx.stretch import in_order, together
from graphdsl.ir import Array

UNARY = {
    "Abs": "abs", "Acos": "acos", "Acosh": "acosh", "Asin": "asin", "Asinh": "asinh", "Atan": "atan", "Atanh": "atanh",
    "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "HardSwish": "hard_swish",
    "Log": "log", "Mish": "mish", "Not": "logical_not", "Reciprocal": "reciprocal", "Relu": "relu", "Round": "round",
    "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin", "Sinh": "sinh", "Softplus": "softplus", "Softsign": "softsign",
    "Sqrt": "sqrt", "Tan": "tan", "Tanh": "tanh", "Swish": "swish",
}  # fmt: skip
ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}


@reads(*UNARY)
def read_unary(sheet: Sheet, step: Step) -> Value:
    x = sheet.raw_flow(0)
    return sheet.unary(UNARY[step.op], x if x.groups else sheet.flow(0))


@reads("Identity", "Cast", "CastLike")
def read_same(sheet: Sheet, step: Step) -> Value:
    """Numbers are floats with us, so a cast to whole numbers cuts off what stands behind the point."""
    x = sheet.raw(0)
    assert x is not None
    if step.op == "Identity" or isinstance(x, np.ndarray):
        return x
    dtype = _target(step)
    if x.classes and np.dtype(dtype).kind in "iu":
        return replace(x, dtype=dtype)
    x = sheet.flow(0)
    if dtype == "bool" and x.dtype != "bool":
        return replace(sheet.unary("logical_not", sheet.unary("logical_not", x)), dtype="bool")
    if np.dtype(dtype).kind in "iu" and np.dtype(x.dtype).kind == "f":
        return replace(truncated(sheet, x), dtype=dtype)
    return replace(x, dtype=dtype)


def _target(step: Step) -> str:
    from onnx import TensorProto, helper

    to = step.get("to", 1)
    to = TensorProto.DataType.Value(to) if isinstance(to, str) else int(to)
    found = helper.tensor_dtype_to_np_dtype(to).name if step.op == "Cast" else "float32"
    return "float32" if found in ("float16", "bfloat16") else found


def truncated(sheet: Sheet, x: Flow) -> Flow:
    """x without what stands behind the point: sign(x) * floor(|x|)."""
    size = sheet.unary("floor", sheet.unary("abs", x))
    return replace(x, name=sheet.put("*", (sheet.unary("sign", x).name, size.name))[0])


@reads("Neg")
def read_neg(sheet: Sheet, step: Step) -> Value:
    return sheet.scaled(sheet.flow(0), "*", -1)


@reads("LeakyRelu")
def read_leaky_relu(sheet: Sheet, step: Step) -> Value:
    return sheet.unary("leaky_relu", sheet.flow(0), slope=shortest(step.get("alpha", 0.01)))


@reads("Elu", "Celu", "ThresholdedRelu")
def read_alpha(sheet: Sheet, step: Step) -> Value:
    word = {"Elu": "elu", "Celu": "celu", "ThresholdedRelu": "thresholded_relu"}[step.op]
    return sheet.unary(word, sheet.flow(0), alpha=shortest(step.get("alpha", 1.0)))


@reads("Selu")
def read_selu(sheet: Sheet, step: Step) -> Value:
    alpha, gamma = step.get("alpha", 1.67326319217681884765625), step.get("gamma", 1.05070102214813232421875)
    if abs(alpha - 1.6732632) < 1e-4 and abs(gamma - 1.050701) < 1e-4:
        return sheet.unary("selu", sheet.flow(0))
    return sheet.scaled(sheet.unary("elu", sheet.flow(0), alpha=shortest(alpha)), "*", shortest(gamma))


@reads("HardSigmoid")
def read_hard_sigmoid(sheet: Sheet, step: Step) -> Value:
    alpha, beta = shortest(step.get("alpha", 0.2)), shortest(step.get("beta", 0.5))
    settings = {"alpha": alpha} if abs(alpha - 1 / 6) > 1e-6 else {}
    return sheet.unary("hard_sigmoid", sheet.flow(0), **settings, **({"beta": beta} if beta != 0.5 else {}))


@reads("Gelu")
def read_gelu(sheet: Sheet, step: Step) -> Value:
    settings = {"approximate": True} if step.get("approximate", "none") == "tanh" else {}
    return sheet.unary("gelu", sheet.flow(0), **settings)


@reads("Shrink")
def read_shrink(sheet: Sheet, step: Step) -> Value:
    bias = shortest(step.get("bias", 0.0))
    settings = {"limit": shortest(step.get("lambd", 0.5)), **({"bias": bias} if bias else {})}
    return sheet.unary("shrink", sheet.flow(0), **settings)


@reads("Clip")
def read_clip(sheet: Sheet, step: Step) -> Value:
    """A clip whose bounds make it a relu, relu6 or hard_tanh is called so."""
    if any(isinstance(sheet.value(at), Flow) for at in (1, 2)):
        return _between(sheet, sheet.flow(0))
    low, high = (_bound(sheet, step, name, at) for name, at in (("min", 1), ("max", 2)))
    x = sheet.flow(0)
    match low, high:
        case None, None:
            return x
        case 0.0, None:
            return sheet.unary("relu", x)
        case 0.0, 6.0:
            return sheet.unary("relu6", x)
        case -1.0, 1.0:
            return sheet.unary("hard_tanh", x)
    return sheet.unary("clip", x, **{k: v for k, v in (("low", low), ("high", high)) if v is not None})


def _between(sheet: Sheet, x: Flow) -> Flow:
    """A clip whose bounds are calculated."""
    for word, at in (("maximum", 1), ("minimum", 2)):
        bound = sheet.value(at)
        if bound is not None:
            a, b = together(sheet, x, bound)
            x = replace(a, name=sheet.put(word, (a.name, b.name))[0], port="")
    return x


def _bound(sheet: Sheet, step: Step, name: str, at: int) -> float | None:
    """A bound of Clip; what no float32 reaches is none."""
    found = sheet.optional(at, f"`{name}`")
    number = step.get(name) if found is None else float(np.ravel(found)[0])
    return None if number is None or abs(number) > 3.3e38 else shortest(number)


@reads("PRelu")
def read_prelu(sheet: Sheet, step: Step) -> Value:
    """The slope meets the last axes of x; where it differs only from channel to channel it is ours as well."""
    x, slope = sheet.plain(sheet.flow(0)), sheet.value(1)
    if not isinstance(slope, np.ndarray):
        a, b = together(sheet, x, sheet.flow(1))
        zero = sheet.scaled(a, "*", 0)
        low = replace(a, name=sheet.put("minimum", (a.name, zero.name))[0])
        part = sheet.put("*", (b.name, low.name))[0]
        return replace(a, name=sheet.put("+", (sheet.unary("relu", a).name, part))[0])
    if slope.size == 1:
        return sheet.unary("leaky_relu", x, slope=shortest(slope.ravel()[0]))
    per, array = _per(x, slope)
    return replace(x, name=sheet.then(x, "prelu", {"slope": array}, **({} if per == "feature" else {"per": per})))


def _per(x: Flow, array: Array) -> tuple[str, Array]:
    """A constant that x is combined with: by feature [features], or by element, of x's shape."""
    whole = in_order(array.reshape((1,) * (x.rank - array.ndim) + array.shape), x.order, x.batch)
    if all(s == 1 for s in whole.shape[:-1]) and whole.shape[-1] == x.written[-1]:
        return "feature", whole.reshape(-1)
    return "element", np.broadcast_to(whole, x.written)


@reads(*ARITHMETIC)
def read_arithmetic(sheet: Sheet, step: Step) -> Value:
    """A constant becomes a number in the text, or a `scale`; whole numbers are divided without a rest."""
    word = ARITHMETIC[step.op]
    left, right = sheet.raw(0), sheet.raw(1)
    if isinstance(left, Flow) and left.groups and isinstance(right, np.ndarray) and right.size == 1:
        return sheet.scaled(left, word, shortest(right.ravel()[0]))
    left, right = sheet.value(0), sheet.value(1)
    assert left is not None and right is not None
    if step.get("axis") is not None and isinstance(left, Flow):
        right = _placed(sheet, right, int(step.get("axis")), left.rank)
    whole = word == "/" and all(np.dtype(_dtype(v)).kind in "iu" for v in (left, right))
    found = _with_constant(sheet, word, left, right)
    if found is None:
        a, b = together(sheet, left, right)
        found = replace(a, name=sheet.put(word, (a.name, b.name))[0], port="")
    return replace(truncated(sheet, found), dtype=found.dtype) if whole else found


def _placed(sheet: Sheet, value: Value, axis: int, rank: int) -> Value:
    """The second tensor of versions before 7, whose axes meet those of the first from one on."""
    shape = value.shape
    behind = rank - (axis % rank) - len(shape)
    if behind <= 0:
        return value
    whole = (*shape, *(1,) * behind)
    return value.reshape(whole) if isinstance(value, np.ndarray) else sheet.reshaped(value, whole)


def _with_constant(sheet: Sheet, word: str, left: Value, right: Value) -> Flow | None:
    """A tensor and a number, or a tensor and numbers of each feature; None where it is neither."""
    x, array, turned = (left, right, False) if isinstance(left, Flow) else (right, left, True)
    if not isinstance(array, np.ndarray) or not isinstance(x, Flow) or (array.ndim > x.rank and array.size > 1):
        return None
    if not _fits(array, x):
        return None
    if array.size and (array == array.ravel()[0]).all():
        number = shortest(array.ravel()[0])
        if word in "+*" or not turned:
            return sheet.scaled(x, word, number)
        return sheet.scaled(x, word, number, left=True)
    if turned and word == "/":
        return None
    x = sheet.plain(x)
    if turned and word == "-":
        x, word = sheet.scaled(x, "*", -1), "+"
    return _by_feature(sheet, word, x, array)


def _fits(array: Array, x: Flow) -> bool:
    """Whether x keeps its shape beside the constant."""
    shape = (1,) * (x.rank - array.ndim) + array.shape[max(array.ndim - x.rank, 0) :]
    return all(s in (1, own) for s, own in zip(shape, x.shape, strict=True))


def _by_feature(sheet: Sheet, word: str, x: Flow, array: Array) -> Flow | None:
    if any(
        x.shape[a] != 1 and s in sheet.reading.sizes.values()
        for a, s in enumerate(array.shape[-x.rank :])
        if a != x.batch
    ):
        return None
    per, own = _per(x, array.astype(np.float32))
    settings: dict[str, Any] = {} if per == "feature" else {"per": per}
    if word in "+-":
        return replace(x, name=sheet.then(x, "scale", {"beta": own if word == "+" else -own}, scale=False, **settings))
    gamma = own if word == "*" else np.float32(1) / own
    return replace(x, name=sheet.then(x, "scale", {"gamma": gamma}, center=False, **settings))


def per_element(sheet: Sheet, x: Flow, factors: Array) -> Flow:
    """x times numbers of its own ONNX shape."""
    found = _by_feature(sheet, "*", x, factors)
    assert found is not None
    return found


@reads("Filled")
def read_filled(sheet: Sheet, step: Step) -> Value:
    """A tensor of one number, in the shape of another."""
    like, one = sheet.value(0), step.attributes["one"]
    if isinstance(like, np.ndarray):
        return np.full(like.shape, one)
    return sheet.scaled(sheet.scaled(sheet.flow(0), "*", 0), "+", shortest(one))


@reads("Affine")
def read_affine(sheet: Sheet, step: Step) -> Value:
    x = sheet.scaled(sheet.flow(0), "*", shortest(step.get("alpha", 1.0)))
    return sheet.scaled(x, "+", shortest(step.get("beta", 0.0)))


@reads("ImageScaler")
def read_image_scaler(sheet: Sheet, step: Step) -> Value:
    """scale * x + bias, one bias a channel (an operator of early exporters)."""
    x = sheet.scaled(sheet.flow(0), "*", shortest(step.get("scale", 1.0)))
    bias = np.asarray(step.get("bias", [0.0]), np.float32)
    found = _by_feature(sheet, "+", sheet.arranged(x, last(x)), bias.reshape(-1, 1, 1))
    assert found is not None
    return found


def last(x: Flow) -> tuple[int, ...]:
    """ONNX's axes with the channels, axis 1, last; the batch is axis 0."""
    return (*range(2, x.rank), 1)


@reads("Sum", "Max", "Min", "Mean")
def read_several(sheet: Sheet, step: Step) -> Value:
    """Sum, Max, Min and Mean of any number of tensors."""
    values = [sheet.value(i) for i in range(len(step.inputs))]
    flows = together(sheet, *(v for v in values if v is not None)) if len(values) > 1 else [sheet.flow(0)]
    if len(flows) == 1:
        return flows[0]
    word = {"Sum": "add", "Max": "maximum", "Min": "minimum", "Mean": "average"}[step.op]
    word = "+" if word == "add" and len(flows) == 2 else word
    return replace(flows[0], name=sheet.put(word, [f.name for f in flows])[0], port="")


@reads("Pow")
def read_pow(sheet: Sheet, step: Step) -> Value:
    """A constant exponent is a setting; 2, 0.5 and -1 have words."""
    x, exponent = sheet.value(0), sheet.value(1)
    if isinstance(x, Flow) and isinstance(exponent, np.ndarray) and exponent.size == 1:
        number = shortest(exponent.ravel()[0])
        words = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal"}
        if number in words:
            return sheet.unary(words[number], x)
        return sheet.unary("power", x, exponent=number)
    assert x is not None and exponent is not None
    return _powers(sheet, *together(sheet, x, exponent))


def _powers(sheet: Sheet, x: Flow, y: Flow) -> Flow:
    """exp(y log x): for tensors of exponents, where x is above 0."""
    product = sheet.put("*", (y.name, sheet.unary("log", x).name))[0]
    made = sheet.unary("exp", replace(x, name=product, port=""))
    if np.dtype(x.dtype).kind in "iu":
        made = truncated(sheet, sheet.scaled(made, "+", 1e-4))
    return made


@reads("Dropout")
def read_dropout(sheet: Sheet, step: Step) -> Value | tuple[Value, ...]:
    """In use it does nothing; in training it is our dropout."""
    x = sheet.value(0)
    assert x is not None
    ratio = sheet.optional(1, "`ratio`")
    rate = shortest(step.get("ratio", 0.5) if ratio is None else float(np.ravel(ratio)[0]))
    training = sheet.optional(2, "`training_mode`")
    if training is not None and bool(np.ravel(training)[0]) and rate:
        raise sheet.refused("it is said to drop numbers in use as well, and a spec drops them in training only")
    if not isinstance(x, Flow):
        return x
    kept = (replace(sheet.scaled(sheet.scaled(x, "*", 0), "+", 1), dtype="bool"),) if sheet.wants(1) else ()
    return (replace(x, name=sheet.then(x, "dropout", rate=rate)) if 0 < rate < 1 else x, *kept)


def shortest(value: Any) -> float:
    """A number as short as float32 has it."""
    return float(str(np.float32(value)))


def _dtype(value: Value) -> str:
    return value.dtype.name if isinstance(value, np.ndarray) else value.dtype
