"""A .nam file → a Net.

      sound ──> 1x1 ──> layer ──> layer … ──> next stack        layer:  z = activation(conv(x) + 1x1(sound))
                          └─ z ───── + z ────> 1x1 = head               x + 1x1(z) goes on, z goes to the head

The head of a stack is where the sums of the next begin; that of the last, times a number, is the result. A model runs
without end and has heard silence before it is asked: so as much silence as it sees is put before the sound, and what it
answers to that is cut off.

Source of the order of the numbers: NeuralAmpModelerCore, NAM/wavenet.cpp (version 0.2), `set_weights_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.interop.nam.model import Numbers, Stack, opened
from graphdsl.interop.net import Layer, Net, Port
from graphdsl.interop.refusal import unfit
from graphdsl.ir import Array

SOUND = "sound"
Parts = dict[str, Array]


def read(path: Path, weights: Path | None = None) -> Net:
    """The network of a .nam file. Raises Failed: E0901 (no words for it), E0902 (no such file), E0903 (weights)."""
    stacks, numbers = opened(path)
    _demand_chain(stacks)
    seen = sum(stack.seen for stack in stacks)
    made = _Assembly(numbers)
    heard = made.emit("wave", "reshape", SOUND, shape=(1,))
    heard = made.emit("silence", "pad", heard, start=seen, end=0) if seen else heard
    x, head = heard, ""
    for stack in stacks:
        x, head = made.stack(stack, x, heard, head)
    loud = made.emit("loud", "*", head, right=float(numbers.take("head_scale", 1)[0]))
    numbers.finish()
    answer = made.emit("answer", "slice", loud, start=seen, axis=0) if seen else loud
    title = f"{path.name}, from Neural Amp Modeler\nEach sample is decided by the last {seen + 1:,} that were heard."
    return Net(title, (Port(SOUND, "float[T]"),), tuple(made.layers), (("amplified", answer),))


def _demand_chain(stacks: list[Stack]) -> None:
    before = 1
    for stack in stacks:
        if stack.input_size != before:
            raise unfit(stack.name, f"takes {stack.input_size} channels, and {before} flow in")
        before = stack.channels
    for stack, after in pairwise(stacks):
        if stack.head_size != after.channels:
            raise unfit(after.name, f"adds {after.channels} channels to a head of {stack.head_size}")


class _Assembly:
    """Steps in the order of the file."""

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.layers: list[Layer] = []

    def emit(self, name: str, word: str, *inputs: str, weights: Mapping[str, Array] | None = None, **told: Any) -> str:
        """A step that makes one tensor, which is called like it; gives that name."""
        self.layers.append(Layer(name, word, inputs, (name,), told, dict(weights or {})))
        return name

    def stack(self, s: Stack, x: str, heard: str, head: str) -> tuple[str, str]:
        """What goes on to the next stack, and the head."""
        x = self._mix(f"{s.name}.rechannel", x, s.input_size, s.channels, bias=False)
        for i, dilation in enumerate(s.dilations):
            name = f"{s.name}.layer{i}"
            z = self._activated(name, s, self._listen(name, s, x, heard, dilation))
            head = self.emit(f"{name}.head", "+", head, z) if head else z
            back = self._mix(f"{name}.back", z, s.channels, s.channels, bias=True)
            x = self.emit(f"{name}.out", "+", x, back)
        return x, self._mix(f"{s.name}.head", head, s.channels, s.head_size, bias=s.head_bias)

    def _listen(self, name: str, s: Stack, x: str, heard: str, dilation: int) -> str:
        filters = s.channels * (2 if s.gated else 1)
        kernel = self.numbers.take(name, filters, s.channels, s.kernel_size).transpose(2, 1, 0)
        parts = {"kernel": kernel, "bias": self.numbers.take(name, filters)}
        told = {"dilation": dilation} if dilation > 1 else {}
        y = self.emit(
            f"{name}.conv", "conv", x, weights=parts, filters=filters, size=s.kernel_size, pad="causal", **told
        )
        return self.emit(f"{name}.sum", "+", y, self._mix(f"{name}.mix", heard, 1, filters, bias=False))

    def _activated(self, name: str, s: Stack, y: str) -> str:
        if not s.gated:
            return self.emit(f"{name}.z", s.activation, y)
        halves = (f"{name}.signal", f"{name}.gate")
        self.layers.append(Layer(f"{name}.split", "split", (y,), halves, {"parts": 2}))
        signal = self.emit(f"{name}.activated", s.activation, halves[0])
        return self.emit(f"{name}.z", "*", signal, self.emit(f"{name}.opened", "sigmoid", halves[1]))

    def _mix(self, name: str, x: str, channels: int, filters: int, *, bias: bool) -> str:
        """A 1x1 convolution."""
        parts: Parts = {"kernel": self.numbers.take(name, filters, channels).T[None]}
        parts |= {"bias": self.numbers.take(name, filters)} if bias else {}
        told = {} if bias else {"bias": False}
        return self.emit(name, "conv", x, weights=_solid(parts), filters=filters, size=1, **told)


def _solid(parts: Parts) -> Parts:
    return {name: np.ascontiguousarray(array) for name, array in parts.items()}
