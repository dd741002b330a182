"""Recurrent layers, alone and in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.interop.keras.activations import MODERN, name_of
from graphdsl.interop.keras.merges import joined
from graphdsl.interop.keras.scene import INNER, Flow, Scene, Step
from graphdsl.interop.keras.structure import Unit
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import note_training
from graphdsl.interop.refusal import unfit
from graphdsl.ir import Array
from graphdsl.report import dataclass

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1, "CuDNNLSTM": 4, "CuDNNGRU": 3}
WORDS = {"LSTM": "lstm", "CuDNNLSTM": "lstm", "GRU": "gru", "CuDNNGRU": "gru", "SimpleRNN": "rnn"}
MERGES = {"sum": "+", "mul": "*", "ave": "average"}
SQUASHES = ("tanh", "sigmoid", "hard_sigmoid", "relu", "softsign", "linear")
ONLY_IN_TRAINING = ("dropout", "recurrent_dropout", "dropout_W", "dropout_U")


@dataclass(frozen=True)
class Read:
    """What one direction gave: last, after the whole sequence, or steps, after each."""

    last: Flow | None
    steps: Flow | None


@rule(*GATES, many=True)
def recurrent(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow | tuple[Flow, ...]:
    """A sequence read once. Of its states only that which it says in the end can be read by others."""
    options = step.options
    sequence = options.flag("return_sequences", False)
    reverse = options.flag("go_backwards", False)
    made = _turned(scene, step, one_way(scene, step, _only(step, xs), sequence, reverse))
    if not options.flag("return_state", False):
        return made
    inner = replace(made, name=INNER)
    states = 2 if step.kind in ("LSTM", "CuDNNLSTM") else 1
    return (made, *[inner] * states) if sequence else (made, made, *[inner] * (states - 1))


def _turned(scene: Scene, step: Step, y: Flow) -> Flow:
    """Keras gives the steps of a sequence that it reads backward in the order in which it read them."""
    if y.rank == 1 or not step.options.flag("go_backwards", False):
        return y
    return scene.made(y, scene.emit(step, "reverse", [y.name], tag="in_order"), y.ours)


def _only(step: Step, xs: Sequence[Flow]) -> Flow:
    if len(xs) != 1:
        raise step.refuse("it starts from a state that it is given, and the language's begin at 0")
    return xs[0]


@rule("Bidirectional", many=True)
def bidirectional(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow | tuple[Flow, ...]:
    """Forward and backward, then merged. Keras turns the backward steps around, so they stand at their places."""
    ahead = step.unit.wrapped[0]
    back = step.unit.wrapped[1] if len(step.unit.wrapped) > 1 else ahead
    x = _only(step, xs)
    if ahead.kind not in GATES:
        raise step.refuse(f"it wraps a layer of class {ahead.kind}")
    if ahead.options.flag("return_state", False):
        raise step.refuse("it gives states")
    sequence = ahead.options.flag("return_sequences", False)
    turned = ahead.options.flag("go_backwards", False)
    halves = _halves(step)
    forward = _part(step, ahead, halves[0], "forward")
    backward = _part(step, back, halves[1], "backward")
    one = one_way(scene, forward, x, sequence, turned)
    other = one_way(scene, backward, x, sequence, not turned)
    return _merged(scene, step, one, other)


def _part(step: Step, unit: Unit, arrays: tuple[Array, ...] | None, tag: str) -> Step:
    return replace(step, name=f"{step.name}/{tag}", unit=unit, arrays=arrays)


def _halves(step: Step) -> tuple[tuple[Array, ...] | None, tuple[Array, ...] | None]:
    if step.arrays is None:
        return None, None
    half, odd = divmod(len(step.arrays), 2)
    if odd:
        raise unfit(step.name, f"the file has {len(step.arrays)} arrays for two directions")
    return step.arrays[:half], step.arrays[half:]


def _merged(scene: Scene, step: Step, one: Flow, other: Flow) -> Flow | tuple[Flow, ...]:
    mode = step.options.raw("merge_mode", "concat")
    if mode is None:
        return (one, other)
    if mode == "concat":
        name = scene.emit(step, "concat", [one.name, other.name])
        width = (one.shape[-1] or 0) + (other.shape[-1] or 0)
        return scene.made(one, name, (*one.ours[:-1], width))
    if mode not in MERGES:
        raise step.options.wrong("merge_mode", "concat, sum, mul, ave or null")
    return joined(scene, step, MERGES[mode], [one, other])


def one_way(scene: Scene, step: Step, x: Flow, sequence: bool, reverse: bool, tag: str = "") -> Flow:
    """One layer in one direction."""
    if x.rank != 2:
        raise step.refuse(f"it reads [time, features], and gets {list(x.shape)}")
    x = scene.straight(step, x)
    kind, options = step.kind, step.options
    units = options.count("units")
    if options.raw("time_major"):
        raise step.refuse("time stands before the batch axis")
    if x.masked and x.ours[0] is not None:
        raise step.refuse(f"`{x.masked}` says by values which steps to skip, and here the length of a sequence does")
    for key in ONLY_IN_TRAINING:
        if options.raw(key):
            scene.note(f"left out, since it acts in training only: {key}", step.name)
    if options.raw("stateful"):
        scene.note("stateful in Keras: it goes on from batch to batch, and here each batch begins anew", step.name)
    note_training(scene, step)
    settings: dict[str, Any] = {"units": units} | ({"sequence": True} if sequence else {})
    settings |= {"reverse": True} if reverse else {}
    settings |= _gates(step)
    weights = _weights(step, units, scene.features(step, x))
    scene.take_numbers(x)
    name = scene.emit(step, WORDS[kind], [x.name], settings, weights, tag=tag, learns=True)
    return scene.made(x, name, (x.ours[0], units) if sequence else (units,), (0, 1) if sequence else (0,))


def _gates(step: Step) -> dict[str, Any]:
    """Settings for what the gates compute; E0901 where the language has no such gates."""
    options, kind = step.options, step.kind
    if kind.startswith("CuDNN"):
        return {}
    found = {"activation": _squash(step, "activation", "tanh")}
    if kind != "SimpleRNN":
        found["gate"] = _squash(step, "recurrent_activation", "hard_sigmoid" if step.generation < MODERN else "sigmoid")
    if kind == "GRU":
        found["reset"] = "after" if options.flag("reset_after", False) else "before"
    usual = {"activation": "tanh", "gate": "sigmoid", "reset": "after"}
    told: dict[str, Any] = {n: v for n, v in found.items() if v != usual[n]}
    return told if _biased(step) or kind == "GRU" else told | {"bias": False}


def _squash(step: Step, key: str, default: str) -> str:
    name, _ = name_of(step.options.raw(key, default), step.options, key)
    if name == "hard_sigmoid" and step.generation < MODERN:
        return "hard_sigmoid_2"
    if name not in SQUASHES:
        raise step.refuse(f"its {key} `{name}` is not one that recurrent layers of the language have")
    return name


def _biased(step: Step) -> bool:
    return step.options.flag("use_bias", True)


def _weights(step: Step, units: int, features: int) -> Mapping[str, Array]:
    """kernel, recurrent and biases in our layout. cuDNN's are turned by the file reader already."""
    if step.arrays is None:
        return {}
    gates = GATES[step.kind] * units
    shapes: dict[str, Sequence[int | None]] = {"kernel": (features, gates), "recurrent": (units, gates)}
    double = step.kind == "CuDNNGRU" or (step.kind == "GRU" and step.options.flag("reset_after", False))
    if _biased(step):
        shapes["bias"] = (2, gates) if double else (gates,)
    found = step.parts(**shapes)
    if step.kind == "GRU" and not double and not _biased(step):
        found["bias"] = np.zeros(gates, np.float32)
    if double:
        both = found.get("bias", np.zeros((2, gates), np.float32))
        found |= {"bias": both[0], "recurrent_bias": both[1]}
    return found
