"""The graphs of a section, ready to run: one that trains for each objective, and one that judges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from math import nan
from typing import Any

import numpy as np

from graphdsl.ir import BATCH, Array, Builder, Graph, Node, Value, Weight, rebuild
from graphdsl.learn.feed import Batches, Feeder, pair
from graphdsl.learn.plan import Objective, Plan
from graphdsl.learn.schedules import Moment
from graphdsl.learn.tally import Tally, told
from graphdsl.ops import COUNTER
from graphdsl.passes import RATE, Stage, apply, inference, total_loss, unaided
from graphdsl.report import dataclass
from graphdsl.runtime import STATES, Compiled, Executor, find_nonfinite

TOTAL = "loss/total"
OVER = Moment(2**62, 1, 1)
"""When training is over, whatever it was: what schedules end in."""
IN_USE = 1 << 31
"""What numbers batches outside training, where noise is drawn in use too: the same for every judgement of a run."""


@dataclass(frozen=True)
class Step:
    """What one step takes: what is fed, how many samples that is, its number in training, the rates by objective, the
    weights of losses by the input that takes them."""

    fed: Mapping[str, Any]
    samples: int
    number: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    shares: Mapping[str, float] = field(default_factory=dict)


class Machine:
    """Trains the weights of one section. All its graphs share the weights of the executor."""

    def __init__(self, whole: Graph, plan: Plan, executor: Executor) -> None:
        self._plan = plan
        self._trainers = {o.name: _trainer(whole, o, plan, executor) for o in plan.objectives}

    def memory(self, step: Step) -> int:
        """Bytes that such a step takes for what the layers make and for gradients: known before anything runs."""
        return max(self._trainers[o.name].arena(self._inputs(o, step)) for o in self._plan.objectives)

    def train(self, step: Step, tally: Tally) -> float:
        """Every objective whose turn it is makes a step on the same samples; the tally gets its numbers.

        Gives the loss, NaN for none.

        Raises E0601, naming the layer, where a loss is no finite number: its weights are then as before the step.
        """
        totals: dict[str, float] = {}
        got: dict[str, Array] = {}
        for objective in self._plan.objectives:
            if (step.number + 1) % objective.every:
                continue
            trainer = self._trainers[objective.name]
            inputs = self._inputs(objective, step)
            results = trainer.run(inputs)
            if objective.terms:
                totals[objective.name] = _finite(trainer, inputs, results)
            got |= results
        losses = told(self._plan.objectives, totals, got)
        _count(self._plan, step, losses, got, tally)
        return losses.get("loss", nan)

    def _inputs(self, objective: Objective, step: Step) -> dict[str, Any]:
        own = {RATE: step.rates[objective.name], COUNTER: counter(self._plan.seed, step.number)}
        return {**step.fed, **step.shares, **own}


class Judge:
    """Losses and metrics of the model as it is used."""

    def __init__(self, whole: Graph, plan: Plan, executor: Executor, feeder: Feeder) -> None:
        self._plan = plan
        self._feeder = feeder
        self._graph = Compiled(apply(plan.judged(whole), _judging(plan)), executor, seed=plan.seed)

    def numbers(self, batches: Batches, now: Moment = OVER) -> dict[str, float]:
        """What they are over all of batches. now: what weights of losses are as they are then."""
        return self.tally(batches, now).numbers()

    def tally(self, batches: Batches, now: Moment = OVER) -> Tally:
        """The same with all that metrics counted."""
        shares = self._plan.shares(now)
        tally = Tally(self._plan.watches)
        for number, batch in enumerate(batches.epoch()):
            fed = {**self._feeder.feed(batch), **shares, COUNTER: counter(self._plan.seed, IN_USE + number)}
            self._add(Step(fed, batch.sizes[str(BATCH)]), tally)
        return tally

    def _add(self, step: Step, tally: Tally) -> None:
        got = self._graph.run(step.fed)
        with_loss = [o for o in self._plan.objectives if o.terms]
        totals = {o.name: sum(w * float(got[f"loss/{key}"]) for key, w in o.factors.items()) for o in with_loss}
        losses = told(with_loss, totals, got)
        total = {"loss": float(got[TOTAL])} if with_loss else {}
        _count(self._plan, step, losses | total, got, tally)


def _finite(trainer: Compiled, inputs: Mapping[str, Any], results: Mapping[str, Array]) -> float:
    """The total loss. Raises E0601 where it is no finite number."""
    if not np.isfinite(results[TOTAL]):
        find_nonfinite(trainer, inputs)
    return float(results[TOTAL])


def _count(plan: Plan, step: Step, losses: Mapping[str, float], got: Mapping[str, Array], tally: Tally) -> None:
    tally.add(step.samples, losses)
    for watch in [w for w in plan.watches if f"tap/{w.name}/prediction" in got]:
        tally.observe(watch.name, watch.metric.observe(pair(watch, got, step.fed)))


def counter(seed: int, step: int) -> int:
    """What decides the random numbers of a step: no two steps of one seed share it, nor do two small seeds."""
    return (seed * 0x1_0000_0000 + step) % 2**63


def _trainer(whole: Graph, objective: Objective, plan: Plan, executor: Executor) -> Compiled:
    if not objective.terms:
        return Compiled(apply(objective.graph(whole), unaided(objective.frozen)), executor, seed=plan.seed)
    stages = objective.stages
    graph = apply(objective.graph(whole), stages)
    return Compiled(_with_own_states(graph, objective.name), executor, seed=plan.seed)


def _judging(plan: Plan) -> tuple[Stage, ...]:
    """As for use, with the losses added up as in training."""
    if not any(o.terms for o in plan.objectives):
        return inference()
    first, *rest = inference()
    learn = frozenset(name for o in plan.objectives for name in o.learn)
    factors = {key: weight for o in plan.objectives for key, weight in o.factors.items()}
    return first, Stage("total_loss", lambda graph: total_loss(graph, learn, factors)), *rest


def _with_own_states(graph: Graph, owner: str) -> Graph:
    """The optimizer's states under the name of the objective: several optimizers must not share one count of steps."""
    if not owner:
        return graph

    def renamed(name: str) -> str:
        return f"{STATES}{owner}/{name.removeprefix(STATES)}" if name.startswith(STATES) else name

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, Weight) or renamed(name) == name:
            return None
        return b.emit_all(node.op, name=renamed(name), exact=True)

    return rebuild(graph, rule)
