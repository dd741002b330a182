"""Convolution, Deconvolution, InnerProduct, Embed: the layers that multiply with weights.

Caffe's kernels are [filters, channels / groups, height, width], ours [height, width, channels / groups, filters].
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

from graphdsl.interop.caffe.call import Blobs, Call, translates
from graphdsl.interop.caffe.plan import Blob, features_last
from graphdsl.interop.caffe.text import Message
from graphdsl.ir import Array
from graphdsl.report import dataclass

WINDOW = "pad pad_h pad_w kernel_size kernel_h kernel_w stride stride_h stride_w"
CONVOLUTION = f"num_output bias_term dilation group weight_filler bias_filler axis force_nd_im2col {WINDOW}"
LARGEST = 65_536
"""A setting of a window beyond this is a mistake."""


def per_axis(call: Call, param: Message, name: str, default: int, axes: int) -> tuple[int, ...]:
    """`kernel_size: 3`, once or once for every axis, or `kernel_h: 3 kernel_w: 5`, as one number for every axis."""
    stem = name.removesuffix("_size")
    found = tuple(param.counts(name)) or (default,)
    if f"{stem}_h" in param or f"{stem}_w" in param:
        found = (param.count(f"{stem}_h", default), param.count(f"{stem}_w", default))
    found = found * axes if len(found) == 1 else found
    least = 0 if stem == "pad" else 1
    if len(found) != axes or any(not least <= n <= LARGEST for n in found):
        raise call.refused(f"`{name}` is {', '.join(map(str, found))}, for {axes} axes of time or space")
    return found


def one_or_all(sizes: tuple[int, ...]) -> int | tuple[int, ...]:
    """3 for (3, 3): one number where all axes have the same."""
    return sizes[0] if len(set(sizes)) == 1 else sizes


def unless(default: Any, value: Any) -> Any:
    """None, which is not written, for what is so anyway."""
    return None if value == default else value


@dataclass(frozen=True)
class _Slide:
    """The settings of a convolution, every one written out for every axis."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]
    filters: int
    groups: int
    bias: bool

    @property
    def reach(self) -> tuple[int, ...]:
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation, strict=True))

    def settings(self, **more: Any) -> dict[str, Any]:
        """Those of conv and its like, but filters and groups."""
        return {
            "size": one_or_all(self.size),
            "stride": unless(1, one_or_all(self.stride)),
            "pad": unless(0, one_or_all(self.pad)),
            "dilation": unless(1, one_or_all(self.dilation)),
            **more,
            "bias": unless(True, self.bias),
        }


def _slide(call: Call, x: Blob) -> _Slide:
    p, axes, channels = call.param, len(x.shape) - 1, x.shape[0]
    if p.count("axis", 1) != 1:
        raise call.refused("its channels are not on axis 1")
    if axes not in (1, 2):
        raise call.refused(f"its input has {axes} axes of time or space, and there are convolutions over one or two")
    filters, groups = p.count("num_output", 0), p.count("group", 1)
    groups = channels if "Depth" in call.step.kind else groups
    if not 1 <= filters < 1 << 31 or groups < 1 or channels % groups or filters % groups:
        raise call.refused(f"{channels} channels and {filters} filters in {groups} groups")
    return _Slide(
        per_axis(call, p, "kernel_size", 0, axes),
        per_axis(call, p, "stride", 1, axes),
        per_axis(call, p, "pad", 0, axes),
        per_axis(call, p, "dilation", 1, axes),
        filters,
        groups,
        p.flag("bias_term", True),
    )


@translates(
    *("Convolution", "ConvolutionDepthwise", "DepthwiseConvolution"), param="convolution_param", fields=CONVOLUTION
)
def convolution(call: Call) -> Blobs:
    """conv; depthwise_conv where each channel is a group; dense where only one place is left.

    Several inputs are convolved with the same weights.
    """
    later = replace(call, shares=call.shares or call.step.name)
    return tuple(_convolved(later if i else call, x) for i, x in enumerate(call.inputs))


