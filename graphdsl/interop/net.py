"""A network from elsewhere, in our words but not yet in a text: what every importer makes and the writer takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from graphdsl.ir import Array
from graphdsl.report import dataclass

ARITHMETIC = ("+", "-", "*", "/")
"""Words of two tensors, or of one and a number: `{"right": 0.5}` is `x * 0.5`, `{"left": 1}` is `1 - x`."""

WEIGHT = "weight"
"""The word of a tensor that is the same for all samples: `{"shape": (3, 4)}`, and its numbers as the weight ""."""


@dataclass(frozen=True)
class Port:
    """An input: its name at the source, and its type as a spec writes it, such as `float[224, 224, 3]`."""

    name: str
    type: str


@dataclass(frozen=True)
class Layer:
    """One step.

    name      what the source calls it, for messages, and for names in the text
    word      ours: a layer, one of ARITHMETIC, or WEIGHT
    inputs    names of tensors, in order
    outputs   names of what it makes; no two layers make the same
    settings  by our names, in the order in which they are written; those that differ from the defaults are enough.
              A tuple is a size (`1x7`), a list a list
    weights   arrays in our layout by our names of the parts; all parts, or none where no file gave any
    shares    the name of an earlier layer whose weights this one uses
    """

    name: str
    word: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    shares: str = ""


@dataclass(frozen=True)
class Net:
    """A whole network.

    title     the comment at the head: what it is and where it came from
    layers    every tensor is made before it is read
    outputs   pairs: what the output is called, and its tensor
    heads     pairs, too: tensors that exist in training only, under names by which sections speak of them
    sections  text after the graph: sections of training. Legal names of outputs and heads that differ are kept
    """

    title: str
    inputs: tuple[Port, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[tuple[str, str], ...]
    heads: tuple[tuple[str, str], ...] = ()
    sections: str = ""
