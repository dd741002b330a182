"""Dense, dropouts, shapes, embeddings: layers that look at features or move them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

from graphdsl.interop.keras.activations import activate
from graphdsl.interop.keras.options import is_whole
from graphdsl.interop.keras.scene import Dims, Flow, Scene, Step
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import note_training, penalties

ON_A_LINE = 2
"""Axes that our dense takes: [features] or [time, features]."""


@rule("Dense", timed=True)
def dense(scene: Scene, step: Step, x: Flow) -> Flow:
    """A weighted sum of all features; over every pixel of a picture a 1x1 convolution is the same."""
    x = scene.last(step, x, x.rank - 1)
    units, bias = step.options.count("units"), step.options.flag("use_bias", True)
    shapes = {"kernel": (scene.features(step, x), units)} | ({"bias": (units,)} if bias else {})
    weights = step.parts(**shapes)
    settings: dict[str, Any] = {} if bias else {"bias": False}
    settings |= penalties(scene, step)
    scene.take_numbers(x)
    word, first = "dense", {"units": units}
    if x.rank > ON_A_LINE:
        word, first = "conv", {"filters": units, "size": 1}
        if weights:
            weights["kernel"] = weights["kernel"].reshape(*(1,) * (x.rank - 1), *weights["kernel"].shape)
    name = scene.emit(step, word, [x.name], first | settings, weights, learns=True)
    return activate(scene, step, scene.made(x, name, (*x.ours[:-1], units)))


@rule(
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout", "GaussianDropout", timed=True
)
def dropout(scene: Scene, step: Step, x: Flow) -> Flow:
    """Nothing in use. In training the language has one sort of dropout, and the note says where Keras had another."""
    rate = step.options.number("rate", 0.0)
    if not 0 <= rate < 1:
        raise step.options.wrong("rate", "a number of at least 0 and below 1")
    if step.kind != "Dropout":
        scene.note(f"in training {step.kind} drops in its own way; here it is an ordinary dropout", step.name)
    return scene.apply(step, "dropout", x, rate=rate) if rate else x


@rule("GaussianNoise", timed=True)
def gaussian_noise(scene: Scene, step: Step, x: Flow) -> Flow:
    """Noise in training."""
    deviation = step.options.number("stddev", 0.0)
    return scene.apply(step, "gaussian_noise", x, deviation=deviation) if deviation else x


@rule("ActivityRegularization", "Identity", timed=True)
def as_it_is(scene: Scene, step: Step, x: Flow) -> Flow:
    """Nothing in use."""
    if step.kind == "ActivityRegularization":
        scene.note("left out, since it acts in training only: ActivityRegularization", step.name)
    note_training(scene, step)
    return x


@rule("Masking", timed=True)
def masking(scene: Scene, step: Step, x: Flow) -> Flow:
    """Steps that are padding. In the language lengths say so, not values."""
    return replace(x, masked=step.name)


@rule("Flatten", timed=True)
def flatten(scene: Scene, step: Step, x: Flow) -> Flow:
    """All features on one axis; channels_first here means that Keras puts the channels last before it."""
    first = step.options.raw("data_format") == "channels_first" and x.rank > 1
    x = scene.arranged(step, x, (*range(1, x.rank), 0)) if first else scene.straight(step, x)
    kept = 1 if step.timed else 0
    if x.rank - kept == 1:
        return x
    if x.rank - kept == 0 or None in x.ours[kept:]:
        raise step.refuse("it needs sizes that are in the file", "give the model an input of a fixed size")
    size = _count(x.ours[kept:])
    if step.timed:
        return _reshaped(scene, step, x, (x.ours[0], size))
    name = scene.emit(step, "flatten", [x.name])
    return Flow(name, (size,), (0,), port=x.port)


def _count(shape: Dims) -> int:
    return prod(n for n in shape if n is not None)


@rule("Reshape", timed=True)
def reshape(scene: Scene, step: Step, x: Flow) -> Flow:
    """The same numbers, in Keras' order of axes, under another shape."""
    given = step.options.raw("target_shape")
    wanted = [None if n == -1 else n for n in given] if isinstance(given, list | tuple) else [0]
    if given != [] and (not is_whole([n or 1 for n in wanted]) or any(n is not None and n < 1 for n in wanted)):
        raise step.options.wrong("target_shape", "a list of sizes, one of which may be -1")
    x = scene.straight(step, x)
    kept = x.ours[:1] if step.timed else ()
    inner = x.ours[len(kept) :]
    target = _filled(step, inner, wanted)
    return _reshaped(scene, step, x, (*kept, *target))


