"""What a model was compiled with, as a train section. All of it, or nothing and a line that says why.

Keras 1 and 2 write `optimizer_config`, Keras 3 `optimizer`; losses and metrics are names, functions or objects, alone,
in lists or by the names of outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any

from graphdsl.interop.keras.options import scalar
from graphdsl.interop.keras.scene import Flow, Scene
from graphdsl.interop.names import Namer
from graphdsl.interop.net import Layer
from graphdsl.interop.wording import number_text, value_text

LOSSES = {
    "categorical_crossentropy": "categorical_crossentropy",
    "sparse_categorical_crossentropy": "categorical_crossentropy",
    "binary_crossentropy": "binary_crossentropy",
    "mean_squared_error": "mse",
    "mse": "mse",
    "mean_absolute_error": "mae",
    "mae": "mae",
    "huber": "huber",
    "huber_loss": "huber",
    "hinge": "hinge",
    "kl_divergence": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "kld": "kl_divergence",
}
ENDS = {"categorical_crossentropy": "softmax", "kl_divergence": "softmax", "binary_crossentropy": "sigmoid"}
METRICS = {
    "accuracy": "accuracy",
    "acc": "accuracy",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "sparse_categorical_accuracy": "accuracy",
    "mean_squared_error": "mse",
    "mse": "mse",
    "mean_absolute_error": "mae",
    "mae": "mae",
    "top_k_categorical_accuracy": "top(5)",
    "sparse_top_k_categorical_accuracy": "top(5)",
}
SETTINGS = {
    "learning_rate": "lr",
    "lr": "lr",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "beta_1": "beta1",
    "beta_2": "beta2",
    "rho": "rho",
    "epsilon": "eps",
    "initial_accumulator_value": "start",
    "clipvalue": "clip_value",
    "clipnorm": "clip_norm",
    "weight_decay": "decay",
    "decay": "lr_decay",
}
CLIPS: dict[str, float] = {"clip_value": 0, "clip_norm": 0, "lr_decay": 0}
TAKES: dict[str, dict[str, float]] = {
    "sgd": {"lr": 0.01, "momentum": 0, "nesterov": 0} | CLIPS,
    "adam": {"lr": 0.001, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7} | CLIPS,
    "rmsprop": {"lr": 0.001, "rho": 0.9, "momentum": 0, "eps": 1e-7} | CLIPS,
    "adagrad": {"lr": 0.001, "start": 0.1, "eps": 1e-7} | CLIPS,
    "adamw": {"lr": 0.001, "decay": 0.004, "beta1": 0.9, "beta2": 0.999, "eps": 1e-7} | CLIPS,
}
"""The settings of each optimizer that Keras' config may set, and what they are where a spec says nothing."""

OTHERWISE = ("amsgrad", "centered", "use_ema")
"""Switches of optimizers that we do not have."""


class _Unlike(Exception):
    """Something has no exact counterpart; the argument says what."""


def trained(
    scene: Scene, config: Mapping[str, Any], layers: Sequence[Layer], heads: Sequence[tuple[str, Flow]], namer: Namer
) -> str:
    """Targets and a train section, or nothing where the model was not compiled or something has no counterpart.

    heads: the outputs, by the names that they have in the spec
    """
    if not isinstance(config, Mapping) or not config.get("loss"):
        return ""
    words = {layer.outputs[0]: layer.word for layer in layers}
    try:
        return _section(config, words, heads, namer)
    except _Unlike as unlike:
        scene.note(f"no train section, since it was compiled with {unlike}")
        return ""


def _section(
    config: Mapping[str, Any], words: Mapping[str, str], heads: Sequence[tuple[str, Flow]], namer: Namer
) -> str:
    optimizer = _optimizer(config.get("optimizer_config") or config.get("optimizer"))
    losses, targets, metrics = [], [], []
    weights = _each(config.get("loss_weights"), heads)
    measured = _each(config.get("metrics"), heads, several=True)
    for i, ((name, flow), given) in enumerate(zip(heads, _each(config["loss"], heads), strict=True)):
        if given is None:
            continue
        loss, settings = _loss(given)
        if ENDS.get(loss, words.get(flow.name)) != words.get(flow.name):
            raise _Unlike(f"{loss} of scores, which here wants probabilities")
        if isinstance(weights[i], int | float) and weights[i] != 1:
            settings.append(f"weight={number_text(weights[i])}")
        target = namer.name(f"{name}_target")
        targets.append(f"target {target}: {_type(loss, flow)}")
        losses.append(f"[{name}, {target}] -> {loss}{_bracketed(settings)}")
        metrics += [f"[{name}, {target}] -> {m}" for m in _metrics(measured[i])]
    lines = ["  # data is not in files of Keras: `data = …` is to be added", f"  loss = {_listed(losses)}"]
    lines += [f"  metrics = {_listed(metrics)}"] if metrics else []
    return "\n".join(["", *targets, "", "train {", *lines, f"  optimizer = {optimizer}", "}", ""])


