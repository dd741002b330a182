"""Convolutions and pools: layers that slide a window over time or space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from graphdsl.interop.keras.activations import activate
from graphdsl.interop.keras.scene import Dims, Flow, Scene, Step
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import penalties
from graphdsl.ir import Array
from graphdsl.report import dataclass, fail

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """How a window slides, with every setting for every axis."""

    size: Sizes
    stride: Sizes
    dilation: Sizes
    pad: str

    def settings(self) -> dict[str, Any]:
        """In our words."""
        found: dict[str, Any] = {}
        if set(self.stride) != {1}:
            found["stride"] = self.stride
        if self.pad == "full":
            reaches = [(k - 1) * d for k, d in zip(self.size, self.dilation, strict=True)]
            found["pad"] = tuple(reaches)
        elif self.pad != "valid":
            found["pad"] = self.pad
        if set(self.dilation) != {1}:
            found["dilation"] = self.dilation
        return found

    def out(self, spatial: Dims) -> Dims:
        """What is left of these sizes."""
        each = zip(spatial, self.size, self.stride, self.dilation, strict=True)
        return tuple(None if n is None else self._along(n, k, s, d) for n, k, s, d in each)

    def _along(self, n: int, k: int, s: int, d: int) -> int:
        reach = (k - 1) * d + 1
        if self.pad in ("same", "causal"):
            return -(-n // s)
        return (n + (2 * reach - 2 if self.pad == "full" else 0) - reach) // s + 1


def slid(step: Step, view: Window, x: Flow) -> Dims:
    """The sizes that a window leaves. Raises E0901 where they depend on one that is free, E0902 where none is left."""
    spatial = x.ours[:-1]
    if view.pad == "same" and any(n is None and s > 1 for n, s in zip(spatial, view.stride, strict=True)):
        raise step.refuse(
            "how much `same` pads depends on a size that is free", "give the model an input of a fixed size"
        )
    made = view.out(spatial)
    if any(n is not None and n < 1 for n in made):
        raise fail("E0902", f"{step.options.where}: a window of {list(view.size)} is larger than {list(spatial)}")
    return made


def axes_of(kind: str) -> int:
    """2 for `Conv2DTranspose`."""
    return next(int(c) for c in kind if c.isdigit())


def window(step: Step, axes: int, size: str = "kernel_size") -> Window:
    """What the config says of a window. Raises E0902, and E0901 for a padding that we do not have."""
    options = step.options
    pad = options.text("padding", "valid").lower()
    if pad not in ("valid", "same", "full", "causal"):
        raise options.wrong("padding", "valid, same or causal")
    if pad == "causal" and axes > 1:
        raise step.refuse("causal padding over more than time")
    lead = (1,) * step.timed
    sizes, strides, dilation = (
        options.sizes(size, axes),
        options.sizes("strides", axes, 1),
        options.sizes("dilation_rate", axes, 1),
    )
    return Window((*lead, *sizes), (*lead, *strides), (*lead, *dilation), pad)


@rule("Conv1D", "Conv2D", "Conv3D", timed=True)
def conv(scene: Scene, step: Step, x: Flow) -> Flow:
    """A convolution over time, a picture or a volume; of pictures in a row, a window that is one step long."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    view, options = window(step, axes), step.options
    filters, groups = options.count("filters"), options.count("groups", 1)
    bias = options.flag("use_bias", True)
    inner = scene.features(step, x) // groups
    shapes = {"kernel": (*view.size[-axes:], inner, filters)} | ({"bias": (filters,)} if bias else {})
    weights = step.parts(**shapes)
    if step.timed and weights:
        weights["kernel"] = weights["kernel"][None]
    settings = {"filters": filters, "size": view.size} | view.settings()
    settings |= {"groups": groups} if groups > 1 else {}
    return _learned(scene, step, x, "conv", settings, weights, (*slid(step, view, x), filters))


def _learned(
    scene: Scene, step: Step, x: Flow, word: str, settings: Mapping[str, Any], weights: Mapping[str, Array], ours: Dims
) -> Flow:
    """A layer with a kernel, whose bias and penalties are told here, and its activation."""
    scene.take_numbers(x)
    told = dict(settings)
    if not step.options.flag("use_bias", True):
        told["bias"] = False
    told |= penalties(scene, step)
    name = scene.emit(step, word, [x.name], told, weights, learns=True)
    return activate(scene, step, scene.made(x, name, ours))


