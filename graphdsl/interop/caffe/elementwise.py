"""Layers that treat every number for itself: activations, Power, Exp, Log, Threshold, Dropout."""

from __future__ import annotations

from math import log
from typing import Any

from graphdsl.interop.caffe.call import Blobs, Call, translates
from graphdsl.interop.caffe.convolutions import unless
from graphdsl.interop.caffe.plan import Blob, features_last


def same(call: Call, word: str, settings: dict[str, Any] | None = None) -> Blobs:
    """The word over the input, whatever order its axes have."""
    call.demand_inputs(1)
    return (call.blob.with_tensor(call.emit(word, [call.blob], settings)),)


def through(call: Call, *parts: tuple[str, dict[str, Any]]) -> Blobs:
    """One word after another over the input; parts that would do nothing are left out by the caller."""
    call.demand_inputs(1)
    x = call.blob
    for i, (word, settings) in enumerate(parts, 1):
        x = x.with_tensor(call.emit(word, [x], settings, aside=str(i) if i < len(parts) else ""))
    return (x,)


@translates("ReLU", param="relu_param", fields="negative_slope")
def relu(call: Call) -> Blobs:
    slope = call.param.number("negative_slope", 0)
    return same(call, "leaky_relu", {"slope": slope}) if slope else same(call, "relu")


@translates("ReLU6")
def relu6(call: Call) -> Blobs:
    return same(call, "relu6")


@translates("PReLU", param="prelu_param", fields="filler channel_shared")
def prelu(call: Call) -> Blobs:
    """prelu, with one slope for all channels where Caffe shares it."""
    call.demand_inputs(1)
    x = call.plan.in_order(call.blob)
    x = call.plan.arranged(x, features_last(len(x.shape))) if x.axes != (0,) else x
    shared = call.param.flag("channel_shared", False)
    slope = call.weight(0, () if shared else (x.shape[0],))
    return (x.with_tensor(call.learned("prelu", x, {"per": "tensor" if shared else None}, {"slope": slope})),)


@translates("ELU", param="elu_param", fields="alpha")
def elu(call: Call) -> Blobs:
    alpha = call.param.number("alpha", 1)
    return same(call, "elu", {"alpha": unless(1, alpha)})


@translates("Sigmoid")
def sigmoid(call: Call) -> Blobs:
    return same(call, "sigmoid")


@translates("TanH")
def tanh(call: Call) -> Blobs:
    return same(call, "tanh")


@translates("AbsVal")
def absolute(call: Call) -> Blobs:
    return same(call, "abs")


@translates("BNLL")
def smooth_relu(call: Call) -> Blobs:
    """log(1 + exp(x)), which is softplus."""
    return same(call, "softplus")


@translates("Swish", param="swish_param", fields="beta")
def swish(call: Call) -> Blobs:
    if call.param.number("beta", 1) != 1:
        raise call.refused(f"a swish of beta {call.param.number('beta', 1):g}; ours has 1")
    return same(call, "swish")


@translates("Power", param="power_param", fields="power scale shift")
def power(call: Call) -> Blobs:
    """(shift + scale * x) ** power"""
    p = call.param
    scale, shift, exponent = p.number("scale", 1), p.number("shift", 0), p.number("power", 1)
    return through(call, *_line(scale, shift), *([("power", {"exponent": exponent})] if exponent != 1 else []))


def _line(scale: float, shift: float) -> list[tuple[str, dict[str, Any]]]:
    """shift + scale * x, of which only what does something is written."""
    times = [("*", {"right": float(scale)})] if scale != 1 else []
    return times + ([("+", {"right": float(shift)})] if shift else [])


@translates("Exp", param="exp_param", fields="base scale shift")
def exponential(call: Call) -> Blobs:
    """base ** (shift + scale * x), with e for the base -1"""
    p = call.param
    base = p.number("base", -1)
    if base <= 0 and base != -1:
        raise call.refused(f"a power of {base:g}")
    of = 1.0 if base == -1 else log(base)
    return through(call, *_line(p.number("scale", 1) * of, p.number("shift", 0) * of), ("exp", {}))


@translates("Log", param="log_param", fields="base scale shift")
def logarithm(call: Call) -> Blobs:
    """The logarithm of shift + scale * x, the natural one for the base -1"""
    p = call.param
    base = p.number("base", -1)
    if base != -1 and (base <= 0 or base == 1):
        raise call.refused(f"there is no logarithm to the base {base:g}")
    by = [] if base == -1 else [("*", {"right": 1 / log(base)})]
    return through(call, *_line(p.number("scale", 1), p.number("shift", 0)), ("log", {}), *by)


@translates("Threshold", param="threshold_param", fields="threshold")
def threshold(call: Call) -> Blobs:
    """1 above, 0 elsewhere"""
    return same(call, "threshold", {"limit": unless(0, call.param.number("threshold", 0))})


@translates("Dropout", param="dropout_param", fields="dropout_ratio scale_train")
def dropout(call: Call) -> Blobs:
    """dropout, which scales in training, as Caffe's does unless told otherwise."""
    if not call.param.flag("scale_train", True):
        raise call.refused("`scale_train: false`, which scales in use and not in training")
    rate = call.param.number("dropout_ratio", 0.5)
    if not 0 <= rate < 1:
        raise call.refused(f"a rate of {rate:g}")
    return same(call, "dropout", {"rate": rate})


@translates("Split")
def split(call: Call) -> Blobs:
    """The same tensor under several names."""
    call.demand_inputs(1)
    return (call.blob,) * len(call.step.tops)


@translates("Softmax", param="softmax_param", fields="axis")
def softmax(call: Call) -> Blobs:
    call.demand_inputs(1)
    return (normalized(call, call.blob, call.param.count("axis", 1)),)


def normalized(call: Call, x: Blob, axis: int) -> Blob:
    """softmax over one of Caffe's axes."""
    axis = axis - 1 if axis > 0 else len(x.shape) + axis
    if not 0 <= axis < len(x.shape):
        raise call.refused(f"there is no axis {axis + 1} to normalize over")
    x = x if axis in x.axes else call.plan.arranged(x, x.whole_axes)
    place = x.axes.index(axis)
    return x.with_tensor(call.emit("softmax", [x], {"axis": unless(len(x.axes) - 1, place)}))
