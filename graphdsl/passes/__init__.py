"""From the graph that a spec says to the program that a machine runs: Graph -> Graph, one file a pass."""

from graphdsl.passes.epilogue import epilogue
from graphdsl.passes.fold import fold
from graphdsl.passes.fuse import fuse
from graphdsl.passes.gradient import gradient
from graphdsl.passes.hoist import hoist
from graphdsl.passes.lower import lower
from graphdsl.passes.memory import Block, plan
from graphdsl.passes.narrow import narrow
from graphdsl.passes.order import order
from graphdsl.passes.pipeline import (
    MACHINE,
    Hook,
    Pass,
    Stage,
    apply,
    for_machine,
    inference,
    slope,
    streaming,
    training,
    unaided,
)
from graphdsl.passes.reduced import reduced
from graphdsl.passes.shortest import shortest
from graphdsl.passes.shrink import shrink
from graphdsl.passes.simplify import simplify
from graphdsl.passes.sized import sized
from graphdsl.passes.specialise import Mode, needs_no_loss, specialise
from graphdsl.passes.stream import CONTEXT, stream
from graphdsl.passes.sums import sums
from graphdsl.passes.total_loss import TOTAL, total_loss
from graphdsl.passes.update import RATE, UpdateRule, learned, update

__all__ = [
    "CONTEXT",
    "MACHINE",
    "RATE",
    "TOTAL",
    "Block",
    "Hook",
    "Mode",
    "Pass",
    "Stage",
    "UpdateRule",
    "apply",
    "epilogue",
    "fold",
    "for_machine",
    "fuse",
    "gradient",
    "hoist",
    "inference",
    "learned",
    "lower",
    "narrow",
    "needs_no_loss",
    "order",
    "plan",
    "reduced",
    "shortest",
    "shrink",
    "simplify",
    "sized",
    "slope",
    "specialise",
    "stream",
    "streaming",
    "sums",
    "total_loss",
    "training",
    "unaided",
    "update",
]