def _convolved(call: Call, x: Blob) -> Blob:
    slide, channels = _slide(call, x), x.shape[0]
    edges = zip(x.shape[1:], slide.pad, slide.reach, slide.stride, strict=True)
    out = tuple((n + 2 * p - r) // s + 1 for n, p, r, s in edges)
    if any(n < 1 for n in out):
        raise call.refused(f"its window of {slide.reach} is larger than its input of {x.shape[1:]}")
    kernel = call.weight(0, (slide.filters, channels // slide.groups, *slide.size))
    bias = call.weight(1, (slide.filters,)) if slide.bias else None
    if x.axes == (0,) and slide.groups == prod(slide.size) == 1 and not any(slide.pad):
        kernel = None if kernel is None else kernel.reshape(slide.filters, channels).T
        settings = {"units": slide.filters, "bias": unless(True, slide.bias)}
        return Blob(call.learned("dense", x, settings, {"kernel": kernel, "bias": bias}), (slide.filters, *out), (0,))
    last = features_last(len(x.shape))
    if slide.groups == channels > 1:
        word, settings = "depthwise_conv", slide.settings(multiplier=unless(1, slide.filters // channels))
    else:
        word, settings = "conv", {"filters": slide.filters, **slide.settings(groups=unless(1, slide.groups))}
    weights = {"kernel": _features_last(kernel), "bias": bias}
    return Blob(call.learned(word, call.plan.arranged(x, last), settings, weights), (slide.filters, *out), last)


@translates("Deconvolution", param="convolution_param", fields=CONVOLUTION)
def deconvolution(call: Call) -> Blobs:
    """conv_transpose, whose kernel is that of the conv that goes the other way, as Caffe's is."""
    call.demand_inputs(1)
    slide, last = _slide(call, call.blob), features_last(len(call.blob.shape))
    x = call.plan.arranged(call.blob, last)
    edges = zip(x.shape[1:], slide.pad, slide.reach, slide.stride, strict=True)
    out = tuple((n - 1) * s + r - 2 * p for n, p, r, s in edges)
    if any(n < 1 for n in out):
        raise call.refused(f"`pad` {slide.pad} cuts everything off")
    kernel = call.weight(0, (x.shape[0], slide.filters // slide.groups, *slide.size))
    weights = {"kernel": _features_last(kernel), "bias": call.weight(1, (slide.filters,)) if slide.bias else None}
    settings = {"filters": slide.filters, **slide.settings(groups=unless(1, slide.groups))}
    return (Blob(call.learned("conv_transpose", x, settings, weights), (slide.filters, *out), last),)


def _features_last(kernel: Array | None) -> Array | None:
    """[filters, channels, size...] as [size..., channels, filters]."""
    return None if kernel is None else kernel.transpose(*range(2, kernel.ndim), 1, 0)


@translates(
    "InnerProduct", param="inner_product_param", fields="num_output bias_term weight_filler bias_filler axis transpose"
)
def inner_product(call: Call) -> Blobs:
    """dense; where Caffe makes its input flat on the way, the kernel's rows are put into the order of ours."""
    call.demand_inputs(1)
    p, x = call.param, call.blob
    axis = p.count("axis", 1)
    axis = axis - 1 if axis > 0 else len(x.shape) + axis
    units, bias = p.count("num_output", 0), p.flag("bias_term", True)
    if not 1 <= units < 1 << 31:
        raise call.refused(f"`num_output` is {units}")
    if axis == 0:
        x = x if x.was is not None else call.plan.flat(x)
    elif axis == len(x.shape) - 1 == 1:
        x = call.plan.arranged(x, (0, 1))
    else:
        raise call.refused(
            f"it multiplies from axis {axis + 1} of {len(x.shape) + 1} on; a dense takes all, or the last of three"
        )
    rows = x.shape[-1]
    shape = (rows, units) if p.flag("transpose", False) else (units, rows)
    kernel = call.weight(0, shape)
    weights = {"kernel": None if kernel is None else _rows(kernel if p.flag("transpose", False) else kernel.T, x)}
    weights["bias"] = call.weight(1, (units,)) if bias else None
    tensor = call.learned("dense", x, {"units": units, "bias": unless(True, bias)}, weights)
    return (Blob(tensor, (*x.shape[:-1], units), tuple(range(len(x.shape)))),)


def _rows(kernel: Array, x: Blob) -> Array:
    """The rows of a kernel [features, units] in the order in which x has its features."""
    if x.was is None:
        return kernel
    shape, axes = x.was.shape, x.was.whole_axes
    return kernel.reshape(*shape, -1).transpose(*axes, len(shape)).reshape(kernel.shape)


@translates("Embed", param="embed_param", fields="num_output input_dim bias_term weight_filler bias_filler")
def embed(call: Call) -> Blobs:
    """embedding; Caffe's bias, which is the same for every word, goes into the table."""
    call.demand_inputs(1)
    p = call.param
    words, features = p.count("input_dim", 0), p.count("num_output", 0)
    table = call.weight(0, (words, features))
    bias = call.weight(1, (features,)) if p.flag("bias_term", True) else None
    if table is not None and bias is not None:
        table = table + bias
    tensor = call.learned("embedding", call.blob, {"features": features}, {"table": table})
    rank = len(call.blob.shape)
    return (Blob(tensor, (*call.blob.shape, features), tuple(range(rank + 1))),)
