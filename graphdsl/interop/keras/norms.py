"""Normalisations and fixed scales."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphdsl.interop.keras.options import FARTHEST
from graphdsl.interop.keras.scene import Flow, Scene, Step, axis_at, axis_of
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import note_training
from graphdsl.ir import Array

EPS = 1e-3
SMALLEST = 1e-6
"""The shortest length that Keras divides by: the root of 1e-12."""


@rule("BatchNormalization", timed=True)
def batch_norm(scene: Scene, step: Step, x: Flow) -> Flow:
    """Keras 1 had modes; only the one that averages over the batch, and uses running averages later, is ours."""
    if step.options.raw("mode") not in (None, 0):
        raise step.refuse(f"mode {step.options.raw('mode')} takes mean and variance of what is at hand, in use too")
    axis = axis_of(step, x)
    x = scene.last(step, x, axis + 1 if step.timed and step.options.integer("axis", -1) > 0 else axis)
    scale, center = step.options.flag("scale", True), step.options.flag("center", True)
    names = [*(["gamma"] if scale else []), *(["beta"] if center else []), "mean", "variance"]
    settings: dict[str, Any] = {
        "momentum": step.options.number("momentum", 0.99),
        "eps": step.options.number("epsilon", EPS),
    }
    settings |= {} if scale else {"scale": False}
    settings |= {} if center else {"center": False}
    note_training(scene, step)
    weights = step.parts(**dict.fromkeys(names, (scene.features(step, x),)))
    scene.take_numbers(x)
    return scene.made(x, scene.emit(step, "batch_norm", [x.name], settings, weights, learns=True), x.ours)


@rule("LayerNormalization", timed=True)
def layer_norm(scene: Scene, step: Step, x: Flow) -> Flow:
    """Over the features."""
    given = step.options.raw("axis", -1)
    axes = sorted(axis_at(step, x, a) for a in (given if isinstance(given, list | tuple) else [given]))
    if step.options.raw("rms_scaling"):
        raise step.refuse("rms_scaling leaves out the mean")
    if axes != list(range(x.rank - len(axes), x.rank)):
        raise step.refuse("it normalises over axes of which the features are none")
    x = scene.last(step, x, axes[0]) if len(axes) == 1 else scene.straight(step, x)
    sizes = x.ours[x.rank - len(axes) :]
    scale, center = step.options.flag("scale", True), step.options.flag("center", True)
    names = [*(["gamma"] if scale else []), *(["beta"] if center else [])]
    settings: dict[str, Any] = {} if len(axes) == 1 else {"axis": x.rank - len(axes)}
    settings |= {"eps": step.options.number("epsilon", EPS)}
    settings |= {} if scale else {"scale": False}
    settings |= {} if center else {"center": False}
    note_training(scene, step)
    weights = step.parts(**dict.fromkeys(names, sizes))
    scene.take_numbers(x)
    name = scene.emit(step, "layer_norm", [x.name], settings, weights, learns=bool(names))
    return scene.made(x, name, x.ours)


@rule("Rescaling", timed=True)
def rescaling(scene: Scene, step: Step, x: Flow) -> Flow:
    """x * scale + offset."""
    scale, offset = (_numbers(step, key, default) for key, default in (("scale", 1.0), ("offset", 0.0)))
    if scale.size == 1 and offset.size == 1:
        y = scene.apply(step, "*", x, tag="scaled", right=float(scale[0])) if scale[0] != 1 else x
        return scene.apply(step, "+", y, right=float(offset[0])) if offset[0] else y
    x = scene.last(step, x, x.rank - 1)
    return affine(scene, step, x, scale, offset)


def _numbers(step: Step, key: str, default: float) -> Array:
    value = step.options.raw(key, default)
    while isinstance(value, list | tuple) and len(value) == 1 and isinstance(value[0], list | tuple):
        value = value[0]
    flat = value if isinstance(value, list | tuple) else [value]
    if not flat or any(isinstance(v, bool) or not isinstance(v, int | float) or not abs(v) < FARTHEST for v in flat):
        raise step.options.wrong(key, "a number, or a list of numbers")
    return np.asarray(flat, np.float32)


def affine(scene: Scene, step: Step, x: Flow, scale: Array, offset: Array) -> Flow:
    """x * scale + offset, a number of each for every feature."""
    channels = x.ours[-1]
    if channels is None or any(a.size not in (1, channels) for a in (scale, offset)):
        raise step.refuse(f"{scale.size} scales and {offset.size} offsets for {channels} features")
    scene.take_numbers(x)
    scene.note("holds fixed numbers, which learn here if they are trained: freeze them", step.name)
    weights = {"gamma": np.resize(scale, channels), "beta": np.resize(offset, channels)}
    return scene.made(x, scene.emit(step, "scale", [x.name], {}, weights, learns=True), x.ours)


@rule("Normalization", timed=True)
def normalization(scene: Scene, step: Step, x: Flow) -> Flow:
    """(x - mean) / sqrt(variance), of numbers that the file holds."""
    if step.options.raw("invert"):
        raise step.refuse("it is inverted")
    given = [step.options.raw(key) for key in ("mean", "variance")]
    if None not in given:
        mean, variance = _numbers(step, "mean", 0.0), _numbers(step, "variance", 1.0)
    elif step.arrays and len(step.arrays) >= 2:
        mean, variance = (np.ravel(a).astype(np.float32) for a in step.arrays[:2])
    elif step.arrays is None:
        scene.note("mean and variance are not in the file", step.name)
        x = scene.last(step, x, _kept_axis(step, x))
        return scene.made(x, scene.emit(step, "scale", [x.name], learns=True), x.ours)
    else:
        raise step.refuse("mean and variance are not in the file", "give a file of weights")
    if mean.size != variance.size and 1 not in (mean.size, variance.size):
        raise step.options.wrong("mean", f"of as many numbers as the variance, which has {variance.size}")
    spread = np.maximum(np.sqrt(variance), np.float32(1e-7))
    x = scene.last(step, x, _kept_axis(step, x))
    return affine(scene, step, x, 1 / spread, -mean / spread)


def _kept_axis(step: Step, x: Flow) -> int:
    """The axis along which mean and variance differ."""
    given = step.options.raw("axis", -1)
    listed = [-1] if given in (None, []) else given if isinstance(given, list | tuple) else [given]
    if len(listed) != 1:
        raise step.refuse("it has a mean for every place, not for every feature")
    return axis_at(step, x, listed[0])


@rule("GroupNormalization")
def group_norm(scene: Scene, step: Step, x: Flow) -> Flow:
    """Over groups of features, at all places together."""
    x = scene.last(step, x, axis_of(step, x))
    channels, groups = scene.features(step, x), step.options.integer("groups", 32)
    scale, center = step.options.flag("scale", True), step.options.flag("center", True)
    names = [*(["gamma"] if scale else []), *(["beta"] if center else [])]
    settings: dict[str, Any] = {"groups": channels if groups == -1 else groups}
    settings |= {"eps": step.options.number("epsilon", EPS)}
    settings |= {} if scale else {"scale": False}
    settings |= {} if center else {"center": False}
    note_training(scene, step)
    weights = step.parts(**dict.fromkeys(names, (channels,)))
    scene.take_numbers(x)
    return scene.made(x, scene.emit(step, "group_norm", [x.name], settings, weights, learns=bool(names)), x.ours)


@rule("UnitNormalization", timed=True)
def unit_norm(scene: Scene, step: Step, x: Flow) -> Flow:
    """Every vector of features divided by its length."""
    given = step.options.raw("axis", -1)
    axes = sorted(axis_at(step, x, a) for a in (given if isinstance(given, list | tuple) else [given]))
    ours = [x.order.index(a) for a in axes]
    return scene.apply(step, "l2_normalize", x, eps=SMALLEST, axes=-1 if ours == [x.rank - 1] else ours)


@rule("LayerScale")
def layer_scale(scene: Scene, step: Step, x: Flow) -> Flow:
    """Of keras.applications' ConvNeXt: each feature times a number that is learned."""
    x = scene.last(step, x, x.rank - 1)
    scene.take_numbers(x)
    weights = step.parts(gamma=(x.ours[-1],))
    return scene.made(x, scene.emit(step, "scale", [x.name], {"center": False}, weights, learns=True), x.ours)
