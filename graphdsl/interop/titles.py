"""What to call a block that nobody has named."""

from __future__ import annotations

import re
from collections.abc import Sequence

from graphdsl.interop.names import Namer, legal
from graphdsl.interop.parts import Part, beginning, leaves
from graphdsl.ir import LAYERS

MOST_WORDS = 4
SHORTEST = 4
"""Letters that the names of all uses must have in common to be worth taking."""

EMPTY = ("backbone", "base", "block", "blocks", "features", "layer", "layers", "model", "module", "stage")
"""Names that say nothing of what stands in a block."""

SHORT = {"batch_norm": "bn", "depthwise_conv": "depthwise", "separable_conv": "separable", "layer_norm": "ln"}
MERGED = {"+": "residual", "add": "residual", "concat": "branches", "*": "gate", "multiply": "gate"}


def title(uses: Sequence[Sequence[Part]], taken: Sequence[str]) -> str:
    """A word for a block: its steps, if they are few; else what the source's names have in common; else its merge."""
    return Namer([*taken, *LAYERS]).name(_steps(uses[0]) or _theirs(uses) or _merge(uses[0]))


def _steps(parts: Sequence[Part]) -> str:
    """`conv_bn_relu`, for steps one behind the other."""
    words = [SHORT.get(p.word, p.word) for p in parts]
    in_line = all(len(set(p.inputs)) == 1 and not p.arithmetic for p in parts)
    return "_".join(words) if in_line and len("_".join(words).split("_")) <= MOST_WORDS + 1 else ""


def _theirs(uses: Sequence[Sequence[Part]]) -> str:
    """`inception_3a/1x1` and `inception_4b/1x1` are `inception`."""
    of_each = [beginning([leaf.name for part in parts for leaf in leaves(part)]) for parts in uses]
    name = legal(re.split("[/.]", beginning(of_each).rstrip("0123456789_/-. "))[-1])
    told = len(name) >= SHORTEST and name not in LAYERS and name not in EMPTY and len(set(of_each)) > 1
    return name if told else ""


def _merge(parts: Sequence[Part]) -> str:
    merging = next((p.word for p in reversed(parts) if len(set(p.inputs)) > 1), "")
    return MERGED.get(merging, "stage")
