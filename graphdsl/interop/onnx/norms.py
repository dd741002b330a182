"""Normalisations, whose factor and shift become weights of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.interop.onnx.elementwise import last, shortest
from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.reduces import reduced
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import without
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.stretch import together
from graphdsl.ir import Array


def _affine(gamma: Array | None, beta: Array | None) -> tuple[dict[str, Any], dict[str, Array]]:
    """Settings and weights. A factor of 1 for all beside a shift is none, and so is a shift of 0 beside a factor."""
    ones = gamma is None or bool((gamma == 1).all())
    zeros = beta is None or bool((beta == 0).all())
    scale, center = gamma is not None and (not ones or zeros), beta is not None and (not zeros or ones)
    settings = ({} if scale else {"scale": False}) | ({} if center else {"center": False})
    weights = {
        n: np.ravel(a) for n, a, used in (("gamma", gamma, scale), ("beta", beta, center)) if used and a is not None
    }
    return settings, weights


def _eps(step: Step) -> dict[str, float]:
    eps = shortest(step.get("epsilon", 1e-5))
    return {} if eps == 1e-5 else {"eps": eps}


def channels_last(sheet: Sheet, x: Flow) -> Flow:
    """x with ONNX's axis 1 last and the batch, axis 0, apart."""
    if x.batch != 0 and not (x.batch == NONE and x.shape[0] == 1):
        raise Mixed
    if x.order[-1:] == (1,):
        return x
    return sheet.arranged(x, last(x))


@reads("BatchNormalization")
def read_batch_norm(sheet: Sheet, step: Step) -> Value | tuple[Value, ...]:
    """With its running averages; the four arrays are weights of ours."""
    gamma, beta, mean, variance = (sheet.fixed(k, n).astype(np.float32) for k, n in enumerate(_PARTS, 1))
    if step.get("training_mode", 0):
        return _over_the_batch(sheet, step, gamma, beta, mean, variance)
    x = channels_last(sheet, sheet.plain(sheet.flow(0)))
    settings, weights = _affine(gamma, beta)
    momentum = shortest(step.get("momentum", 0.9))
    given = ({"momentum": momentum} if momentum != 0.9 and 0 <= momentum < 1 else {}) | _eps(step) | settings
    return replace(x, name=sheet.then(x, "batch_norm", {**weights, "mean": mean, "variance": variance}, **given))


def _over_the_batch(sheet: Sheet, step: Step, *parts: Array) -> tuple[Value, ...]:
    """In training mode: mean and variance of what flows, all samples together, and the averages that follow them."""
    x = sheet.plain(sheet.flow(0))
    axes = [a for a in range(x.rank) if a != 1]
    mean, variance = reduced(sheet, "reduce_mean", x, axes, True), _variance(sheet, x, axes)
    a, b = together(sheet, x, mean)
    centred = replace(a, name=sheet.put("-", (a.name, b.name))[0], port="")
    root = sheet.unary("sqrt", sheet.scaled(variance, "+", shortest(step.get("epsilon", 1e-5))))
    c, d = together(sheet, centred, root)
    y = replace(c, name=sheet.put("/", (c.name, d.name))[0])
    gamma, beta, *averages = parts
    y = sheet.arranged(y, (*(a for a in y.axes if a != 1), 1))
    y = replace(y, name=sheet.then(y, "scale", {"gamma": gamma, "beta": beta}))
    keep = shortest(step.get("momentum", 0.9))
    return (y, *(_followed(sheet, n, o, keep, axes) for n, o in zip((mean, variance), averages, strict=True)))


def _followed(sheet: Sheet, now: Flow, before: Array, keep: float, axes: list[int]) -> Flow:
    """keep * before + (1 - keep) * now, [channels]."""
    row = without(sheet, now, axes)
    a, b = together(sheet, sheet.scaled(row, "*", shortest(1 - keep)), np.float32(keep) * before)
    return replace(a, name=sheet.put("+", (a.name, b.name))[0])


_PARTS = ("its scale", "its shift", "its mean", "its variance")


@reads("InstanceNormalization")
def read_instance_norm(sheet: Sheet, step: Step) -> Value:
    gamma, beta = sheet.fixed(1, "its scale"), sheet.fixed(2, "its shift")
    x = channels_last(sheet, sheet.flow(0))
    settings, weights = _affine(gamma, beta)
    return replace(x, name=sheet.then(x, "instance_norm", weights, **_eps(step), **settings), port="")


