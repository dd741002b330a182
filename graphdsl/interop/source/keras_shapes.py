"""What steps on shapes, and on several tensors, are called in Keras."""

from __future__ import annotations

from graphdsl.interop.onnx.export_sheet import Step
from graphdsl.interop.source.keras_words import says, tensor, x_of
from graphdsl.interop.source.page import Page, one_or_all


@says("Reshape")
def say_reshape(page: Page, step: Step) -> str:
    """The batch stays where it is first and stays; otherwise it is among what is left."""
    sizes = page.whole(step.inputs[1])
    if sizes and sizes[0] == 0:
        inner = [-1 if size == 0 else size for size in sizes[1:]]
        if inner.count(-1) > 1:
            raise page.refusal(step.name, step.op, "two sizes that are known only at run time")
        return f"layers.Reshape({tuple(inner)})({x_of(page, step)})"
    return f"ops.reshape({x_of(page, step)}, {tuple(sizes)})"


@says("Expand")
def say_expand(page: Page, step: Step) -> str:
    """Repeated along axes of size 1."""
    made, own, wanted = x_of(page, step), page.input_type(step), page.type(step)
    if not own.batched or own.rank != wanted.rank:
        raise page.refusal(step.name, step.op, "a tensor that is repeated for every sample")
    for axis, (old, new) in enumerate(zip(own.shape, wanted.shape, strict=True)):
        made = f"ops.repeat({made}, {new}, axis={axis})" if old != new else made
    return made


@says("Concat")
def say_concat(page: Page, step: Step) -> str:
    return f"ops.concatenate([{', '.join(tensor(page, n) for n in step.inputs)}], axis={step.settings['axis']})"


@says("Slice")
def say_slice(page: Page, step: Step) -> str:
    """x[:, 2:5]. An end that is computed is that of the axis: ours cut free lengths only in front."""
    axes, starts = page.whole(step.inputs[3]), page.whole(step.inputs[1])
    if not step.inputs[2] and (page.is_weight(step.inputs[0]) or step.inputs[0] in page.sheet.stored):
        raise page.refusal(step.name, step.op, "as many rows of a table as there are steps")
    ends = [str(n) for n in page.whole(step.inputs[2])] if step.inputs[2] else [""] * len(axes)
    cut = dict(zip(axes, (f"{a}:{b}" for a, b in zip(starts, ends, strict=True)), strict=True))
    return f"{x_of(page, step)}[{', '.join(cut.get(a, ':') for a in range(max(axes) + 1))}]"


@says("Pad")
def say_pad(page: Page, step: Step) -> str:
    """A number all around."""
    if step.settings.get("mode", "constant") != "constant":
        raise page.refusal(step.name, step.op, "a border that is no number")
    pads = page.whole(step.inputs[1])
    pairs = tuple(zip(pads[: len(pads) // 2], pads[len(pads) // 2 :], strict=True))
    fill = f", constant_values={page.argument(step.inputs[2])}" if len(step.inputs) > 2 else ""
    return f"ops.pad({x_of(page, step)}, {pairs}{fill})"


@says("Resize")
def say_resize(page: Page, step: Step) -> str:
    """UpSampling by whole factors."""
    scales = [float(s) for s in page.numbers(step.inputs[2])[2:]]
    linear = step.settings["mode"] == "linear"
    if any(s != int(s) for s in scales) or (linear and len(scales) != 2):
        raise page.refusal(step.name, step.op, f"this way to be {' by '.join(map(str, scales))} times as large")
    factors = tuple(int(s) for s in scales)
    written = one_or_all(factors) + (', interpolation="bilinear"' if linear else "")
    return f"layers.UpSampling{len(scales)}D({written})({x_of(page, step)})"


@says("CumSum")
def say_running_sum(page: Page, step: Step) -> str:
    """Reversed: turned over before and after; exclusive: less the number itself."""
    x, axis = x_of(page, step), int(page.numbers(step.inputs[1]))
    turned = f"ops.flip(ops.cumsum(ops.flip({x}, axis={axis}), axis={axis}), axis={axis})"
    made = turned if step.settings.get("reverse") else f"ops.cumsum({x}, axis={axis})"
    return made + (f" - {x}" if step.settings.get("exclusive") else "")


@says("ArgMax")
def say_argmax(page: Page, step: Step) -> str:
    if step.settings.get("select_last_index"):
        raise page.refusal(step.name, step.op, "the last of equal numbers")
    return f"ops.argmax({x_of(page, step)}, axis={step.settings['axis']}, keepdims=True)"


@says("Unsqueeze", "Squeeze")
def say_squeeze(page: Page, step: Step) -> str:
    word = "expand_dims" if step.op == "Unsqueeze" else "squeeze"
    return f"ops.{word}({x_of(page, step)}, {tuple(page.whole(step.inputs[1]))})"


# --- several tensors -------------------------------------------------------------------------------------------------


@says("Sum", "Mean")
def say_sum(page: Page, step: Step) -> str:
    total = " + ".join(tensor(page, n) for n in step.inputs)
    return total if step.op == "Sum" else f"({total}) / {len(step.inputs)}"


@says("Max", "Min")
def say_largest(page: Page, step: Step) -> str:
    word = "maximum" if step.op == "Max" else "minimum"
    made = tensor(page, step.inputs[0])
    for name in step.inputs[1:]:
        made = f"ops.{word}({made}, {tensor(page, name)})"
    return made


@says("Clip")
def say_clip(page: Page, step: Step) -> str:
    """relu6 by its name, other bounds as numbers."""
    made = x_of(page, step)
    if [page.argument(name) if name else "" for name in step.inputs[1:]] == ["0.0", "6.0"]:
        return f"ops.relu6({made})"
    for word, name in zip(("maximum", "minimum"), step.inputs[1:], strict=False):
        made = f"ops.{word}({made}, {page.argument(name)})" if name else made
    return made