def _bracketed(settings: Sequence[str]) -> str:
    return f"({', '.join(settings)})" if settings else ""


def _listed(texts: Sequence[str]) -> str:
    if not texts:
        raise _Unlike("no loss of an output")
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


def _each(given: Any, heads: Sequence[tuple[str, Flow]], several: bool = False) -> list[Any]:
    """What is given for each output: one for all, a list of them, or by name."""
    if isinstance(given, Mapping) and "class_name" not in given:
        if not set(given) <= {name for name, _ in heads}:
            raise _Unlike("settings for outputs that have other names here")
        return [given.get(name) for name, _ in heads]
    if not isinstance(given, list | tuple):
        return [given] * len(heads)
    nested = all(isinstance(g, list | tuple | None) for g in given) and len(given) == len(heads) and any(given)
    return list(given) if len(given) == len(heads) and (nested or not several) else [given] * len(heads)


def _named(given: Any) -> tuple[str, Mapping[str, Any]]:
    """The name of a loss, metric or optimizer in small letters, and its config."""
    if isinstance(given, str):
        return _snake(given), {}
    if not isinstance(given, Mapping):
        raise _Unlike("something that is no name")
    config = given.get("config")
    if isinstance(config, str):
        return _snake(config), {}
    return _snake(str(given.get("class_name"))), config if isinstance(config, Mapping) else {}


def _snake(name: str) -> str:
    """`binary_crossentropy` for `BinaryCrossentropy`."""
    parts = "".join(
        f"_{c.lower()}" if c.isupper() and i and not name[i - 1].isupper() else c.lower() for i, c in enumerate(name)
    )
    return {"k_l_divergence": "kl_divergence", "kldivergence": "kl_divergence", "rms_prop": "rmsprop"}.get(parts, parts)


def _loss(given: Any) -> tuple[str, list[str]]:
    name, config = _named(given)
    loss = LOSSES.get(name)
    if loss is None:
        raise _Unlike(f"the loss `{name}`")
    if config.get("from_logits"):
        raise _Unlike(f"{name} of scores, which here wants probabilities")
    smoothing = config.get("label_smoothing") or 0
    settings = [f"label_smoothing={number_text(smoothing)}"] if smoothing else []
    if loss == "huber" and config.get("delta", 1) != 1:
        settings.append(f"delta={number_text(config['delta'])}")
    return loss, settings


def _type(loss: str, flow: Flow) -> str:
    """What the truth looks like for a loss."""
    axes = [f"S{i}" if n is None else str(n) for i, n in enumerate(flow.ours)]
    if None in flow.ours[:-1]:
        raise _Unlike("a target of a free size")
    if loss == "categorical_crossentropy":
        return f"int({axes[-1]})" + (f"[{', '.join(axes[:-1])}]" if axes[1:] else "")
    if loss == "binary_crossentropy" and flow.ours == (1,):
        return "int(2)"
    return f"float[{', '.join(axes)}]"


def _metrics(given: Any) -> list[str]:
    listed = given if isinstance(given, list | tuple) else [given] if given else []
    found = []
    for metric in listed:
        if isinstance(metric, list | tuple):
            found += _metrics(metric)
            continue
        name, _ = _named(metric)
        if name not in METRICS:
            raise _Unlike(f"the metric `{name}`")
        found.append(METRICS[name])
    return list(dict.fromkeys(found))


def _optimizer(given: Any) -> str:
    name, config = _named(given)
    if name not in TAKES:
        raise _Unlike(f"the optimizer `{name}`")
    for key in OTHERWISE:
        if config.get(key):
            raise _Unlike(f"{name}({key})")
    said: dict[str, float] = {}
    for key, value in config.items():
        told = SETTINGS.get(key, "")
        plain = scalar(value) if isinstance(value, Mapping) else value
        if told == "lr" and plain is None:
            raise _Unlike("a schedule of the learning rate")
        if told in TAKES[name] and isinstance(plain, int | float):
            said[told] = plain
        elif told == "decay" and plain:
            raise _Unlike(f"{name} with weight decay")
    differ = [
        (k, said[k]) for k, usual in TAKES[name].items() if k in said and not isclose(said[k], usual, rel_tol=1e-6)
    ]
    return f"{name}{_bracketed([f'{k}={value_text(v)}' for k, v in differ])}"