@reads("GroupNormalization")
def read_group_norm(sheet: Sheet, step: Step) -> Value:
    """Before version 21 there was a factor for each group, since then for each channel."""
    x = channels_last(sheet, sheet.flow(0))
    groups = int(step.attributes["num_groups"])
    gamma, beta = sheet.fixed(1, "its scale"), sheet.fixed(2, "its shift")
    if gamma.size == groups != x.shape[1]:
        gamma, beta = (np.repeat(a, x.shape[1] // groups) for a in (gamma, beta))
    settings, weights = _affine(gamma, beta)
    return replace(x, name=sheet.then(x, "group_norm", weights, groups=groups, **_eps(step), **settings), port="")


@reads("GroupStandardize")
def read_group_standardize(sheet: Sheet, step: Step) -> Value:
    """What the pattern of a decomposed group norm became: inputs are x, factor and shift of each channel."""
    x = channels_last(sheet, sheet.flow(0))
    gamma, beta = (sheet.optional(k, "its factor") for k in (1, 2))
    channels = x.shape[1:2]
    settings, weights = _affine(*(None if g is None else np.broadcast_to(np.ravel(g), channels) for g in (gamma, beta)))
    groups = {"groups": int(step.attributes["num_groups"])}
    return replace(x, name=sheet.then(x, "group_norm", weights, **groups, **_eps(step), **settings), port="")


@reads("LayerNormalization")
def read_layer_norm(sheet: Sheet, step: Step) -> tuple[Value, ...]:
    """Over all axes from one on; ours looks along the features, so several are one for a while."""
    x = sheet.plain(sheet.flow(0))
    axis = x.axis(int(step.get("axis", -1)))
    if NONE < axis <= x.batch:
        raise Mixed
    gamma, beta = sheet.fixed(1, "its scale"), sheet.optional(2, "its shift")
    inner = x.shape[axis:]
    gamma = np.broadcast_to(gamma, inner)
    settings, weights = _affine(gamma, None if beta is None else np.broadcast_to(beta, inner))
    made = _normalised(sheet, x, axis, weights, {**_eps(step), **settings})
    return (
        (made, *_statistics(sheet, step, x, list(range(axis, x.rank)))) if sheet.wants(1) or sheet.wants(2) else (made,)
    )


def _statistics(sheet: Sheet, step: Step, x: Flow, axes: list[int]) -> list[Value]:
    """Mean and 1 / standard deviation, which LayerNormalization gives as well."""
    mean = reduced(sheet, "reduce_mean", x, axes, True)
    variance = _variance(sheet, x, axes)
    root = sheet.unary("sqrt", sheet.scaled(variance, "+", shortest(step.get("epsilon", 1e-5))))
    return [mean, sheet.unary("reciprocal", root)]


def _variance(sheet: Sheet, x: Flow, axes: list[int]) -> Flow:
    a, b = together(sheet, x, reduced(sheet, "reduce_mean", x, axes, True))
    centred = replace(a, name=sheet.put("-", (a.name, b.name))[0], port="")
    return reduced(sheet, "reduce_mean", sheet.unary("square", centred), axes, True)


@reads("MeanVarianceNormalization")
def read_mvn(sheet: Sheet, step: Step) -> Value:
    """(x - mean) / (standard deviation + 1e-9) over axes."""
    x = sheet.plain(sheet.flow(0))
    axes = [x.axis(a) for a in step.get("axes", [0, 2, 3])]
    if x.batch in axes:
        raise Mixed
    places = [x.place(a) for a in axes if a in x.order]
    return replace(x, name=sheet.then(x, "mean_variance_norm", None, axes=places), port="")


@reads("LRN")
def read_lrn(sheet: Sheet, step: Step) -> Value:
    x = channels_last(sheet, sheet.flow(0))
    given: dict[str, Any] = {"size": int(step.attributes["size"])}
    names = {"alpha": ("alpha", 1e-4), "beta": ("beta", 0.75), "bias": ("bias", 1.0)}
    given |= {ours: shortest(step.get(theirs, usual)) for theirs, (ours, usual) in names.items()}
    return replace(x, name=sheet.then(x, "local_response_norm", **given), port="")


@reads("LpNormalization")
def read_lp_normalization(sheet: Sheet, step: Step) -> Value:
    """x divided by its length along an axis."""
    x = sheet.plain(sheet.flow(0))
    axis, p = x.axis(int(step.get("axis", -1))), int(step.get("p", 2))
    powers = sheet.unary("abs" if p == 1 else "square", x)
    total = reduced(sheet, "reduce_sum", powers, [axis], True)
    a, b = together(sheet, x, total if p == 1 else sheet.unary("sqrt", total))
    return replace(a, name=sheet.put("/", (a.name, b.name))[0], port="")


@reads("Standardize")
def read_standardize(sheet: Sheet, step: Step) -> Value:
    """What the pattern of a decomposed normalisation became: inputs are x, factor and shift."""
    x = sheet.plain(sheet.flow(0))
    axes = sorted(x.axis(a) for a in step.attributes["axes"])
    gamma, beta = (sheet.optional(k, "its factor") for k in (1, 2))
    inner = tuple(x.shape[a] for a in axes)
    if axes == list(range(x.rank - len(axes), x.rank)) and axes[0] > x.batch:
        settings, weights = _affine(*(None if g is None else np.broadcast_to(g, inner) for g in (gamma, beta)))
        return _normalised(sheet, x, axes[0], weights, {**_eps(step), **settings})
    if x.rank > 2 and x.batch == 0 and axes == list(range(2, x.rank)):
        settings, weights = _affine(
            *(None if g is None else np.broadcast_to(np.ravel(g), x.shape[1:2]) for g in (gamma, beta))
        )
        x = channels_last(sheet, x)
        return replace(x, name=sheet.then(x, "instance_norm", weights, **_eps(step), **settings), port="")
    raise sheet.refused(f"it normalises over axes {axes}, and ours over the features or over space")


def _normalised(sheet: Sheet, x: Flow, axis: int, weights: dict[str, Array], settings: dict[str, Any]) -> Flow:
    """layer_norm over all axes from one on."""
    if axis == x.rank - 1 and x.order[-1:] == (axis,):
        return replace(x, name=sheet.then(x, "layer_norm", weights, **settings), port="")
    x = sheet.arranged(replace(x, port=""), x.axes)
    inner = x.shape[axis:]
    shaped = {name: array.reshape(inner) for name, array in weights.items()}
    given = {} if len(inner) == 1 else {"axis": -len(inner)}
    return replace(x, name=sheet.then(x, "layer_norm", shaped, **given, **settings))
