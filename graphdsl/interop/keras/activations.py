"""Activations, as layers of their own or as a setting of another layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphdsl.interop.keras.options import Options, scalar
from graphdsl.interop.keras.scene import Flow, Scene, Step, axis_of
from graphdsl.interop.keras.table import rule

PLAIN = {
    "relu": "relu",
    "relu6": "relu6",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softmax": "softmax",
    "softplus": "softplus",
    "softsign": "softsign",
    "elu": "elu",
    "selu": "selu",
    "gelu": "gelu",
    "swish": "swish",
    "silu": "swish",
    "mish": "mish",
    "exponential": "exp",
    "exp": "exp",
    "log_softmax": "log_softmax",
    "hard_tanh": "hard_tanh",
    "celu": "celu",
    "tanh_shrink": "tanh_shrink",
    "log_sigmoid": "log_sigmoid",
    "hard_shrink": "hard_shrink",
    "soft_shrink": "soft_shrink",
    "squareplus": "squareplus",
}
NOTHING = ("linear", "", None)
STEEPER = 1.2
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
    if name == "softmax":
        return scene.apply(step, "softmax", scene.last(step, x, x.rank - 1), tag=tag)
    if name == "hard_sigmoid":
        steep = scene.apply(step, "*", x, tag="steeper", right=STEEPER) if step.generation < 3 else x
        return scene.apply(step, "hard_sigmoid", steep, tag=tag)
    if name in ("hard_swish", "hard_silu"):
        return scene.apply(step, "*", x, scene.apply(step, "hard_sigmoid", x, tag="gate"), tag=tag)
    if name == "leaky_relu":
        return scene.apply(step, "leaky_relu", x, tag=tag, slope=_slope(options, 0.2))
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
    """The general ReLU of Keras. Raises E0901 for a threshold, and for a slope together with a limit."""
    top = options.raw("max_value")
    slope = options.number("negative_slope", 0.0)
    if options.number("threshold", 0.0):
        raise step.refuse("a ReLU with a threshold has a gap that the language has no word for")
    if top is None:
        return scene.apply(step, "leaky_relu", x, slope=slope) if slope else scene.apply(step, "relu", x)
    if slope:
        raise step.refuse("a ReLU with a slope and a limit")
    limit = options.number("max_value")
    if limit == 6:
        return scene.apply(step, "relu6", x)
    if limit <= 0:
        raise step.refuse(f"a ReLU that is cut at {limit}")
    return _cut(scene, step, x, limit)


def _cut(scene: Scene, step: Step, x: Flow, limit: float) -> Flow:
    """min(max(x, 0), limit) by way of relu6."""
    smaller = scene.apply(step, "*", x, tag="scaled", right=6 / limit)
    return scene.apply(step, "*", scene.apply(step, "relu6", smaller, tag="relu6"), right=limit / 6)


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
    return scene.apply(step, "thresholded_relu", x, theta=step.options.number("theta", 1.0))
