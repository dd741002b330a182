"""Sections with weights: convolutional, deconvolutional, connected, local, batchnorm."""

from __future__ import annotations

from math import prod
from typing import Any

from graphdsl.interop.darknet.activations import activated
from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section
from graphdsl.ir import Array

MOST = 1 << 20
"""Filters and outputs; sizes and strides are bounded by the tensors."""
EPS = 1e-6
"""Darknet's (x - mean) / (sqrt(variance) + 1e-6), as near as ours comes; AlexeyAB's has 1e-5 since 2020."""
Parts = dict[str, Array]
NONE: tuple[Parts, Parts] = ({}, {})

INEXPRESSIBLE = {
    "binary": "weights that are only signs",
    "xnor": "weights and inputs that are only signs",
    "sway": "kernels that are moved",
    "rotate": "kernels that are turned",
    "stretch": "kernels that are stretched",
    "stretch_sway": "kernels that are stretched and moved",
    "assisted_excitation": "activations that the truth adds to in training",
    "coordconv": "coordinates among the channels",
    "reverse": "gradients with the other sign",
    "dot": "a penalty on products of filters",
}


def window_sizes(section: Section) -> tuple[int, tuple[int, int]]:
    """Size and stride (down, across) of a sliding window."""
    stride = section.whole("stride", 1, 1, MOST)
    across, down = section.whole("stride_x", stride), section.whole("stride_y", stride)
    return section.whole("size", 1, 1, MOST), (down if down > 0 else stride, across if across > 0 else stride)


def padding_of(section: Section, size: int) -> int:
    """`pad=1` is half the size, `padding=n` is n."""
    return size // 2 if section.flag("pad") else section.whole("padding", 0, 0, MOST)


