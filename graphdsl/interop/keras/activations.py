"""Activations, as layers of their own or as a setting of another layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphdsl.interop.keras.options import Options, scalar
from graphdsl.interop.keras.scene import Flow, Scene, Step, axis_at, axis_of
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import note_training

PLAIN = {
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
    "selu": "selu",
    "swish": "swish",
    "silu": "swish",
    "mish": "mish",
    "exponential": "exp",
    "exp": "exp",
    "log_softmax": "log_softmax",
    "hard_tanh": "hard_tanh",
    "log_sigmoid": "log_sigmoid",
    "hard_swish": "hard_swish",
    "hard_silu": "hard_swish",
}
NOTHING = ("linear", "", None)
MODERN = 3
SIX = 6
OLD_SLOPE = 0.2
"""hard_sigmoid was 0.2 x + 1/2 before Keras 3, and is x / 6 + 1/2 since, which is ours."""


def name_of(given: Any, options: Options, key: str = "activation") -> tuple[str, Mapping[str, Any]]:
    """The name of an activation and its settings, in any of the forms in which Keras writes one. Raises E0902."""
    if given is None or isinstance(given, str):
        return given or "linear", {}
    if not isinstance(given, Mapping):
        raise options.wrong(key, "the name of an activation")
    config = given.get("config")
    if given.get("class_name") in ("function", "builtin_function") and isinstance(config, str):
        return config, {}
    name = given.get("class_name")
    if not isinstance(name, str):
        raise options.wrong(key, "the name of an activation")
    return _snake(name), config if isinstance(config, Mapping) else {}


def _snake(name: str) -> str:
    known = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax", "PReLU": "prelu"}
    return known.get(name, name.lower())


def activate(scene: Scene, step: Step, x: Flow, key: str = "activation") -> Flow:
    """x after the activation that a setting of this layer names."""
    name, settings = name_of(step.options.raw(key), step.options, key)
    return named(scene, step, x, name, settings)


def named(scene: Scene, step: Step, x: Flow, name: str, settings: Mapping[str, Any] | None = None) -> Flow:
    """x after the activation of this name. Raises E0901 for one that we do not have."""
    scene.take_numbers(x)
    options = Options(step.options.where, settings or {})
    tag = "" if step.kind == "Activation" else name
    if name in NOTHING:
        return x
    if name in ("softmax", "log_softmax"):
        return scene.apply(step, name, scene.last(step, x, x.rank - 1), tag=tag)
    if name == "hard_sigmoid":
        old = {"alpha": OLD_SLOPE} if step.generation < MODERN else {}
        return scene.apply(step, "hard_sigmoid", x, tag=tag, **old)
    if name == "leaky_relu":
        return scene.apply(step, "leaky_relu", x, tag=tag, slope=_slope(options, OLD_SLOPE))
    if name in ("elu", "celu"):
        return scene.apply(step, name, x, tag=tag, alpha=options.number("alpha", 1.0))
    if name == "gelu":
        return scene.apply(step, "gelu", x, tag=tag, approximate=bool(options.raw("approximate", False)))
    if name == "relu" and settings:
        return limited(scene, step, x, options)
    word = PLAIN.get(name)
    if word is None:
        raise step.refuse(f"its activation `{name}` is not one that the language has")
    return scene.apply(step, word, x, tag=tag)


@rule("Activation")
def activation(scene: Scene, step: Step, x: Flow) -> Flow:
    """An activation as a layer."""
    return activate(scene, step, x)


@rule("ReLU")
def relu(scene: Scene, step: Step, x: Flow) -> Flow:
    """min(max(x, 0), max_value), with a slope below 0 where one is given."""
    return limited(scene, step, x, step.options)


def limited(scene: Scene, step: Step, x: Flow, options: Options) -> Flow:
    """The general ReLU of Keras. Raises E0901 for a threshold together with anything else."""
    top = options.raw("max_value")
    slope = options.number("negative_slope", 0.0)
    threshold = options.number("threshold", 0.0)
    if threshold and (slope or top is not None):
        raise step.refuse("a ReLU with a threshold and a slope or a limit")
    if threshold:
        return scene.apply(step, "thresholded_relu", x, alpha=threshold)
    if top is None:
        return scene.apply(step, "leaky_relu", x, slope=slope) if slope else scene.apply(step, "relu", x)
    limit = options.number("max_value")
    if slope:
        raised = scene.apply(step, "leaky_relu", x, tag="slope", slope=slope)
        return scene.apply(step, "clip", raised, high=limit)
    return scene.apply(step, "relu6", x) if limit == SIX else scene.apply(step, "clip", x, low=0.0, high=limit)


@rule("LeakyReLU")
def leaky_relu(scene: Scene, step: Step, x: Flow) -> Flow:
    """x where positive, else slope x."""
    return scene.apply(step, "leaky_relu", x, slope=_slope(step.options, 0.3))


def _slope(options: Options, default: float) -> float:
    for key in ("negative_slope", "alpha"):
        value = options.raw(key)
        if isinstance(value, Mapping):
            value = scalar(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    return default


@rule("ELU")
def elu(scene: Scene, step: Step, x: Flow) -> Flow:
    """x where positive, else alpha (exp(x) - 1)."""
    alpha = step.options.number("alpha", 1.0)
    return scene.apply(step, "elu", x, alpha=alpha)


@rule("Softmax")
def softmax(scene: Scene, step: Step, x: Flow) -> Flow:
    """Along one axis."""
    return scene.apply(step, "softmax", scene.last(step, x, axis_of(step, x)))


@rule("ThresholdedReLU")
def thresholded_relu(scene: Scene, step: Step, x: Flow) -> Flow:
    """x where above theta, else 0."""
    return scene.apply(step, "thresholded_relu", x, alpha=step.options.number("theta", 1.0))


@rule("PReLU")
def prelu(scene: Scene, step: Step, x: Flow) -> Flow:
    """A slope below 0 that is learned: one for every feature, or for every place."""
    shared = step.options.raw("shared_axes") or []
    if not isinstance(shared, list | tuple):
        shared = [shared]
    axes = {axis_at(step, x, a, "shared_axes") for a in shared}
    each = [1 if a in axes else x.shape[a] for a in range(x.rank)]
    weights = step.parts(slope=each)
    kept = [a for a in range(x.rank) if each[a] != 1]
    scene.take_numbers(x)
    if len(kept) > 1 and len(kept) < len([n for n in x.shape if n != 1]):
        raise step.refuse("its slopes are shared along some axes and not along others")
    if len(kept) == 1:
        x, per = scene.last(step, x, kept[0]), "feature"
    else:
        per = "element" if kept else "tensor"
    if weights:
        slope = weights["slope"]
        shapes = {"feature": (-1,), "tensor": (), "element": x.ours}
        turned = slope.transpose(x.order) if per == "element" else slope
        weights["slope"] = turned.reshape(shapes[per])
    note_training(scene, step)
    name = scene.emit(step, "prelu", [x.name], {"per": per}, weights, learns=True)
    return scene.made(x, name, x.ours)
