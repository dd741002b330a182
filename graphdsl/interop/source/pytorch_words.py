"""What each step is called in PyTorch: an expression, and the layer that holds its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from graphdsl.interop.onnx.export_sheet import Step
from graphdsl.interop.source.page import Page, number, one_or_all

Say = Callable[[Page, Step], str]

PLAIN = {
    "Add": "{0} + {1}",
    "Sub": "{0} - {1}",
    "Mul": "{0} * {1}",
    "Pow": "{0} ** {1}",
    "Neg": "-{0}",
    "Abs": "{0}.abs()",
    "Exp": "{0}.exp()",
    "Log": "{0}.log()",
    "Sqrt": "{0}.sqrt()",
    "Reciprocal": "1 / {0}",
    "Sin": "{0}.sin()",
    "Cos": "{0}.cos()",
    "Tan": "{0}.tan()",
    "Asin": "{0}.asin()",
    "Acos": "{0}.acos()",
    "Atan": "{0}.atan()",
    "Sinh": "{0}.sinh()",
    "Cosh": "{0}.cosh()",
    "Asinh": "{0}.asinh()",
    "Acosh": "{0}.acosh()",
    "Atanh": "{0}.atanh()",
    "Erf": "{0}.erf()",
    "Sign": "{0}.sign()",
    "Floor": "{0}.floor()",
    "Ceil": "{0}.ceil()",
    "Round": "{0}.round()",
    "Relu": "F.relu({0})",
    "LeakyRelu": "F.leaky_relu({0}, {alpha})",
    "PRelu": "torch.where({0} > 0, {0}, {1} * {0})",
    "Elu": "F.elu({0}, {alpha})",
    "Celu": "F.celu({0}, {alpha})",
    "Selu": "{gamma} * F.elu({0}, {alpha})",
    "ThresholdedRelu": "F.threshold({0}, {alpha}, 0.0)",
    "HardSigmoid": "({alpha} * {0} + {beta}).clamp(0, 1)",
    "HardSwish": "F.hardswish({0})",
    "Sigmoid": "torch.sigmoid({0})",
    "Tanh": "torch.tanh({0})",
    "Softplus": "F.softplus({0})",
    "Softsign": "F.softsign({0})",
    "Shrink": "torch.where({0} > {lambd}, {0} - {bias}, torch.where({0} < -{lambd}, {0} + {bias}, 0.0))",
    "Softmax": "F.softmax({0}, dim={axis})",
    "Where": "torch.where({0}, {1}, {2})",
    "Greater": "{0} > {1}",
    "GreaterOrEqual": "{0} >= {1}",
    "Less": "{0} < {1}",
    "LessOrEqual": "{0} <= {1}",
    "Equal": "{0} == {1}",
    "And": "{0} & {1}",
    "MatMul": "{0} @ {1}",
    "Flatten": "torch.flatten({0}, 1)",
    "Identity": "{0}",
    "Transpose": "{0}.permute{perm}",
    "Dropout": "F.dropout({0}, {rate}, self.training)",
    "GaussianNoise": "{0} + {rate} * torch.randn_like({0}) * self.training",
    "Shape": "torch.tensor({0}.shape)",
    "Expand": "{0}.expand(*{1}.tolist())",
}
"""Steps that are one expression of their operands and settings."""

SAID: dict[str, Say] = {}


def says(*words: str) -> Callable[[Say], Say]:
    """Decorator: how these steps are said."""

    def register(say: Say) -> Say:
        SAID.update(dict.fromkeys(words, say))
        return say

    return register


def expression(page: Page, step: Step) -> str:
    """A step with one result. Raises Failed E0901 where PyTorch has no word for it."""
    if step.op in SAID:
        return SAID[step.op](page, step)
    if step.op not in PLAIN:
        raise page.refusal(step.name, step.op, "no function does the same")
    settings = {k: number(v) if isinstance(v, float) else v for k, v in step.settings.items()}
    return PLAIN[step.op].format(*(tensor(page, name) for name in step.inputs), **settings)


def tensor(page: Page, name: str) -> str:
    """An operand; a weight that is read by itself becomes a parameter of the model."""
    if not page.is_weight(name):
        return page.argument(name)
    own, turn = page.own_shape(name), page.sheet.origins[name][1]
    made = page.layer(name, f"nn.Parameter(torch.zeros({own}))")
    page.place(name, made)
    turned = tuple(own[a] for a in turn or range(len(own)))
    shaped = f".reshape({page.shape(name)})" if turned != page.shape(name) else ""
    return f"self.{made}" + (f".permute{turn}" if len(turn) > 1 else "") + shaped


def x_of(page: Page, step: Step) -> str:
    return tensor(page, step.inputs[0])


# --- layers ----------------------------------------------------------------------------------------------------------


@says("Conv", "ConvTranspose")
def say_conv(page: Page, step: Step) -> str:
    """nn.Conv2d and the like; padding that is not alike on both sides is put on before."""
    kernel, bias = step.inputs[1], step.inputs[2] if len(step.inputs) > 2 else ""
    size, turned = step.settings["kernel_shape"], step.op == "ConvTranspose"
    groups = step.settings.get("group", 1)
    pads = step.settings.get("pads", (0,) * 2 * len(size))
    first, second = page.shape(kernel)[:2]
    channels, filters = (first, second * groups) if turned else (second * groups, first)
    even, cut = pads[: len(size)] == pads[len(size) :], ""
    if turned and not even:
        cut = ", ".join(f"{lo}:{-hi or ''}" for lo, hi in zip(pads, pads[len(size) :], strict=False))
    settings = [
        ("stride", step.settings["strides"], 1),
        ("padding", pads[: len(size)] if even else (0,), 0),
        ("output_padding", step.settings.get("output_padding", (0,)), 0),
        ("dilation", step.settings.get("dilations", (1,)), 1),
        ("groups", (groups,), 1),
    ]
    written = [f"{name}={one_or_all(value)}" for name, value, default in settings if set(value) != {default}]
    written += [] if bias else ["bias=False"]
    word = f"nn.Conv{'Transpose' if turned else ''}{len(size)}d"
    made = page.layer(kernel, f"{word}({', '.join([str(channels), str(filters), one_or_all(size), *written])})")
    axes = len(size) + 2
    page.place(kernel, f"{made}.weight", (axes - 1, axes - 2, *range(axes - 2)))
    if bias:
        page.place(bias, f"{made}.bias")
    if cut:
        return f"self.{made}({x_of(page, step)})[:, :, {cut}]"
    return f"self.{made}({x_of(page, step) if even else _padded(x_of(page, step), pads)})"


def _padded(x: str, pads: Sequence[int], fill: str = "") -> str:
    """x with zeros around it, or another number; PyTorch counts from the last axis."""
    half = len(pads) // 2
    around = tuple(p for a in reversed(range(half)) for p in (pads[a], pads[half + a]))
    return f"F.pad({x}, {around}{f', value={fill}' if fill else ''})"


@says("Gemm")
def say_gemm(page: Page, step: Step) -> str:
    """nn.Linear where the second factor is a weight."""
    left, right = step.inputs[:2]
    settings = step.settings
    plain = page.is_weight(right) and not settings.get("transA") and not settings.get("transB")
    if not plain:
        factors = [
            f"{tensor(page, n)}{'.T' if settings.get(turn) else ''}"
            for n, turn in ((left, "transA"), (right, "transB"))
        ]
        return " @ ".join(factors) + (f" + {tensor(page, step.inputs[2])}" if len(step.inputs) > 2 else "")
    bias = step.inputs[2] if len(step.inputs) > 2 else ""
    features, units = page.shape(right)
    made = page.layer(right, f"nn.Linear({features}, {units}{'' if bias else ', bias=False'})")
    page.place(right, f"{made}.weight", (1, 0))
    if bias:
        page.place(bias, f"{made}.bias")
    return f"self.{made}({tensor(page, left)})"


@says("BatchNormalization")
def say_batch_norm(page: Page, step: Step) -> str:
    """With the parts that are weights of ours; the others stay 1 and 0."""
    rank = page.type(step).rank
    (width,) = page.shape(step.inputs[3])
    learned = [n for n in step.inputs[1:3] if page.is_weight(n)]
    momentum = page.momentum(step)
    written = [str(width), f"eps={number(step.settings['epsilon'])}", *([] if learned else ["affine=False"])]
    written += [] if momentum == 0.9 else [f"momentum={1 - momentum:.6g}"]
    made = page.layer(step.inputs[3], f"nn.BatchNorm{max(rank - 2, 1)}d({', '.join(written)})")
    for name, part in zip(step.inputs[1:], ("weight", "bias", "running_mean", "running_var"), strict=True):
        if page.is_weight(name):
            page.place(name, f"{made}.{part}")
    return f"self.{made}({x_of(page, step)})"


@says("LayerNormalization")
def say_layer_norm(page: Page, step: Step) -> str:
    """Over the features, which are last here as well."""
    scale, *shift = step.inputs[1:]
    (width,), eps = page.shape(scale), number(step.settings["epsilon"])
    if not page.is_weight(scale):
        return f"F.layer_norm({x_of(page, step)}, ({width},), eps={eps})"
    made = page.layer(scale, f"nn.LayerNorm({width}, eps={eps})")
    page.place(scale, f"{made}.weight")
    if shift:
        page.place(shift[0], f"{made}.bias")
    return f"self.{made}({x_of(page, step)})"


@says("Attention")
def say_attention(page: Page, step: Step) -> str:
    """Heads stand before time there."""
    parts = [f"{tensor(page, n)}.unflatten(-1, ({step.settings['heads']}, -1)).transpose(1, 2)" for n in step.inputs]
    causal = ["is_causal=True"] if step.settings["causal"] else []
    return f"F.scaled_dot_product_attention({', '.join([*parts, *causal])}).transpose(1, 2).flatten(2)"


@says("Gather")
def say_gather(page: Page, step: Step) -> str:
    """nn.Embedding, or elements along an axis."""
    table, places = step.inputs
    if not page.is_weight(table):
        return f"{tensor(page, table)}.index_select({step.settings.get('axis', 0)}, {tensor(page, places)})"
    rows, features = page.shape(table)
    made = page.layer(table, f"nn.Embedding({rows}, {features})")
    page.place(table, f"{made}.weight")
    return f"self.{made}({tensor(page, places)}.long())"


# --- pools -----------------------------------------------------------------------------------------------------------


@says("MaxPool", "AveragePool")
def say_pool(page: Page, step: Step) -> str:
    """F.max_pool2d and the like; padding that PyTorch does not take is put on before."""
    size, strides = step.settings["kernel_shape"], step.settings["strides"]
    unknown = set(step.settings) - {"kernel_shape", "strides", "pads", "count_include_pad"}
    if unknown or len(step.outputs) > 1:
        raise page.refusal(step.name, step.op, ", ".join(sorted(unknown)) or "the places of what it chose")
    pads, mean = step.settings.get("pads", ()), step.op == "AveragePool"
    half, x = len(size), x_of(page, step)
    taken = pads[:half] == pads[half:] and all(2 * p <= k for p, k in zip(pads, size, strict=False))
    word = f"F.{'avg' if mean else 'max'}_pool{half}d"
    sliding = f"{one_or_all(size)}, {one_or_all(strides)}"
    counted = bool(step.settings.get("count_include_pad"))
    if taken:
        padding = f", {one_or_all(pads[:half])}" if pads else ""
        return f"{word}({x}, {sliding}{padding}{', count_include_pad=False' if mean and pads and not counted else ''})"
    if not mean:
        return f"{word}({_padded(x, pads, '-torch.inf')}, {sliding})"
    total = f"{word}({_padded(x, pads)}, {sliding})"
    return total if counted else f"{total} / {word}({_padded(f'torch.ones_like({x})', pads)}, {sliding})"


@says("GlobalAveragePool", "GlobalMaxPool")
def say_global_pool(page: Page, step: Step) -> str:
    axes = tuple(range(2, page.rank(step)))
    return f"{x_of(page, step)}.{'mean' if step.op == 'GlobalAveragePool' else 'amax'}({axes}, keepdim=True)"


@says("ReduceMean", "ReduceMax", "ReduceSum")
def say_reduction(page: Page, step: Step) -> str:
    axes = tuple(step.settings["axes"]) if "axes" in step.settings else tuple(page.whole(step.inputs[1]))
    word = {"ReduceMean": "mean", "ReduceMax": "amax", "ReduceSum": "sum"}[step.op]
    return f"{x_of(page, step)}.{word}({axes}{', keepdim=True' if step.settings.get('keepdims', 1) else ''})"


# --- shapes ----------------------------------------------------------------------------------------------------------


@says("Reshape")
def say_reshape(page: Page, step: Step) -> str:
    x = x_of(page, step)
    sizes = [f"{x}.shape[{i}]" if size == 0 else str(size) for i, size in enumerate(page.whole(step.inputs[1]))]
    return f"{x}.reshape({', '.join(sizes)})" if sizes else f"{x}.reshape(())"


@says("Concat")
def say_concat(page: Page, step: Step) -> str:
    return f"torch.cat([{', '.join(tensor(page, n) for n in step.inputs)}], dim={step.settings['axis']})"


@says("Slice")
def say_slice(page: Page, step: Step) -> str:
    """x[:, 2:5]. Ours are counted from the start, so an end is never negative."""
    axes = page.whole(step.inputs[3])
    starts, ends = (_places(page, name, len(axes)) for name in step.inputs[1:3])
    cut = dict(zip(axes, (f"{a}:{b}" for a, b in zip(starts, ends, strict=True)), strict=True))
    return f"{x_of(page, step)}[{', '.join(cut.get(a, ':') for a in range(max(axes) + 1))}]"


def _places(page: Page, name: str, count: int) -> list[str]:
    """Whole numbers, known or computed."""
    known = name in page.sheet.stored
    return [str(n) for n in page.whole(name)] if known else [f"{page.argument(name)}[{i}]" for i in range(count)]


@says("Pad")
def say_pad(page: Page, step: Step) -> str:
    """A number all around; around batch and channels too where the spec says so."""
    if step.settings.get("mode", "constant") != "constant":
        raise page.refusal(step.name, step.op, "a border that is no number")
    fill = page.argument(step.inputs[2]) if len(step.inputs) > 2 else ""
    return _padded(x_of(page, step), page.whole(step.inputs[1]), fill)


@says("Resize")
def say_resize(page: Page, step: Step) -> str:
    scales = tuple(float(s) for s in page.numbers(step.inputs[2])[2:])
    words = {"nearest": "nearest", "linear": {1: "linear", 2: "bilinear"}.get(len(scales), "")}
    return f'F.interpolate({x_of(page, step)}, scale_factor={scales}, mode="{words[step.settings["mode"]]}")'


@says("Unsqueeze", "Squeeze")
def say_squeeze(page: Page, step: Step) -> str:
    made = x_of(page, step)
    for axis in sorted(page.whole(step.inputs[1]), reverse=step.op == "Squeeze"):
        made += f".{step.op.lower()}({axis})"
    return made


# --- several tensors -------------------------------------------------------------------------------------------------


@says("Sum", "Mean")
def say_sum(page: Page, step: Step) -> str:
    total = " + ".join(tensor(page, n) for n in step.inputs)
    return total if step.op == "Sum" else f"({total}) / {len(step.inputs)}"


@says("Max", "Min")
def say_largest(page: Page, step: Step) -> str:
    """Of tensors; a number among them is a bound."""
    word, bound = ("maximum", "min") if step.op == "Max" else ("minimum", "max")
    tensors = [tensor(page, n) for n in step.inputs if not page.is_number(n)]
    if not tensors:
        return f"{step.op.lower()}({', '.join(map(page.argument, step.inputs))})"
    made = tensors[0]
    for other in tensors[1:]:
        made = f"torch.{word}({made}, {other})"
    for name in step.inputs:
        made = f"{made}.clamp({bound}={page.argument(name)})" if page.is_number(name) else made
    return made


@says("Clip")
def say_clip(page: Page, step: Step) -> str:
    """relu6 by its name, other bounds as numbers."""
    bounds = zip(("min", "max"), step.inputs[1:], strict=False)
    x = x_of(page, step)
    if [page.argument(name) if name else "" for name in step.inputs[1:]] == ["0.0", "6.0"]:
        return f"F.relu6({x})"
    x = f"torch.tensor({x})" if page.is_number(step.inputs[0]) else x
    return f"{x}.clamp({', '.join(f'{word}={page.argument(n)}' for word, n in bounds if n)})"


@says("Div")
def say_division(page: Page, step: Step) -> str:
    """Of whole numbers, which are sizes, without a rest."""
    sign = "//" if page.is_whole(step.inputs[1]) else "/"
    return f"{tensor(page, step.inputs[0])} {sign} {tensor(page, step.inputs[1])}"


@says("CumSum")
def say_running_sum(page: Page, step: Step) -> str:
    """Reversed: turned over before and after; exclusive: less the number itself."""
    x, axis = x_of(page, step), int(page.numbers(step.inputs[1]))
    flip = f".flip({axis})" if step.settings.get("reverse") else ""
    return f"{x}{flip}.cumsum({axis}){flip}" + (f" - {x}" if step.settings.get("exclusive") else "")


@says("ArgMax")
def say_argmax(page: Page, step: Step) -> str:
    if step.settings.get("select_last_index"):
        raise page.refusal(step.name, step.op, "the last of equal numbers")
    return f"{x_of(page, step)}.argmax({step.settings['axis']}, keepdim=True)"


@says("Cast")
def say_cast(page: Page, step: Step) -> str:
    return f"{x_of(page, step)}.to(torch.{step.settings['to']})"