def convolutional(a: Assembly, s: Section) -> Made:
    """A convolution, batch normalisation if asked for, the activation, and a blur where `antialiasing` asks for one."""
    for key, what in INEXPRESSIBLE.items():
        if s.flag(key):
            raise s.refuse(f"{key}={s.text(key)}: {what} have no counterpart here", key=key)
    x = a.picture(s)
    filters, groups = s.whole("filters", 1, 1, MOST), s.whole("groups", 1, 1, MOST)
    if x.channels % groups or filters % groups:
        raise s.refuse(f"{groups} groups divide not {x.channels} channels and {filters} filters", key="groups")
    size, asked = window_sizes(s)
    blur = s.whole("antialiasing", 0, 0, 2)
    stride = (1, 1) if blur else asked
    settings, places = _slide(s, x, size, stride)
    owner = _owner(a, s)
    normal = s.flag("batch_normalize") or s.flag("cbn")
    kernel, norm = _weights(a, s, filters, (filters, x.channels // groups, size, size), normal) if not owner else NONE
    settings |= {"bias": False} if normal else {}
    y = _convolve(a, x, filters, groups, size, settings, kernel, _name(a, owner, 0))
    steps = [len(a.layers) - 1]
    if normal:
        y = a.emit("batch_norm", y, weights=norm, shares=_name(a, owner, 1), eps=EPS)
        steps.append(len(a.layers) - 1)
    a.owners[s.number] = owner or tuple(steps)
    made = Made(activated(a, s, y), *places, filters)
    return blurred(a, s, made, blur, asked) if blur else made


def _slide(s: Section, x: Made, size: int, stride: tuple[int, int]) -> tuple[dict[str, Any], tuple[int, int]]:
    """Settings of the window that differ from ours, and the sizes that Darknet computes."""
    pad = padding_of(s, size)
    dilation = s.whole("dilation", 1, 1, MOST) if size > 1 else 1
    if dilation > 1 and 2 * pad + 1 != size:
        raise s.refuse(
            "Darknet's sizes of dilated windows are right only with padding of half the size", key="dilation"
        )
    places = tuple((n + 2 * pad - size) // d + 1 for n, d in zip(x.picture, stride, strict=False))
    if min(places) < 1 or min(x.picture[:2]) + 2 * pad < size:
        raise s.refuse(
            f"a window of {size} is larger than the padded input of {x.height}x{x.width}", key="size", code="E0902"
        )
    settings: dict[str, Any] = {}
    if stride != (1, 1):
        settings["stride"] = stride[0] if stride[0] == stride[1] else stride
    if pad:
        settings["pad"] = "same" if stride == (1, 1) and 2 * pad + 1 == size else pad * dilation
    if dilation > 1:
        settings["dilation"] = dilation
    return settings, (places[0], places[1])


def _convolve(
    a: Assembly, x: Made, filters: int, groups: int, size: int, settings: dict[str, Any], parts: Parts, owner: str
) -> str:
    if groups > 1 and groups == x.channels:
        more = {"multiplier": filters // groups} if filters > groups else {}
        return a.emit("depthwise_conv", x.tensor, weights=parts, shares=owner, size=size, **settings, **more)
    more = {"groups": groups} if groups > 1 else {}
    return a.emit("conv", x.tensor, weights=parts, shares=owner, filters=filters, size=size, **settings, **more)


def _name(a: Assembly, owner: tuple[int, ...], part: int) -> str:
    return a.layers[owner[part]].name if owner else ""


def _owner(a: Assembly, s: Section) -> tuple[int, ...]:
    """The steps whose weights this section uses: convolution and normalisation; nothing where it has its own."""
    if not s.has("share_index"):
        return ()
    index = s.whole("share_index")
    place = s.number + index if index < 0 else index
    if place not in a.owners:
        raise s.refuse(f"share_index speaks of layer {place}, which is no [convolutional] before it", key="share_index")
    owner = a.sections[place]
    same = ("filters", "size", "groups", "batch_normalize")
    if any(owner.text(k) != s.text(k) for k in same) or a.entering[place] != a.entering[s.number]:
        raise s.refuse(f"its weights have another shape than those of layer {place}", key="share_index")
    return a.owners[place]


def _weights(a: Assembly, s: Section, filters: int, shape: tuple[int, ...], normal: bool) -> tuple[Parts, Parts]:
    """Kernel (and bias) of a convolution, parts of its normalisation: in Darknet's order, biases first.

    shape  [filters, channels, size, size] of a convolution, [channels, filters, size, size] of a transposed one
    """
    f = a.floats
    if not f.given:
        return NONE
    demand_loaded(s)
    bias = f.take(s, "biases", filters)
    norm = normal_parts(a, s, filters, bias) if normal else {}
    if s.flag("flipped"):
        kernel = f.take(s, "weights", prod(shape[1:]), shape[0]).T.reshape(shape)
    else:
        kernel = f.take(s, "weights", *shape)
    parts = {"kernel": kernel.transpose(2, 3, 1, 0)}
    return (parts, norm) if normal else ({**parts, "bias": bias}, {})


def normal_parts(a: Assembly, s: Section, count: int, bias: Array) -> Parts:
    """Scales, means and variances, which follow the biases."""
    names = ("scales", "rolling means", "rolling variances")
    scales, mean, variance = (a.floats.take(s, name, count) for name in names)
    return {"gamma": scales, "beta": bias, "mean": mean, "variance": variance}


def demand_loaded(s: Section) -> None:
    """Refuses sections that Darknet does not read, or only in part."""
    for key in ("dontload", "dontloadscales", "numload"):
        if s.flag(key):
            raise s.refuse(f"{key}={s.text(key)}: some of its weights are not in the file", key=key)


def blurred(a: Assembly, s: Section, x: Made, blur: int, stride: tuple[int, int]) -> Made:
    """antialiasing: a blur with the stride. 2 is the mean of 2x2, 1 is twice that: 1 2 1 in both directions."""
    if stride[0] != stride[1]:
        raise s.refuse("antialiasing with two strides has no counterpart here", key="antialiasing")
    tensor = x.tensor
    if blur == 1:
        tensor = a.emit("avg_pool", tensor, size=2, stride=1, pad=1, count_padding=True)
    places = ((n + (1 if blur == 1 else 0) - 2) // stride[0] + 1 for n in (x.height, x.width))
    height, width = places
    return Made(a.emit("avg_pool", tensor, size=2, stride=stride[0]), height, width, x.channels)


def deconvolutional(a: Assembly, s: Section) -> Made:
    """A transposed convolution. Its weights stand as [channels, filters, size, size]."""
    x = a.picture(s)
    filters = s.whole("filters", 1, 1, MOST)
    size, (stride, _) = window_sizes(s)
    pad = padding_of(s, size)
    height, width = ((n - 1) * stride + size - 2 * pad for n in (x.height, x.width))
    normal = s.flag("batch_normalize")
    kernel, norm = _weights(a, s, filters, (x.channels, filters, size, size), normal)
    settings: dict[str, Any] = {"stride": stride} if stride > 1 else {}
    settings |= {"pad": pad} if pad else {}
    settings |= {"bias": False} if normal else {}
    y = a.emit("conv_transpose", x.tensor, weights=kernel, filters=filters, size=size, **settings)
    y = a.emit("batch_norm", y, weights=norm, eps=EPS) if normal else y
    return Made(activated(a, s, y), height, width, filters)


def connected(a: Assembly, s: Section) -> Made:
    """A dense layer over all numbers. Darknet counts them channel by channel, so the kernel is turned."""
    x = a.last(s)
    outputs = s.whole("output", 1, 1, MOST)
    normal = s.flag("batch_normalize")
    parts, norm = _connected_weights(a, s, x, outputs, normal)
    tensor = x.tensor if x.flat else a.emit("flatten", x.tensor)
    settings: dict[str, Any] = {"bias": False} if normal else {}
    y = a.emit("dense", tensor, weights=parts, units=outputs, **settings)
    y = a.emit("batch_norm", y, weights=norm, eps=EPS) if normal else y
    return Made(activated(a, s, y), 1, 1, outputs, flat=True)


def _connected_weights(a: Assembly, s: Section, x: Made, outputs: int, normal: bool) -> tuple[Parts, Parts]:
    f = a.floats
    if not f.given:
        return {}, {}
    demand_loaded(s)
    bias = f.take(s, "biases", outputs)
    shape = (x.count, outputs) if f.transposed else (outputs, x.count)
    kernel = f.take(s, "weights", *shape)
    kernel = kernel if f.transposed else kernel.T
    if not x.flat:
        turned = kernel.reshape(x.channels, x.height, x.width, outputs).transpose(1, 2, 0, 3)
        kernel = turned.reshape(x.count, outputs)
    norm = normal_parts(a, s, outputs, bias) if normal else {}
    return ({"kernel": kernel}, norm) if normal else ({"kernel": kernel, "bias": bias}, {})


def local(a: Assembly, s: Section) -> Made:
    """A convolution with weights of its own at every place, which stand as [places, filters, channels, size, size]."""
    x, filters = a.picture(s), s.whole("filters", 1, 1, MOST)
    size, (stride, _) = window_sizes(s)
    pad = int(s.flag("pad"))
    height, width = ((n - (1 if pad else size)) // stride + 1 for n in (x.height, x.width))
    if min(height, width) < 1 or (pad and size != 3):
        raise s.refuse(
            f"a window of {size} with pad={pad}; Darknet's sizes are right with pad=1 for 3 and pad=0", key="size"
        )
    parts: Parts = {}
    if a.floats.given:
        demand_loaded(s)
        bias = a.floats.take(s, "biases", filters, height, width).transpose(1, 2, 0)
        kernel = a.floats.take(s, "weights", height, width, filters, x.channels, size, size)
        parts = {"kernel": kernel.transpose(0, 1, 4, 5, 3, 2), "bias": bias}
    settings: dict[str, Any] = {"stride": stride} if stride > 1 else {}
    settings |= {"pad": pad} if pad else {}
    y = a.emit("local_conv", x.tensor, weights=parts, filters=filters, size=size, **settings)
    return Made(activated(a, s, y), height, width, filters)


def batchnorm(a: Assembly, s: Section) -> Made:
    """Batch normalisation of what flows in."""
    x = a.last(s)
    norm: Parts = {}
    if a.floats.given:
        demand_loaded(s)
        norm = normal_parts(a, s, x.channels, a.floats.take(s, "biases", x.channels))
    return Made(a.emit("batch_norm", x.tensor, weights=norm, eps=EPS), *x.picture, flat=x.flat)


def activation(a: Assembly, s: Section) -> Made:
    """An activation by itself."""
    x = a.last(s)
    return Made(activated(a, s, x.tensor, "linear"), *x.picture, flat=x.flat)
