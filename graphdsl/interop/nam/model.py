"""What a .nam file says: JSON with the sizes of a WaveNet, and all its numbers in one list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.refusal import cannot_say, malformed, read_text, unfit
from graphdsl.ir import Array
from graphdsl.report import Failed, dataclass

MOST = 4096
"""Channels, kernel sizes and layers."""
LONGEST = 1 << 20
"""Of a dilation, in steps."""
MOST_LAYERS = 10_000
"""Of all stacks together."""
MOST_SEEN = 1 << 24
"""Samples before one that decide it, which is how much silence is put before a sound: six minutes at 48 kHz."""
PARTS = {"input_size", "condition_size", "head_size", "channels", "kernel_size", "dilations"}
ALL = PARTS | {"activation", "gated", "head_bias"}
ACTIVATIONS = {"Tanh": "tanh", "ReLU": "relu", "Sigmoid": "sigmoid", "SiLU": "swish", "Softsign": "softsign"}


@dataclass(frozen=True)
class Stack:
    """Some layers of one width, each with its dilation. Sizes as the file calls them."""

    name: str
    input_size: int
    head_size: int
    channels: int
    kernel_size: int
    dilations: tuple[int, ...]
    activation: str
    gated: bool
    head_bias: bool

    @property
    def seen(self) -> int:
        """Steps before one that decide it."""
        return (self.kernel_size - 1) * sum(self.dilations)


class Numbers:
    """The weights of a file, taken in order."""

    def __init__(self, values: Array) -> None:
        self.values, self.at = values, 0

    def take(self, layer: str, *shape: int) -> Array:
        """The next numbers, in this shape. Raises E0903 where the file has no more."""
        count, left = int(np.prod(shape)), len(self.values) - self.at
        if count > left:
            raise unfit(layer, f"needs {count:,} numbers, and {left:,} of the file's {len(self.values):,} are left")
        self.at += count
        return self.values[self.at - count : self.at].reshape(shape)

    def finish(self) -> None:
        """Raises E0903 where numbers are left."""
        if self.at < len(self.values):
            raise unfit("the last layer", f"{len(self.values) - self.at:,} numbers of the file belong to nothing")


def opened(path: Path) -> tuple[list[Stack], Numbers]:
    """Raises E0901 for what has no words here, E0902 where the file is none, or asks for more than is bounded here."""
    try:
        whole = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise malformed(path, "it is no JSON", "a .nam file is a JSON object") from error
    found, config = _object(path, whole, "it"), _object(path, whole.get("config"), "its `config`")
    if found.get("architecture") != "WaveNet":
        raise cannot_say(path.name, str(found.get("architecture"))[:40], "of Neural Amp Modeler's models, WaveNet is")
    if config.get("head") is not None or set(config) - {"layers", "head", "head_scale"}:
        odd = ", ".join(sorted(set(config) - {"layers", "head_scale"}))
        raise cannot_say(path.name, "WaveNet", f"`{odd}` in its config has no counterpart here")
    layers = config.get("layers")
    if not isinstance(layers, list) or not 1 <= len(layers) <= MOST:
        raise malformed(path, "it has no list of layers")
    stacks = [_stack(path, f"layers[{i}]", layer) for i, layer in enumerate(layers)]
    count, seen = sum(len(stack.dilations) for stack in stacks), sum(stack.seen for stack in stacks)
    if count > MOST_LAYERS:
        raise malformed(path, f"it has {count:,} layers; at most {MOST_LAYERS:,} are read")
    if seen > MOST_SEEN:
        raise malformed(path, f"each sample would depend on the last {seen:,}; at most {MOST_SEEN:,} are read")
    return stacks, Numbers(_numbers(path, found.get("weights")))


def _object(path: Path, value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise malformed(path, f"{what} is no JSON object")
    return value


def _stack(path: Path, name: str, value: Any) -> Stack:
    told = _object(path, value, name)
    odd = sorted(set(told) - ALL)
    if odd:
        raise cannot_say(name, "WaveNet", f"`{odd[0]}` has no counterpart here", "files of version 0.5 are read")
    sizes = {key: _whole(path, name, told, key, MOST) for key in sorted(PARTS - {"dilations"})}
    if sizes.pop("condition_size") != 1:
        raise cannot_say(name, "WaveNet", "only the sound itself can be its condition")
    dilations = told.get("dilations")
    if not isinstance(dilations, list) or not 1 <= len(dilations) <= MOST:
        raise malformed(path, f"{name} has no list of dilations")
    steps = tuple(_whole(path, name, {"dilations": d}, "dilations", LONGEST) for d in dilations)
    activation = told.get("activation")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise cannot_say(name, "WaveNet", f"the activation {json.dumps(activation)[:40]} has no counterpart here")
    gated, head_bias = (_flag(path, name, told, key) for key in ("gated", "head_bias"))
    word = ACTIVATIONS[activation]
    return Stack(name, dilations=steps, activation=word, gated=gated, head_bias=head_bias, **sizes)


def _whole(path: Path, name: str, told: Mapping[str, Any], key: str, most: int) -> int:
    value = told.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise malformed(path, f"`{key}` of {name} is no whole number from 1 to {most:,}")
    return value


def _flag(path: Path, name: str, told: Mapping[str, Any], key: str) -> bool:
    value = told.get(key)
    if not isinstance(value, bool):
        raise malformed(path, f"`{key}` of {name} is neither true nor false")
    return value


def _numbers(path: Path, value: Any) -> Array:
    if not isinstance(value, list) or any(isinstance(v, bool) or not isinstance(v, int | float) for v in value):
        raise _no_numbers(path)
    try:
        with np.errstate(over="ignore"):
            found = np.array(value, np.float64).astype(np.float32)
    except OverflowError as error:
        raise _no_numbers(path) from error
    if not np.isfinite(found).all():
        raise _no_numbers(path)
    return found


def _no_numbers(path: Path) -> Failed:
    return malformed(path, "its `weights` are no list of finite numbers")
