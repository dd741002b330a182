"""All train sections of a spec, in the order of the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from pathlib import Path

from graphdsl.lang import Spec
from graphdsl.learn.checkpoint import State
from graphdsl.learn.feed import Feeder, Feeds
from graphdsl.learn.interrupt import Interrupt, Interrupted
from graphdsl.learn.keeper import Keeper
from graphdsl.learn.loop import Loop, Surroundings
from graphdsl.learn.plan import Plan
from graphdsl.learn.progress import Progress
from graphdsl.report import dataclass
from graphdsl.runtime import STATES, Executor, LoadReport


@dataclass(frozen=True)
class Done:
    """A finished run.

    metrics  of train, valid and test, by name; empty where there are no such data
    seconds  spent on training, parts before a resume included
    folder   what it left; None when nothing was to be written
    """

    metrics: dict[str, dict[str, float]]
    seconds: float
    folder: Path | None


@dataclass(frozen=True)
class Job:
    """What is to be trained, and with what.

    plans  of the sections
    feeds  their data
    load   puts the weights that a section's `load` names into the model, and says which
    names  of classes, by target
    """

    spec: Spec
    plans: Sequence[Plan]
    feeds: Sequence[Feeds]
    executor: Executor
    load: Callable[[Plan], LoadReport]
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


def run(job: Job, keeper: Keeper, progress: Progress, state: State) -> Done:
    """Trains from where state stands to the end.

    Raises Failed, and Interrupted when a Ctrl+C came before the last step.
    """
    with Interrupt() as interrupt:
        around = Surroundings(job.spec, job.executor, Feeder(job.spec), keeper, progress, interrupt, job.names)
        while state.section < len(job.plans):
            over = _section(job, around, state)
            state = state.next_section() if over else state
            if interrupt.asked and state.section < len(job.plans):
                keeper.checkpoint(state, around.weights)
                raise Interrupted
        metrics = {part: state.metrics.get(part, {}) for part in ("train", "valid", "test")}
        keeper.finish(around.weights, metrics, state.seconds)
    return Done(metrics, state.seconds, keeper.folder)


def _section(job: Job, around: Surroundings, state: State) -> bool:
    """Trains a section; gives whether it is over."""
    plan, feeds = job.plans[state.section], job.feeds[state.section]
    if plan.load is not None and state.step == 0:
        around.progress.say(f"loaded {plan.load}: {job.load(plan).describe()}")
    if len(job.plans) > 1:
        around.progress.say(plan.name)
    _forget_states(around)
    loop = Loop(plan, feeds, around, state)
    around.weights.restore(state.weights)
    state.weights = {}
    over = loop.run()
    if over:
        _forget_states(around)
    return over


def _forget_states(around: Surroundings) -> None:
    """Every section begins with fresh optimizers, also after a run that failed."""
    around.weights.forget([name for name in around.weights if name.startswith(STATES)])