@rule("DepthwiseConv1D", "DepthwiseConv2D")
def depthwise_conv(scene: Scene, step: Step, x: Flow) -> Flow:
    """A convolution of every channel by itself."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    view, channels = window(step, axes), scene.features(step, x)
    times = step.options.count("depth_multiplier", 1)
    shapes: dict[str, Sizes] = {"kernel": (*view.size, channels, times)}
    shapes |= {"bias": (channels * times,)} if step.options.flag("use_bias", True) else {}
    weights = step.parts(**shapes)
    if weights:
        weights["kernel"] = weights["kernel"].reshape(*view.size, 1, channels * times)
    settings = {"size": view.size} | view.settings() | ({"multiplier": times} if times > 1 else {})
    ours = (*slid(step, view, x), channels * times)
    return _learned(scene, step, x, "depthwise_conv", settings, weights, ours)


@rule("SeparableConv1D", "SeparableConv2D")
def separable_conv(scene: Scene, step: Step, x: Flow) -> Flow:
    """A depthwise convolution, then a 1x1 convolution."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    view, channels = window(step, axes), scene.features(step, x)
    filters, times = step.options.count("filters"), step.options.count("depth_multiplier", 1)
    point = (1,) * axes
    shapes: dict[str, Sizes] = {
        "depthwise_kernel": (*view.size, channels, times),
        "pointwise_kernel": (*point, channels * times, filters),
    }
    shapes |= {"bias": (filters,)} if step.options.flag("use_bias", True) else {}
    weights = step.parts(**shapes)
    if weights:
        weights["depthwise_kernel"] = weights["depthwise_kernel"].reshape(*view.size, 1, channels * times)
    settings = {"filters": filters, "size": view.size} | view.settings()
    settings |= {"multiplier": times} if times > 1 else {}
    return _learned(scene, step, x, "separable_conv", settings, weights, (*slid(step, view, x), filters))


@rule("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def conv_transpose(scene: Scene, step: Step, x: Flow) -> Flow:
    """The gradient of a convolution, used forward."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    view, filters, channels = window(step, axes), step.options.count("filters"), scene.features(step, x)
    settings = {"filters": filters, "size": view.size} | view.settings() | _wider(step, view)
    shapes: dict[str, Sizes] = {"kernel": (*view.size, filters, channels)}
    shapes |= {"bias": (filters,)} if step.options.flag("use_bias", True) else {}
    ours = (*_grown(x.ours[:-1], view), filters)
    return _learned(scene, step, x, "conv_transpose", settings, step.parts(**shapes), ours)


def _wider(step: Step, view: Window) -> dict[str, Any]:
    """Keras never gives less than in * stride, even where windows do not reach so far."""
    if step.options.raw("output_padding") is not None:
        raise step.refuse("output_padding chooses a size that the language's `same` and `valid` do not have")
    if view.pad == "same":
        return {}
    missing = tuple(max(s - (k - 1) * d - 1, 0) for k, s, d in zip(view.size, view.stride, view.dilation, strict=True))
    return {"output_pad": missing} if any(missing) else {}


def _grown(spatial: Dims, view: Window) -> Dims:
    each = zip(spatial, view.size, view.stride, view.dilation, strict=True)
    if view.pad == "same":
        return tuple(None if n is None else n * s for n, _, s, _ in each)
    return tuple(None if n is None else n * s + max((k - 1) * d + 1 - s, 0) for n, k, s, d in each)


@rule("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", timed=True)
def max_pool(scene: Scene, step: Step, x: Flow) -> Flow:
    """The largest of each window."""
    return _pool(scene, step, x, "max_pool")


@rule("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", timed=True)
def avg_pool(scene: Scene, step: Step, x: Flow) -> Flow:
    """The mean of each window, padding not counted."""
    return _pool(scene, step, x, "avg_pool")


def _pool(scene: Scene, step: Step, x: Flow, word: str) -> Flow:
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    size = step.options.sizes("pool_size", axes, 2)
    strides = size if step.options.raw("strides") is None else step.options.sizes("strides", axes)
    pad = step.options.text("padding", "valid").lower()
    lead = (1,) * step.timed
    size, strides = (*lead, *size), (*lead, *strides)
    view = Window(size, strides, (1,) * len(size), pad)
    settings: dict[str, Any] = {"size": size} | ({} if strides == size else {"stride": strides})
    if pad not in ("valid", "same"):
        raise step.options.wrong("padding", "valid or same")
    settings |= {"pad": pad} if pad == "same" else {}
    scene.take_numbers(x)
    name = scene.emit(step, word, [x.name], settings)
    return scene.made(x, name, (*slid(step, view, x), x.ours[-1]))


GLOBAL = ("1D", "2D", "3D")


@rule(*(f"GlobalMaxPooling{n}" for n in GLOBAL), timed=True)
def global_max_pool(scene: Scene, step: Step, x: Flow) -> Flow:
    """The largest of each feature."""
    return _whole(scene, step, x, "max")


@rule(*(f"GlobalAveragePooling{n}" for n in GLOBAL), timed=True)
def global_avg_pool(scene: Scene, step: Step, x: Flow) -> Flow:
    """The mean of each feature."""
    return _whole(scene, step, x, "avg")


def _whole(scene: Scene, step: Step, x: Flow, word: str) -> Flow:
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    scene.take_numbers(x)
    if step.timed:
        reduced = {"avg": "reduce_mean", "max": "reduce_max"}[word]
        name = scene.emit(step, reduced, [x.name], {"axes": list(range(1, axes + 1))})
        return Flow(name, (x.ours[0], x.ours[-1]), (0, 1))
    name = scene.emit(step, f"global_{word}_pool", [x.name])
    pooled = Flow(name, (x.ours[-1],), (0,))
    if not step.options.flag("keepdims", False):
        return pooled
    ours = (*(1,) * axes, x.ours[-1])
    name = scene.emit(step, "reshape", [name], {"shape": list(ours)}, tag="keepdims")
    return scene.made(x, name, ours)


@rule("UpSampling1D", "UpSampling2D", "UpSampling3D")
def upsample(scene: Scene, step: Step, x: Flow) -> Flow:
    """Every number repeated, or straight lines between the numbers."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    factor = step.options.sizes("size", axes, 2)
    method = step.options.text("interpolation", "nearest")
    if method not in ("nearest", "bilinear"):
        raise step.refuse(f"upsampling is nearest or bilinear in the language, not {method}")
    settings: dict[str, Any] = {"factor": factor if len(set(factor)) > 1 else factor[0]}
    settings |= {"method": method} if method != "nearest" else {}
    scene.take_numbers(x)
    name = scene.emit(step, "upsample", [x.name], settings)
    ours = tuple(None if n is None else n * f for n, f in zip(x.ours[:-1], factor, strict=True))
    return scene.made(x, name, (*ours, x.ours[-1]))


@rule("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")
def zero_padding(scene: Scene, step: Step, x: Flow) -> Flow:
    """Zeros around."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    before, after = _margins(step, axes, "padding")
    settings: dict[str, Any] = {"start": _one(before)} | ({} if before == after else {"end": _one(after)})
    scene.take_numbers(x)
    if not any((*before, *after)):
        return x
    name = scene.emit(step, "pad", [x.name], settings)
    each = zip(x.ours[:-1], before, after, strict=True)
    return scene.made(x, name, (*(None if n is None else n + a + b for n, a, b in each), x.ours[-1]))


@rule("Cropping1D", "Cropping2D", "Cropping3D")
def cropping(scene: Scene, step: Step, x: Flow) -> Flow:
    """The middle."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    before, after = _margins(step, axes, "cropping")
    if not any((*before, *after)):
        return x
    settings: dict[str, Any] = {"start": _one(before)} | ({} if before == after else {"end": _one(after)})
    scene.take_numbers(x)
    name = scene.emit(step, "crop", [x.name], settings)
    each = zip(x.ours[:-1], before, after, strict=True)
    return scene.made(x, name, (*(None if n is None else n - a - b for n, a, b in each), x.ours[-1]))


def _one(sizes: Sizes) -> int | Sizes:
    return sizes[0] if len(set(sizes)) == 1 else sizes


def _margins(step: Step, axes: int, key: str) -> tuple[Sizes, Sizes]:
    """What stands before and behind along every axis, in any of the forms in which Keras writes it. Raises E0902."""
    value = step.options.raw(key, 1)
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value] * axes
    if isinstance(value, list | tuple) and axes == 1 and len(value) == 2:
        value = [value]
    if isinstance(value, list | tuple) and axes == 2 and len(value) == 4:
        value = [value[:2], value[2:]]
    wanted = step.options.wrong(key, f"a number, {axes} numbers or {axes} pairs, none below 0")
    if not isinstance(value, list | tuple) or len(value) != axes:
        raise wanted
    pairs = [(v, v) if isinstance(v, int) else v for v in value]
    whole = [
        p for p in pairs if isinstance(p, list | tuple) and len(p) == 2 and all(type(n) is int and n >= 0 for n in p)
    ]
    if len(whole) != axes:
        raise wanted
    return tuple(p[0] for p in whole), tuple(p[1] for p in whole)


