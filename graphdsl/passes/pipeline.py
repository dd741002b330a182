"""The passes in order, and the hook between them: verify, dump, time, draw."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial

from graphdsl.ir import Graph, collector_paused
from graphdsl.passes.ahead import ahead
from graphdsl.passes.epilogue import epilogue
from graphdsl.passes.fold import fold
from graphdsl.passes.fuse import fuse
from graphdsl.passes.gradient import gradient
from graphdsl.passes.hoist import hoist
from graphdsl.passes.inline import inline
from graphdsl.passes.narrow import narrow
from graphdsl.passes.pooled import pooled
from graphdsl.passes.reduced import reduced
from graphdsl.passes.shrink import shrink
from graphdsl.passes.simplify import simplify
from graphdsl.passes.sized import sized
from graphdsl.passes.specialise import Mode, specialise
from graphdsl.passes.statistics import statistics
from graphdsl.passes.stream import stream
from graphdsl.passes.sums import sums
from graphdsl.passes.together import together
from graphdsl.passes.total_loss import total_loss
from graphdsl.passes.update import UpdateRule, learned, update
from graphdsl.report import dataclass

Pass = Callable[[Graph], Graph]
Hook = Callable[[str, Graph], None]
"""Called after every stage with its name and what it made."""


@dataclass(frozen=True)
class Stage:
    """One pass with the name that `graphdsl show --after NAME` knows it by."""

    name: str
    run: Pass


MACHINE: dict[str, Pass] = {
    "inline": inline,
    "reduced": reduced,
    "epilogue": epilogue,
    "statistics": statistics,
    "pooled": pooled,
    "ahead": ahead,
    "together": together,
}
"""What a machine may ask for beyond the passes that all machines get, in the order in which they must run."""


def for_machine(names: Iterable[str]) -> tuple[Stage, ...]:
    """The stages that a machine asks for by name, after those of training or inference."""
    return tuple(Stage(name, MACHINE[name]) for name in names)


def nothing(name: str, graph: Graph) -> None:
    """The hook that does nothing."""


def apply(graph: Graph, stages: Iterable[Stage], hook: Hook = nothing) -> Graph:
    """graph after all stages."""
    with collector_paused():
        for stage in stages:
            graph = stage.run(graph)
            hook(stage.name, graph)
    return graph


def inference() -> tuple[Stage, ...]:
    """From what a spec says to a graph that is used: keeps outputs, losses and taps."""
    return (
        Stage("specialise", partial(specialise, mode=Mode.INFERENCE)),
        Stage("simplify", simplify),
        Stage("shrink", shrink),
        Stage("fold", fold),
        Stage("narrow", narrow),
        Stage("hoist", hoist),
        Stage("fuse", fuse),
    )


def streaming(inputs: Collection[str], context: int = 0) -> tuple[Stage, ...]:
    """From what a spec says to a graph of one step of these inputs, with its states fed in and given out."""
    first, second, *rest = inference()
    here = Stage("stream", partial(stream, inputs=inputs, context=context))
    return first, second, here, Stage("simplify_step", simplify), *rest


def unaided(frozen: Collection[str] = ()) -> tuple[Stage, ...]:
    """From what a spec says to a graph that makes a step without a loss: layers with a rule of their own learn.

    frozen   weights that nothing changes
    """
    return (Stage("specialise", partial(specialise, mode=Mode.TRAINING, frozen=frozen)), *inference()[1:])


def slope(wrt: Collection[str], factors: Mapping[str, float], sizes: Mapping[str, int]) -> tuple[Stage, ...]:
    """From what a spec says to a graph that tells how its losses, added up, change with some inputs.

    wrt      those inputs
    factors  of the losses in their sum, by name
    sizes    of all free dimensions, the batch among them
    """
    return (
        Stage("specialise", partial(specialise, mode=Mode.INFERENCE)),
        Stage("sized", partial(sized, sizes=sizes)),
        Stage("total_loss", lambda graph: total_loss(graph, (), factors)),
        Stage("simplify", simplify),
        Stage("shrink", shrink),
        Stage("gradient", lambda graph: gradient(graph, wrt)),
        Stage("simplify_step", simplify),
        Stage("sums", sums),
        Stage("narrow", narrow),
        Stage("hoist", hoist),
        Stage("fuse", fuse),
    )


def training(
    rule: UpdateRule,
    *,
    learn: Iterable[str] | None = None,
    frozen: Collection[str] = (),
    factors: Mapping[str, float] | None = None,
    rates: Mapping[str, float] | None = None,
    within: Mapping[str, tuple[float, float]] | None = None,
) -> tuple[Stage, ...]:
    """From what a spec says to a graph that makes one step.

    learn    the weights that change; None: all trainable ones
    frozen   weights that nothing changes, no running average either
    factors  of the losses in their sum, by name; 1 where nothing is said
    rates    what the learning rate of a weight is multiplied with, by name; 1 where nothing is said
    within   between which numbers a weight stays, by name
    """
    names = None if learn is None else tuple(learn)
    return (
        Stage("specialise", partial(specialise, mode=Mode.TRAINING, frozen=frozen)),
        Stage("total_loss", lambda graph: total_loss(graph, learned(graph, names), factors)),
        Stage("simplify", simplify),
        Stage("shrink", shrink),
        Stage("gradient", lambda graph: gradient(graph, learned(graph, names))),
        Stage("update", partial(update, rule=rule, rates=rates or {}, within=within or {})),
        Stage("simplify_step", simplify),
        Stage("sums", sums),
        Stage("narrow", narrow),
        Stage("hoist", hoist),
        Stage("fuse", fuse),
    )
