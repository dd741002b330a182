"""What each step is called in Keras: an expression, and the layer that holds its weights. Channels are last."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphdsl.interop.onnx.export_sheet import Step
from graphdsl.interop.source.page import Page, number, one_or_all
from graphdsl.ir import TypeRuleError
from graphdsl.ops import reach, resolve_pad

Say = Callable[[Page, Step], str]

PLAIN = {
    "Add": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "Pow": "{0} ** {1}",
    "Div": "{0} / {1}",
    "Neg": "-{0}",
    "Reciprocal": "1 / {0}",
    "Abs": "ops.abs({0})",
    "Exp": "ops.exp({0})",
    "Log": "ops.log({0})",
    "Sqrt": "ops.sqrt({0})",
    "Sin": "ops.sin({0})",
    "Cos": "ops.cos({0})",
    "Tan": "ops.tan({0})",
    "Asin": "ops.arcsin({0})",
    "Acos": "ops.arccos({0})",
    "Atan": "ops.arctan({0})",
    "Sinh": "ops.sinh({0})",
    "Cosh": "ops.cosh({0})",
    "Asinh": "ops.arcsinh({0})",
    "Acosh": "ops.arccosh({0})",
    "Atanh": "ops.arctanh({0})",
    "Erf": "ops.erf({0})",
    "Sign": "ops.sign({0})",
    "Floor": "ops.floor({0})",
    "Ceil": "ops.ceil({0})",
    "Round": "ops.round({0})",
    "Relu": "ops.relu({0})",
    "LeakyRelu": "ops.leaky_relu({0}, {alpha})",
    "PRelu": "ops.where({0} > 0, {0}, {1} * {0})",
    "Elu": "ops.elu({0}, {alpha})",
    "Celu": "ops.celu({0}, {alpha})",
    "Selu": "{gamma} * ops.elu({0}, {alpha})",
    "ThresholdedRelu": "ops.where({0} > {alpha}, {0}, 0.0)",
    "HardSigmoid": "ops.clip({alpha} * {0} + {beta}, 0, 1)",
    "HardSwish": "ops.hard_silu({0})",
    "Sigmoid": "ops.sigmoid({0})",
    "Tanh": "ops.tanh({0})",
    "Softplus": "ops.softplus({0})",
    "Softsign": "ops.softsign({0})",
    "Shrink": "ops.where({0} > {lambd}, {0} - {bias}, ops.where({0} < -{lambd}, {0} + {bias}, 0.0))",
    "Softmax": "ops.softmax({0}, axis={axis})",
    "Where": "ops.where({0}, {1}, {2})",
    "Greater": "{0} > {1}",
    "GreaterOrEqual": "{0} >= {1}",
    "Less": "{0} < {1}",
    "LessOrEqual": "{0} <= {1}",
    "Equal": "ops.equal({0}, {1})",
    "And": "ops.logical_and({0}, {1})",
    "MatMul": "ops.matmul({0}, {1})",
    "Flatten": "layers.Flatten()({0})",
    "Identity": "layers.Identity()({0})",
    "Transpose": "ops.transpose({0}, {perm})",
    "Dropout": "layers.Dropout({rate})({0})",
    "GaussianNoise": "layers.GaussianNoise({rate})({0})",
    "Cast": 'ops.cast({0}, "{to}")',
}
"""Steps that are one expression of their operands and settings."""

FUNCTIONS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
"""Arithmetic that begins with an array of NumPy, which would take the operator for itself."""

SAID: dict[str, Say] = {}


def says(*words: str) -> Callable[[Say], Say]:
    """Decorator: how these steps are said."""

    def register(say: Say) -> Say:
        SAID.update(dict.fromkeys(words, say))
        return say

    return register


def expression(page: Page, step: Step) -> str:
    """A step with one result. Raises Failed E0901 where Keras has no word for it."""
    if step.op in SAID:
        return SAID[step.op](page, step)
    if step.op not in PLAIN:
        raise page.refusal(step.name, step.op, "no layer or operation does the same")
    settings = {k: number(v) if isinstance(v, float) else v for k, v in step.settings.items()}
    if step.op in FUNCTIONS and page.is_row(step.inputs[0]):
        return f"ops.{FUNCTIONS[step.op]}({', '.join(tensor(page, name) for name in step.inputs)})"
    return PLAIN[step.op].format(*(tensor(page, name) for name in step.inputs), **settings)


def tensor(page: Page, name: str) -> str:
    """An operand; a weight that is read by itself becomes a layer that gives it."""
    if not page.is_weight(name):
        return page.argument(name)
    made = page.layer(name, f"Weight({page.own_shape(name)}")
    page.place(name, f"{made}.value")
    return f"{called(page, name, made)}({page.given[0]})"


def x_of(page: Page, step: Step) -> str:
    return tensor(page, step.inputs[0])


def called(page: Page, weight: str, made: str) -> str:
    """A layer to be called: made on the spot, or once before its first use where it is used again."""
    text = f'{page.layers[made]}, name="{made}")'
    if page.uses(weight) < 2:
        return text
    if made not in page.shared:
        page.shared.add(made)
        page.write(f"{page.local(made)} = {text}")
    return page.local(made)


# --- layers ----------------------------------------------------------------------------------------------------------


@says("Conv")
def say_conv(page: Page, step: Step) -> str:
    """Conv2D and the like, or DepthwiseConv2D."""
    kernel, size, groups = step.inputs[1], step.settings["kernel_shape"], step.settings.get("group", 1)
    filters, each = page.shape(kernel)[:2]
    deep = groups > 1 and each == 1
    dilation = step.settings.get("dilations", (1,) * len(size))
    x, padding = _padded(page, step, size, dilation, causal=not deep)
    if max(dilation) > 1 and max(step.settings["strides"]) > 1:
        raise page.refusal(step.name, step.op, "a stride together with a dilation")
    settings = [
        ("strides", step.settings["strides"], 1),
        ("dilation_rate", dilation, 1),
        ("depth_multiplier", (filters // groups if deep else 1,), 1),
        ("groups", (1 if deep else groups,), 1),
    ]
    written = [] if deep else [str(filters)]
    written += [one_or_all(size), *(f"{n}={one_or_all(v)}" for n, v, default in settings if set(v) != {default})]
    written += [f'padding="{padding}"'] if padding else []
    written += [] if len(step.inputs) > 2 else ["use_bias=False"]
    return (
        _kernelled(page, step, f"layers.{'Depthwise' if deep else ''}Conv{len(size)}D({', '.join(written)}") + f"({x})"
    )


def _kernelled(page: Page, step: Step, made: str) -> str:
    """A layer with a kernel and, where the step has one, a bias: both as ours."""
    name = page.layer(step.inputs[1], made)
    page.place(step.inputs[1], f"{name}.kernel")
    if len(step.inputs) > 2:
        page.place(step.inputs[2], f"{name}.bias")
    return called(page, step.inputs[1], name)


def _padded(
    page: Page, step: Step, size: Sequence[int], dilation: Sequence[int], *, causal: bool, fill: str = "0.0"
) -> tuple[str, str]:
    """The input and what Keras calls the padding; padding that has no name is put on before."""
    pads, x, half = step.settings.get("pads", ()), x_of(page, step), len(size)
    if not pads:
        return x, ""
    pairs = tuple(zip(pads[:half], pads[half:], strict=True))
    reached = reach(tuple(size), tuple(dilation))
    if causal and half == 1 and pairs == ((reached[0] - 1, 0),):
        return x, "causal"
    try:
        same = resolve_pad("same", page.input_type(step).spatial, reached, step.settings["strides"])
    except TypeRuleError:
        same = ()
    if pairs == same:
        return x, "same"
    if fill != "0.0":
        return f"ops.pad({x}, {((0, 0), *pairs, (0, 0))}, constant_values={fill})", ""
    return f"layers.ZeroPadding{half}D({pairs if half > 1 else pairs[0]})({x})", ""


@says("ConvTranspose")
def say_conv_transpose(page: Page, step: Step) -> str:
    """Whole, and then cut."""
    size, strides = step.settings["kernel_shape"], step.settings["strides"]
    if step.settings.get("group", 1) > 1 or max(step.settings.get("dilations", (1,))) > 1:
        raise page.refusal(step.name, step.op, "groups or a dilation")
    filters, half = page.shape(step.inputs[1])[1], len(size)
    written = [str(filters), one_or_all(size)]
    written += [f"strides={one_or_all(strides)}"] if set(strides) != {1} else []
    written += [] if len(step.inputs) > 2 else ["use_bias=False"]
    made = _kernelled(page, step, f"layers.Conv{half}DTranspose({', '.join(written)}") + f"({x_of(page, step)})"
    pads = step.settings.get("pads", (0,) * 2 * half)
    more = step.settings.get("output_padding", (0,) * half)
    past = [max(s - k, 0) for k, s in zip(size, strides, strict=True)]
    cut = tuple((lo, hi - m + p) for lo, hi, m, p in zip(pads[:half], pads[half:], more, past, strict=True))
    if any(hi < 0 for _, hi in cut):
        raise page.refusal(step.name, step.op, "a result beyond the last window")
    return f"layers.Cropping{half}D({cut if half > 1 else cut[0]})({made})" if any(map(any, cut)) else made


@says("Gemm")
def say_gemm(page: Page, step: Step) -> str:
    """Dense where the second factor is a weight."""
    left, right = step.inputs[:2]
    settings = step.settings
    if page.is_weight(right) and not settings.get("transA") and not settings.get("transB"):
        bias = "" if len(step.inputs) > 2 else ", use_bias=False"
        return _kernelled(page, step, f"layers.Dense({page.shape(right)[1]}{bias}") + f"({tensor(page, left)})"
    turns = ((left, settings.get("transA")), (right, settings.get("transB")))
    factors = [f"ops.transpose({tensor(page, n)})" if turn else tensor(page, n) for n, turn in turns]
    return f"ops.matmul({', '.join(factors)})" + (f" + {tensor(page, step.inputs[2])}" if len(step.inputs) > 2 else "")


@says("BatchNormalization", "LayerNormalization")
def say_norm(page: Page, step: Step) -> str:
    """With the parts that are weights of ours."""
    scale, shift = (len(step.inputs) > i and page.is_weight(step.inputs[i]) for i in (1, 2))
    written = [f"epsilon={number(step.settings['epsilon'])}"]
    written += [f"momentum={page.momentum(step)}"] if step.op == "BatchNormalization" else []
    written += [f"{word}=False" for word, there in (("scale", scale), ("center", shift)) if not there]
    owner = next((n for n in step.inputs[1:] if page.is_weight(n)), "")
    if not owner:
        return f"layers.{step.op}({', '.join(written)})({x_of(page, step)})"
    made = page.layer(owner, f"layers.{step.op}({', '.join(written)}")
    for name, part in zip(step.inputs[1:], ("gamma", "beta", "moving_mean", "moving_variance"), strict=False):
        if page.is_weight(name):
            page.place(name, f"{made}.{part}")
    return f"{called(page, owner, made)}({x_of(page, step)})"


@says("Attention")
def say_attention(page: Page, step: Step) -> str:
    """Heads are an axis of their own there."""
    sizes = [step.settings[name] for name in ("split", "split", "taken")]
    if sizes[0] != sizes[2]:
        raise page.refusal(step.name, step.op, "values of another width than keys")
    parts = [f"layers.Reshape({size})({tensor(page, n)})" for n, size in zip(step.inputs, sizes, strict=True)]
    causal = ["is_causal=True"] if step.settings["causal"] else []
    made = f"ops.dot_product_attention({', '.join([*parts, *causal])})"
    return f"layers.Reshape((-1, {step.settings['width']}))({made})"


@says("Gather")
def say_gather(page: Page, step: Step) -> str:
    """Embedding, or elements along an axis."""
    table, places = step.inputs
    if not page.is_weight(table):
        return f"ops.take({tensor(page, table)}, {tensor(page, places)}, axis={step.settings.get('axis', 0)})"
    rows, features = page.shape(table)
    made = page.layer(table, f"layers.Embedding({rows}, {features}")
    page.place(table, f"{made}.embeddings")
    return f"{called(page, table, made)}({tensor(page, places)})"


# --- pools -----------------------------------------------------------------------------------------------------------


@says("MaxPool", "AveragePool")
def say_pool(page: Page, step: Step) -> str:
    """MaxPooling2D and the like; of a mean, padding does not count unless the step says so."""
    unknown = set(step.settings) - {"kernel_shape", "strides", "pads", "count_include_pad"}
    if unknown or len(step.outputs) > 1:
        raise page.refusal(step.name, step.op, ", ".join(sorted(unknown)) or "the places of what it chose")
    size, strides, mean = step.settings["kernel_shape"], step.settings["strides"], step.op == "AveragePool"
    x, padding = _padded(page, step, size, (1,) * len(size), causal=False, fill="0.0" if mean else "-3e38")
    counted = bool(step.settings.get("count_include_pad"))
    written = [one_or_all(size), *([f"strides={one_or_all(strides)}"] if strides != size else [])]
    pool = f"layers.{'Average' if mean else 'Max'}Pooling{len(size)}D({', '.join(written)}"
    if padding and counted:
        x, padding = _around(step, x_of(page, step)), ""
    if mean and "pads" in step.settings and not padding and not counted:
        ones = _around(step, f"ops.ones_like({x_of(page, step)})")
        return f"{pool})({x}) / {pool})({ones})"
    return f"{pool}{', padding=' + chr(34) + padding + chr(34) if padding else ''})({x})"


def _around(step: Step, x: str) -> str:
    pads = step.settings["pads"]
    half = len(pads) // 2
    return f"ops.pad({x}, {((0, 0), *zip(pads[:half], pads[half:], strict=True), (0, 0))})"


@says("GlobalMaxPool")
def say_global_max_pool(page: Page, step: Step) -> str:
    axes = tuple(range(1, page.rank(step) - 1))
    return f"ops.max({x_of(page, step)}, axis={axes}, keepdims=True)"


@says("ReduceMean", "ReduceMax", "ReduceSum")
def say_reduction(page: Page, step: Step) -> str:
    """A mean over all of time or space is GlobalAveragePooling."""
    axes = tuple(step.settings["axes"]) if "axes" in step.settings else tuple(page.whole(step.inputs[1]))
    kept = step.settings.get("keepdims", 1)
    if step.op == "ReduceMean" and not kept and axes == tuple(range(1, page.rank(step) - 1)):
        return f"layers.GlobalAveragePooling{len(axes)}D()({x_of(page, step)})"
    word = step.op.removeprefix("Reduce").lower()
    return f"ops.{word}({x_of(page, step)}, axis={axes}{', keepdims=True' if kept else ''})"
