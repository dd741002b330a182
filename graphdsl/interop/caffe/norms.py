"""BatchNorm with the Scale behind it, Scale and Bias alone, LRN, MVN, Normalize.

Caffe's BatchNorm standardizes only; gamma and beta are a Scale layer's, which usually follows. Its file holds sums of
means and of variances, and by what they are to be divided.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.caffe.call import Blobs, Call, translates
from graphdsl.interop.caffe.convolutions import unless
from graphdsl.interop.caffe.plan import Blob, features_last
from graphdsl.ir import Array

SCALE = "axis num_axes filler bias_term bias_filler"


def with_features_last(call: Call) -> Blob:
    """The input with its channels last."""
    call.demand_inputs(1)
    x = call.plan.in_order(call.blob)
    return x if x.axes == (0,) else call.plan.arranged(x, features_last(len(x.shape)))


@translates("BatchNorm", param="batch_norm_param", fields="use_global_stats moving_average_fraction eps")
def batch_norm(call: Call) -> Blobs:
    """batch_norm, with the gamma and beta of a Scale where one follows.

    A net that always uses the file's averages says nothing of how they move, so momentum is left out then.
    """
    p, x = call.param, with_features_last(call)
    features = (x.shape[0],)
    settings: dict[str, Any] = {}
    if not p.flag("use_global_stats", False):
        settings["momentum"] = unless(0.9, p.number("moving_average_fraction", 0.999))
    settings["eps"] = unless(1e-5, p.number("eps", 1e-5))
    weights: dict[str, Array | None] = {}
    if call.after:
        (scale,) = call.after
        center = scale.param.flag("bias_term", False)
        settings["center"] = unless(True, center)
        weights["gamma"] = scale.weight(0, features)
        weights["beta"] = scale.weight(1, features) if center else None
    else:
        settings |= {"scale": False, "center": False}
    sums, squares, count = call.weight(0, features), call.weight(1, features), call.weight(2, (1,))
    if sums is not None and squares is not None and count is not None:
        by = np.float32(0 if count[0] == 0 else 1 / count[0])
        weights |= {"mean": sums * by, "variance": squares * by}
    return (x.with_tensor(call.learned("batch_norm", x, settings, weights)),)


def takes_scale(scale: Call) -> bool:
    """Whether a Scale layer multiplies each channel, so that a batch_norm can do its work."""
    p = scale.param
    return len(scale.inputs) == 1 and p.count("axis", 1) == 1 and p.count("num_axes", 1) == 1


@translates("Scale", param="scale_param", fields=SCALE)
def scale(call: Call) -> Blobs:
    """scale; with two inputs, their product."""
    if len(call.inputs) == 2:
        return _product(call)
    bias = call.param.flag("bias_term", False)
    per, x, shape = _weighted(call)
    weights = {"gamma": _last(call, x, 0, shape), "beta": _last(call, x, 1, shape) if bias else None}
    settings = {"center": unless(True, bias), "per": unless("feature", per)}
    return (x.with_tensor(call.learned("scale", x, settings, weights)),)


def _weighted(call: Call) -> tuple[str, Blob, tuple[int, ...]]:
    """What each weight of a Scale or Bias is for, the input as it must be for that, the weights' shape in the file."""
    p, rank = call.param, len(call.blob.shape)
    axis, count = p.count("axis", 1), p.count("num_axes", 1)
    axis = axis - 1 if axis >= 0 else rank + axis
    if count == 0:
        return "tensor", call.blob, ()
    x = with_features_last(call)
    if axis == 0 and (count == rank or count == -1) and rank > 1:
        x = call.plan.arranged(x, features_last(rank))
        return "element", x, x.shape
    if axis == 0 and count in (1, -1):
        return "feature", x, x.shape[:1]
    raise call.refused(
        f"its weights are for axis {axis + 1} and {count - 1} more; channels, all axes, or none can have some"
    )


def _last(call: Call, x: Blob, position: int, shape: tuple[int, ...]) -> Array | None:
    found = call.weight(position, shape)
    return found if found is None or len(shape) < 2 else found.transpose(x.axes)


def _product(call: Call) -> Blobs:
    x, by = call.inputs
    if call.param.flag("bias_term", False):
        raise call.refused("the product of two tensors with a bias besides")
    return (x.with_tensor(call.emit("*", [x, stretched(call, by, x)])),)


