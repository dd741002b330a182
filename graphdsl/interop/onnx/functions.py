"""Operators of ours that ONNX lacks, as functions that a model brings along: others run the body, we know the name.

The file says what each does in ONNX's own operators, so every runtime that knows functions can use it; and since the
node keeps its name, settings and weights, it comes in again as the layer that it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DOMAIN = "graphdsl"
VERSION = 1

S_CELLS, NMS, NMS_TOGETHER = "s_cells", "nms", "nms_together"

_CANDIDATES = """
<opset_import: ["" : 17], domain: "graphdsl">
{name} <score, iou, most, several> (x) => (found) {{
  axis      = Constant <value_ints = [2]> ()
  places    = Constant <value_ints = [0, 4, 5, 1000000000]> ()
  p0, p4, p5, end = Split <axis = 0> (places)
  boxes     = Slice (x, p0, p4, axis)
  object    = Slice (x, p4, p5, axis)
  kinds     = Slice (x, p5, end, axis)
  least     = Constant <value_float: float = @score> ()
  share     = Constant <value_float: float = @iou> ()
  one_most  = Constant <value_int: int = @most> ()
  no        = Constant <value_float = -2.0> ()
  above     = Constant <value_float = -1.0> ()
  zero      = Constant <value_float = 0.0> ()
  zeroth    = Constant <value_int = 0> ()
  first     = Constant <value_int = 1> ()
  two       = Constant <value_int = 2> ()
  row       = Constant <value_ints = [1]> ()
  width     = Constant <value_ints = [4]> ()
  four      = Constant <value_ints = [1, 1, 4]> ()
  flatten   = Constant <value_ints = [0, -1]> ()
  most      = Reshape (one_most, row)
  product   = Mul (object, kinds)
  strange   = IsNaN (product)
  scores    = Where (strange, no, product)
  enough    = GreaterOrEqual (scores, least)
  sizes     = Shape (kinds)
  classes   = Gather (sizes, two)
  numbers   = Range (zeroth, classes, first)
  best      = ArgMax <axis = 2> (scores)
  is_best   = Equal (best, numbers)
  several   = Constant <value_int: int = @several> ()
  all       = Cast <to = 9> (several)
  counts    = Or (is_best, all)
  kept      = And (enough, counts)
  offered   = Where (kept, scores, no)
{ways}
  chosen    = NonMaxSuppression <center_point_box = 1> (boxes, ranked, one_most, share, above)
  won       = GatherND (ranked, chosen)
  shape     = Shape (ranked)
  blank     = Expand (no, shape)
  left      = ScatterND (blank, chosen, won)
  by_box    = Transpose <perm = [0, 2, 1]> (left)
  flat      = Reshape (by_box, flatten)
  batch     = Gather (sizes, zeroth)
  one_batch = Reshape (batch, row)
  rest      = Concat <axis = 0> (one_batch, most)
  spare     = Expand (no, rest)
  room      = Concat <axis = 1> (flat, spare)
  told, at  = TopK <axis = 1> (room, most)
  there     = Greater (told, above)
  place     = Where (there, at, zeroth)
  ways      = Gather (shape, first)
  box       = Div (place, ways)
{kind}
  deep      = Unsqueeze (box, axis)
  which     = Expand (deep, four)
  one_more  = Concat <axis = 0> (one_batch, row, width)
  no_box    = Expand (zero, one_more)
  standing  = Concat <axis = 1> (boxes, no_box)
  corners   = GatherElements <axis = 1> (standing, which)
  sure      = Unsqueeze (told, axis)
  number    = Cast <to = 1> (kind)
  called    = Unsqueeze (number, axis)
  rows      = Concat <axis = 2> (corners, sure, called)
  is_row    = Unsqueeze (there, axis)
  found     = Where (is_row, rows, zero)
}}"""
_APART = _CANDIDATES.format(
    name=NMS,
    ways="  ranked    = Transpose <perm = [0, 2, 1]> (offered)",
    kind="  kind      = Mod (place, ways)",
)
_AS_ONE = _CANDIDATES.format(
    name=NMS_TOGETHER,
    ways="""  highest   = ReduceMax <axes = [2]> (offered)
  ranked    = Transpose <perm = [0, 2, 1]> (highest)""",
    kind="""  likely    = Squeeze (best, axis)
  one_kind  = Concat <axis = 0> (one_batch, row)
  no_kind   = Expand (zeroth, one_kind)
  told_of   = Concat <axis = 1> (likely, no_kind)
  kind      = GatherElements <axis = 1> (told_of, box)""",
)

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
    NMS: _APART,
    NMS_TOGETHER: _AS_ONE,
}
"""By the name of the operator, in ONNX's textual form.

s_cells: x [N, C, in...], excitatory [planes, C, window...], inhibitory [planes, 1...], answer [N, planes, out...].
share is selectivity / (1 + selectivity); area (0: the whole picture) and speed say how the cells learn.

nms, nms_together: x [N, n, 5 + classes], found [N, most, 6]; several is 0 or 1. ONNX's NonMaxSuppression gives places,
class by class, as many as there are. Their scores are put where they came from, and the best `most` of all are taken
from there: -2 stands for none, for scores are 0 at least. A box behind the last is what no row points at where there
is no candidate at all.
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
