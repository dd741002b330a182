"""Operators of ours that ONNX lacks, as functions that a model brings along: others run the body, we know the name.

The file says what each does in ONNX's own operators, so every runtime that knows functions can use it; and since the
node keeps its name, settings and weights, it comes in again as the layer that it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DOMAIN = "graphdsl"
VERSION = 1

S_CELLS = "s_cells"

BODIES = {
    S_CELLS: """
<opset_import: ["" : 17], domain: "graphdsl">
s_cells <selectivity, share, area, speed, kernel_shape, pads> (x, excitatory, inhibitory) => (answer) {
  one        = Constant <value_float = 1.0> ()
  tiny       = Constant <value_float = 1e-12> ()
  r          = Constant <value_float: float = @selectivity> ()
  part       = Constant <value_float: float = @share> ()
  excitation = Conv <pads: ints = @pads> (x, excitatory)
  squares    = Mul (x, x)
  of_place   = ReduceMean <axes = [1], keepdims = 1> (squares)
  mean       = AveragePool <kernel_shape: ints = @kernel_shape, pads: ints = @pads, count_include_pad = 1> (of_place)
  kept       = Add (mean, tiny)
  seen       = Sqrt (kept)
  strength   = Mul (inhibitory, part)
  inhibition = Mul (strength, seen)
  above      = Add (one, excitation)
  below      = Add (one, inhibition)
  ratio      = Div (above, below)
  beyond     = Sub (ratio, one)
  positive   = Relu (beyond)
  answer     = Mul (positive, r)
}""",
}
"""By the name of the operator, in ONNX's textual form.

s_cells: x [N, C, in...], excitatory [planes, C, window...], inhibitory [planes, 1...], answer [N, planes, out...].
share is selectivity / (1 + selectivity); area (0: the whole picture) and speed say how the cells learn.
"""


def qualified(name: str) -> str:
    """The operator as steps are called: with its domain in front."""
    return f"{DOMAIN}::{name}"


def functions(names: Iterable[str]) -> list[Any]:
    """The FunctionProtos of these operators. The package onnx must be there."""
    from onnx import parser

    return [parser.parse_function(BODIES[name]) for name in names]


def foreign(proto: Any) -> Any:
    """proto with all functions written out but ours: those of our names that say just what ours say."""
    from onnx import inliner

    ours = {name: made.SerializeToString() for name, made in zip(BODIES, functions(BODIES), strict=True)}
    known = [(f.domain, f.name) for f in proto.functions if f.SerializeToString() == ours.get(f.name)]
    return inliner.inline_selected_functions(proto, known, exclude=True)