def stretched(call: Call, by: Blob, x: Blob) -> Blob:
    """by in the shape and order of x; a number for each channel is repeated at every place."""
    axis = call.param.count("axis", 1)
    if by.shape == x.shape:
        return call.plan.arranged(by, x.axes)
    channels = x.shape[:1]
    if axis > 1 or by.shape[:1] != channels or prod(by.shape) != channels[0] or x.was is not None:
        raise call.refused(f"tensors of two shapes, {x.shape} and {by.shape}")
    places = [a for a in x.axes if a != 0]
    flat = call.plan.arranged(by, (0,))
    many = call.emit("repeat", [flat], {"times": prod(x.shape[a] for a in places)}, aside="everywhere")
    wide = call.emit("reshape", [many], {"shape": (*(x.shape[a] for a in places), *channels)}, aside="stretched")
    return call.plan.arranged(Blob(wide, x.shape, (*places, 0)), x.axes)


@translates("Axpy")
def axpy(call: Call) -> Blobs:
    """A number for each channel times x, plus y: the layer of SENet's own Caffe."""
    call.demand_inputs(3)
    by, x, y = call.inputs
    times = x.with_tensor(call.emit("*", [x, stretched(call, by, x)], aside="times"))
    return (x.with_tensor(call.emit("+", [times, call.plan.arranged(y, x.axes)])),)


@translates("Bias", param="bias_param", fields="axis num_axes filler")
def bias(call: Call) -> Blobs:
    """scale without a factor; with two inputs, their sum."""
    if len(call.inputs) == 2:
        x, more = call.inputs
        return (x.with_tensor(call.emit("+", [x, stretched(call, more, x)])),)
    per, x, shape = _weighted(call)
    settings = {"scale": False, "per": unless("feature", per)}
    return (x.with_tensor(call.learned("scale", x, settings, {"beta": _last(call, x, 0, shape)})),)


@translates("LRN", param="lrn_param", fields="local_size alpha beta norm_region k")
def local_response_norm(call: Call) -> Blobs:
    """local_response_norm, over channels or within each, where Caffe leaves k at 1."""
    p, x = call.param, with_features_last(call)
    size = p.count("local_size", 5)
    if size < 1 or size % 2 == 0:
        raise call.refused(f"`local_size` {size} is not odd")
    settings: dict[str, Any] = {"size": size, "alpha": p.number("alpha", 1), "beta": p.number("beta", 0.75)}
    if p.text("norm_region", "ACROSS_CHANNELS") in ("ACROSS_CHANNELS", "0"):
        settings["bias"] = unless(1, p.number("k", 1))
    else:
        settings["over"] = "places"
        x = call.plan.arranged(x, features_last(len(x.shape)))
    return (x.with_tensor(call.emit("local_response_norm", [x], settings)),)


@translates("MVN", param="mvn_param", fields="normalize_variance across_channels eps")
def mean_variance_norm(call: Call) -> Blobs:
    """mean_variance_norm over places, or over channels and places."""
    p, x = call.param, with_features_last(call)
    x = call.plan.arranged(x, features_last(len(x.shape)))
    settings = {
        "axes": list(range(len(x.axes))) if p.flag("across_channels", False) else None,
        "eps": p.number("eps", 1e-9),
        "variance": unless(True, p.flag("normalize_variance", True)),
    }
    return (x.with_tensor(call.emit("mean_variance_norm", [x], settings)),)


@translates("Normalize", param="norm_param", fields="across_spatial scale_filler channel_shared eps")
def normalize(call: Call) -> Blobs:
    """l2_normalize and a learned scale: SSD's layer, which is in no Caffe but its own."""
    p, x = call.param, with_features_last(call)
    axes = list(range(len(x.axes))) if p.flag("across_spatial", True) else None
    unit = x.with_tensor(call.emit("l2_normalize", [x], {"axes": axes}, aside="unit"))
    shared = p.flag("channel_shared", True)
    settings = {"center": False, "per": "tensor" if shared else None}
    weights = {"gamma": call.weight(0, () if shared else (x.shape[0],))}
    return (x.with_tensor(call.learned("scale", unit, settings, weights)),)