def _filled(step: Step, inner: Dims, wanted: Sequence[int | None]) -> Dims:
    """The target with -1 worked out. Raises E0901 where a free size is in the way, E0902 where numbers do not fit."""
    fixed, total = _count(tuple(wanted)), _count(inner)
    free = inner.count(None)
    if free == 1 and inner[0] is None and wanted and wanted[0] is None and fixed == total:
        return tuple(wanted)
    if free:
        raise step.refuse("it needs sizes that are in the file", "give the model an input of a fixed size")
    unknown = list(wanted).count(None)
    if unknown > 1 or total % fixed or (not unknown and fixed != total):
        raise step.options.wrong("target_shape", f"a shape of {total} numbers")
    return tuple(total // fixed if n is None else n for n in wanted)


def _reshaped(scene: Scene, step: Step, x: Flow, shape: Dims) -> Flow:
    if shape == x.ours:
        return x
    first = 1 if shape[:1] == (None,) else 0
    name = scene.emit(step, "reshape", [x.name], {"shape": list(shape[first:])})
    return Flow(name, shape, tuple(range(len(shape))), port=x.port)


@rule("Permute")
def permute(scene: Scene, step: Step, x: Flow) -> Flow:
    """Axes in another order. From channels_first to last, and back, nothing has to move: ours are last already."""
    dims = step.options.raw("dims")
    if not is_whole(dims) or sorted(dims) != list(range(1, x.rank + 1)):
        raise step.options.wrong("dims", f"the numbers from 1 to {x.rank} in some order")
    order = tuple(list(dims).index(axis + 1) for axis in x.order)
    moved = replace(x, shape=tuple(x.shape[d - 1] for d in dims), order=order)
    last_first = (*range(1, x.rank), 0)
    return moved if order == last_first and x.rank > ON_A_LINE else scene.straight(step, moved)


@rule("RepeatVector")
def repeat_vector(scene: Scene, step: Step, x: Flow) -> Flow:
    """The same features at every one of n steps."""
    times = step.options.count("n")
    if x.rank != 1:
        raise step.refuse(f"it reads one axis, and gets {list(x.shape)}")
    scene.take_numbers(x)
    name = scene.emit(step, "repeat", [x.name], {"times": times})
    return Flow(name, (times, x.shape[0]), (0, 1))


@rule("Embedding", timed=True)
def embedding(scene: Scene, step: Step, x: Flow) -> Flow:
    """Row x of a table. The input that it reads becomes one of whole numbers below the table's length."""
    words, features = step.options.count("input_dim"), step.options.count("output_dim")
    if not x.port:
        raise step.refuse("it reads numbers that the model computes, and a table is read by class indices of an input")
    if scene.vocabulary.setdefault(x.port, words) != words:
        raise step.refuse(f"`{x.port}` is read by tables of {scene.vocabulary[x.port]} and of {words} rows")
    weights = step.parts(table=(words, features))
    x = scene.straight(step, x)
    name = scene.emit(
        step, "embedding", [x.name], {"features": features} | penalties(scene, step), weights, learns=True
    )
    masked = step.name if step.options.raw("mask_zero") else x.masked
    return Flow(name, (*x.ours, features), tuple(range(x.rank + 1)), masked=masked)


@rule("Lambda")
def refused(scene: Scene, step: Step, x: Flow) -> Flow:
    """Python code in a file is never run."""
    raise step.refuse("it is Python code, and code in a file is never run", "write what it does in the .dag")


@rule("Highway")
def highway(scene: Scene, step: Step, x: Flow) -> Flow:
    """Keras 1: t y + (1 - t) x, where y and the gate t are dense layers of x."""
    if x.rank != 1:
        raise step.refuse(f"it reads one axis, and gets {list(x.shape)}")
    units, bias = x.shape[0] or 0, step.options.flag("use_bias", True)
    square = {"kernel": (units, units), "carry": (units, units)}
    found = step.parts(**square, **({"bias": (units,), "carry_bias": (units,)} if bias else {}))
    scene.take_numbers(x)
    made = []
    for tag, kernel, shift in (("carry", "carry", "carry_bias"), ("body", "kernel", "bias")):
        weights = {"kernel": found[kernel]} | ({"bias": found[shift]} if bias else {}) if found else {}
        settings = {"units": units} | ({} if bias else {"bias": False})
        made.append(replace(x, name=scene.emit(step, "dense", [x.name], settings, weights, tag, True), port=""))
    gate = scene.apply(step, "sigmoid", made[0], tag="carry_gate")
    body = activate(scene, step, made[1])
    kept = scene.apply(step, "-", gate, tag="kept", left=1)
    new, old = scene.apply(step, "*", gate, body, tag="new"), scene.apply(step, "*", kept, x, tag="old")
    return scene.apply(step, "+", new, old)


@rule("MaxoutDense")
def maxout(scene: Scene, step: Step, x: Flow) -> Flow:
    """Keras 1: the largest of several dense layers, unit by unit."""
    if x.rank != 1:
        raise step.refuse(f"it reads one axis, and gets {list(x.shape)}")
    units, pieces = step.options.count("units"), step.options.count("nb_feature", 4)
    bias = step.options.flag("use_bias", True)
    shapes = {"kernel": (pieces, x.shape[0], units)} | ({"bias": (pieces, units)} if bias else {})
    weights = step.parts(**shapes)
    if weights:
        weights["kernel"] = weights["kernel"].transpose(1, 0, 2).reshape(-1, pieces * units)
    if "bias" in weights:
        weights["bias"] = weights["bias"].reshape(-1)
    settings: dict[str, Any] = {"units": pieces * units} | ({} if bias else {"bias": False})
    scene.take_numbers(x)
    name = scene.emit(step, "dense", [x.name], settings | penalties(scene, step), weights, learns=True)
    name = scene.emit(step, "reshape", [name], {"shape": [pieces, units]}, tag="pieces")
    return Flow(scene.emit(step, "reduce_max", [name], {"axes": 0}, tag="largest"), (units,), (0,))