@rule("LocallyConnected1D", "LocallyConnected2D")
def local_conv(scene: Scene, step: Step, x: Flow) -> Flow:
    """A convolution with weights of its own at every place. Keras keeps them as rows of places."""
    axes = axes_of(step.kind)
    x = scene.spatial(step, x, axes)
    view, filters, channels = window(step, axes), step.options.count("filters"), scene.features(step, x)
    out = slid(step, view, x)
    known = [n for n in out if n is not None]
    if len(known) < len(out):
        raise step.refuse("it needs sizes that are in the file", "give the model an input of a fixed size")
    if step.options.raw("implementation", 1) != 1:
        raise step.refuse("its weights are stored in a form that Keras' `implementation` 2 and 3 have")
    places = prod(known)
    shapes: dict[str, Sequence[int | None]] = {"kernel": (places, prod(view.size) * channels, filters)}
    shapes |= {"bias": (*out, filters)} if step.options.flag("use_bias", True) else {}
    weights = step.parts(**shapes)
    if weights and step.options.raw("data_format") == "channels_first":
        rows = weights["kernel"].reshape(places, channels, prod(view.size), filters)
        weights["kernel"] = rows.transpose(0, 2, 1, 3)
    if weights:
        weights["kernel"] = weights["kernel"].reshape(*known, *view.size, channels, filters)
    settings = {"filters": filters, "size": view.size} | view.settings()
    return _learned(scene, step, x, "local_conv", settings, weights, (*out, filters))
