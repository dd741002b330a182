"""What a spec means: one graph, what flows in and out of it, and what is to be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from graphdsl.ir import Graph, Made, TensorType, Value
from graphdsl.ops import Crop
from graphdsl.report import Source, Span, Use, dataclass


@dataclass(frozen=True)
class Port:
    """An input or a target: what data must supply under this name."""

    name: str
    type: TensorType
    span: Span


@dataclass(frozen=True)
class Choices:
    """`in [32, 64, 128]`"""

    values: tuple[Any, ...]

    def __contains__(self, value: object) -> bool:
        return value in self.values

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.values))}]"


@dataclass(frozen=True)
class Interval:
    """`in range(low, high)`, both ends included; log: searched evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return f"{'log' if self.log else 'range'}({self.low:g}, {self.high:g})"


@dataclass(frozen=True)
class Parameter:
    """A param: what it is in this elaboration, what it is unless set, and what it may be (None: anything)."""

    name: str
    value: Any
    default: Any
    domain: Choices | Interval | None
    span: Span


@dataclass(frozen=True)
class SharedUse:
    """A shared layer: the prefix of its weights and how often it was used."""

    name: str
    weights: str
    uses: int
    span: Span


@dataclass(frozen=True)
class WeightsFile:
    """Weights to be loaded before anything runs: those under prefix, from a file.

    path     of it, beside the file that names it
    written  as it is written there
    """

    prefix: str
    path: str
    written: str
    span: Span


@dataclass(frozen=True)
class Unprepared:
    """A use of a spec that has a `preprocess` of its own: its path, the nodes that flow in, and where it is used."""

    path: str
    fed: frozenset[str]
    span: Span


@dataclass(frozen=True)
class Slid:
    """A network that judges crops, slid over a picture.

    map   what it says of every window; over: the picture, in the size that windows were slid over
    crop  the network by itself, with weights of the same names
    """

    map: Value
    over: Value
    crop: Crop


@dataclass(frozen=True)
class LossTerm:
    """One part of what a section makes small.

    name        of the head it judges: the output's or tensor's name, else the loss's own word; no two terms share one
    loss        the word in the spec, empty where a term is arithmetic on several
    value       a scalar of the graph; what is made small is the sum over terms of weight * value
    weight      the loss's `weight`; 1 where it is a tensor, a schedule or learned, which is in the value already
    prediction  None where a term is arithmetic
    plain       of such a value, the loss before it was weighed
    share       what a scheduled or learned weight is at the moment
    uncertain   the name of the weight that a learned one follows from
    written     what the text says: the loss times its weight
    """

    name: str
    loss: str
    value: Value
    weight: float
    prediction: Value | None
    target: Value | None
    span: Span
    plain: Value | None = None
    share: Value | None = None
    uncertain: str = ""
    written: Value | None = None


@dataclass(frozen=True)
class MetricTerm:
    """A metric to be watched: `metric` is its Made record, name that of the head it judges."""

    name: str
    metric: Made
    prediction: Value
    target: Value | None
    span: Span


@dataclass(frozen=True)
class Recipe:
    """What is done, in order, to the samples of some inputs and targets as they are read."""

    names: tuple[str, ...]
    steps: tuple[Made, ...]
    span: Span


@dataclass(frozen=True)
class Section:
    """`train finetune { … }`, read.

    settings  by key. What each kind of key gives: loss a tuple of LossTerm, metrics of MetricTerm, learn and freeze
              names of weights, rates pairs of such names and a factor, within such names and two bounds,
              augment a tuple of Recipe; others what their domain accepts
    spans     where each key's value was written
    nested    sections inside it, in order
    """

    kind: str
    name: str
    settings: Mapping[str, Any]
    spans: Mapping[str, Span]
    nested: tuple[Section, ...]
    span: Span


@dataclass(frozen=True)
class Named:
    """A tensor that was given a name, in one use of the block or section around it.

    top    a name of the spec itself; others are seen in their block or section only
    chain  the uses of blocks around it, innermost first
    beside what got names in the same definition, `a, b = …`, itself included: one that is read excuses the others
    """

    name: str
    value: Value
    span: Span
    top: bool
    chain: tuple[Use, ...] = ()
    beside: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Spec:
    """A whole spec, elaborated.

    graph     as written: nothing merged, nothing left out; results are outputs and losses
    names     top-level tensors by name: the taps
    weights   files to load, in order
    shared    shared layers of the file, with their uses
    files     every file that was read, this one first
    named     every tensor with a name, in blocks and sections too; not those of a spec used as a layer
    preprocess  what is done to samples before they flow in, wherever that is
    unprepared  uses of specs whose `preprocess` is not done here
    scheduled   the weights of losses that follow a schedule, by the input that they are fed to
    slid      networks of crops that are slid over pictures
    library   it has blocks, so it may be there for others to `use`
    """

    source: Source
    graph: Graph
    inputs: Mapping[str, Port]
    targets: Mapping[str, Port]
    outputs: Mapping[str, Value]
    names: Mapping[str, Value]
    params: Mapping[str, Parameter]
    sections: tuple[Section, ...]
    shared: tuple[SharedUse, ...] = ()
    weights: tuple[WeightsFile, ...] = ()
    files: tuple[str, ...] = field(default=())
    named: tuple[Named, ...] = ()
    preprocess: tuple[Recipe, ...] = ()
    unprepared: tuple[Unprepared, ...] = ()
    scheduled: Mapping[str, Made] = field(default_factory=dict)
    slid: tuple[Slid, ...] = ()
    library: bool = False
