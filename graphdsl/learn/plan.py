"""What a train section asks for, checked and built: everything the loop needs but data and memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from graphdsl.backends import SINGLE
from graphdsl.ir import Graph, Made, Registry, Result, Role, TypeRuleError, Value, Weight
from graphdsl.lang import LossTerm, MetricTerm, Recipe, Section, Spec
from graphdsl.learn.callbacks import CALLBACKS, Callback
from graphdsl.learn.metrics import METRICS, Metric
from graphdsl.learn.optimizers import OPTIMIZERS, Optimizer
from graphdsl.learn.reading import Reading
from graphdsl.learn.schedules import SCHEDULES, Moment, Schedule
from graphdsl.learn.section import EPOCHS, OPTIMIZER, SEED
from graphdsl.passes import Stage, learned, needs_no_loss, training
from graphdsl.report import Diagnostic, Failed, Reporter, Span, dataclass, fail

PICTURES = 4
"""Axes of a batch of them."""
REGISTRIES: Mapping[str, Registry] = {r.kind: r for r in (OPTIMIZERS, SCHEDULES, METRICS, CALLBACKS)}


@dataclass(frozen=True)
class Watch:
    """A metric at a head. name: `digit.accuracy`."""

    name: str
    metric: Metric
    reading: Reading
    prediction: Value
    target: Value


@dataclass(frozen=True)
class Objective:
    """Something to make small, by which weights, and how; or, without terms, layers that learn by a rule of their own.

    name    of the step it is, empty when a section has only this one
    every   how many batches there are for each that it learns from
    learn   names of the weights that change
    frozen  names of the weights that `freeze` names; without terms also of those that `learn` does not name
    rates   what the learning rate is multiplied with, by weight; 1 where nothing is said
    within  between which numbers a weight stays, by weight
    """

    name: str
    terms: tuple[LossTerm, ...]
    watches: tuple[Watch, ...]
    optimizer: Optimizer
    learn: tuple[str, ...]
    frozen: frozenset[str]
    rates: Mapping[str, float] = field(default_factory=dict)
    within: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    every: int = 1

    @property
    def losses(self) -> list[Result]:
        """The losses, as results of a graph."""
        return [Result(self.key(t), Role.LOSS, t.value) for t in self.terms]

    @property
    def seen(self) -> list[Result]:
        """Of losses whose weight changes: the loss before it is weighed, and the weight."""
        plain = [Result(f"{self.key(t)}/plain", Role.TAP, t.plain) for t in self.terms if t.plain is not None]
        return plain + [Result(f"{self.key(t)}/weight", Role.TAP, t.share) for t in self.terms if t.share is not None]

    @property
    def factors(self) -> dict[str, float]:
        """What each loss is multiplied with in their sum, by the name that results call it."""
        return {self.key(t): t.weight for t in self.terms}

    def key(self, term: LossTerm) -> str:
        """What results call a loss: two steps may each have one of the same name."""
        return f"{self.name}.{term.name}" if self.name else term.name

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The passes that make of such a graph one that trains."""
        return training(
            self.optimizer,
            learn=self.learn,
            frozen=self.frozen,
            factors=self.factors,
            rates=self.rates,
            within=self.within,
        )

    def graph(self, whole: Graph) -> Graph:
        """The graph of the spec, run for this objective: its losses, or the outputs, and what its metrics compare."""
        ends = [*self.losses, *self.seen] if self.terms else whole.of_role(Role.OUTPUT)
        return whole.with_results([*ends, *watched(self.watches)])


@dataclass(frozen=True)
class Plan:
    """One train section. epochs or steps is None when it is not what ends training."""

    name: str
    objectives: tuple[Objective, ...]
    callbacks: tuple[Callback, ...]
    epochs: int | None
    steps: int | None
    seed: int
    load: str | None
    precision: str
    data: Made | None
    valid: Made | None
    test: Made | None
    augment: tuple[Recipe, ...]
    span: Span
    load_span: Span | None = None
    scheduled: Mapping[str, Schedule] = field(default_factory=dict)

    def shares(self, now: Moment) -> dict[str, float]:
        """What the weights of losses that follow a schedule are, by the input that takes them."""
        return {name: schedule.rate(now) for name, schedule in self.scheduled.items()}

    @property
    def keeps_test(self) -> bool:
        """Whether a part of `data` is kept for the test."""
        return self.data is not None and bool(self.data.settings.get("test"))

    @property
    def testing(self) -> Made | None:
        """The reader of what the end is judged by: that of `test`, or that of `data` where it keeps a part for it."""
        return self.data if self.keeps_test else self.test

    @property
    def watches(self) -> tuple[Watch, ...]:
        return tuple(w for o in self.objectives for w in o.watches)

    @property
    def higher(self) -> frozenset[str]:
        """Names of numbers of which more is better."""
        names = [w.name for w in self.watches if w.metric.higher]
        return frozenset([*names, *(f"valid.{n}" for n in names)])

    def judged(self, whole: Graph) -> Graph:
        """The graph of the spec, run for all losses, or the outputs, and metrics: what validation and tests use."""
        losses = [result for o in self.objectives for result in (*o.losses, *o.seen)]
        return whole.with_results([*(losses or whole.of_role(Role.OUTPUT)), *watched(self.watches)])


PLAIN = Made("optimizer", OPTIMIZER)
"""The optimizer where none is written."""


def watched(watches: Iterable[Watch]) -> list[Result]:
    """What metrics compare, as results `NAME/prediction` and `NAME/target`."""
    found = []
    for watch in watches:
        found.append(Result(f"{watch.name}/prediction", Role.TAP, watch.prediction))
        found.append(Result(f"{watch.name}/target", Role.TAP, watch.target))
    return found


def plans(spec: Spec) -> tuple[Plan, ...]:
    """A plan for each train section, in order. All that is wrong with them is told at once (Failed)."""
    reporter = Reporter()
    found = [_plan(spec, s, reporter) for s in spec.sections if s.kind == "train"]
    reporter.raise_if_failed()
    judging(spec)
    return tuple(found)


def judging(spec: Spec) -> Plan | None:
    """How a `predict` section with metrics judges a model that is not trained here; None: there is none.

    Raises E0206 where train sections say that, too.
    """
    found = next((s for s in spec.sections if s.kind == "predict" and "metrics" in s.settings), None)
    if found is None:
        return None
    if any(s.kind == "train" for s in spec.sections):
        help = "write them in the train section, which is what `evaluate` judges by"
        raise fail(
            "E0206", "`metrics` of `predict` are for a spec that trains nothing", found.spans["metrics"], help=help
        )
    reporter, names = Reporter(), Names()
    watches = [_watch(m, spec, names, reporter) for m in found.settings["metrics"]]
    reporter.raise_if_failed()
    objective = Objective("", (), tuple(w for w in watches if w is not None), build(PLAIN), (), frozenset())
    data, precision = found.settings.get("data"), found.settings.get("precision", SINGLE)
    return Plan(found.kind, (objective,), (), None, None, SEED, None, precision, None, None, data, (), found.span)


def build(made: Made) -> Any:
    """What a Made record stands for, what is inside it built first. Its errors point at where it was written."""
    settings = {name: _built(value) for name, value in made.settings.items()}
    try:
        return REGISTRIES[made.kind][made.name].make(**settings)
    except Failed as failed:
        located = (Diagnostic(d.code, d.message, d.span or made.span, help=d.help) for d in failed.diagnostics)
        raise Failed(located) from failed


def _built(value: Any) -> Any:
    return build(value) if isinstance(value, Made) else value


def _plan(spec: Spec, section: Section, reporter: Reporter) -> Plan:
    settings = section.settings
    steps = [s for s in section.nested if s.kind == "step"]
    names = Names()
    objectives = [_objective(spec, section, s, names, reporter) for s in steps or [section]]
    callbacks = [_reported(build, made, reporter) for made in settings.get("callbacks", ())]
    both = "epochs" in settings and "steps" in settings
    if both:
        reporter.add(
            Diagnostic(
                "E0612", "`epochs` and `steps` both say how long", section.spans["steps"], help="write one of them"
            )
        )
    return Plan(
        section.name or section.kind,
        tuple(objectives),
        tuple(c for c in callbacks if c is not None),
        settings.get("epochs", None if "steps" in settings else EPOCHS),
        settings.get("steps"),
        settings.get("seed", SEED),
        settings.get("load"),
        settings.get("precision", SINGLE),
        settings.get("data"),
        settings.get("valid"),
        settings.get("test"),
        tuple(settings.get("augment", ())),
        section.span,
        section.spans.get("load"),
        {name: _reported(build, made, reporter) for name, made in spec.scheduled.items()},
    )


class Names:
    """Gives each number of a section a name of its own."""

    def __init__(self) -> None:
        self._taken: set[str] = {"loss", "rate", "seconds", "epoch", "section", "step"}

    def free(self, wanted: str) -> str:
        name, number = wanted, 2
        while name in self._taken:
            name, number = f"{wanted}_{number}", number + 1
        self._taken.add(name)
        return name


def _objective(spec: Spec, section: Section, part: Section, names: Names, reporter: Reporter) -> Objective:
    """The objective that part, the section itself or a step in it, states."""
    outer = section.settings
    terms = part.settings.get("loss", ())
    optimizer = part.settings.get("optimizer") or outer.get("optimizer") or PLAIN
    metrics = part.settings.get("metrics", ())
    found = [_watch(m, spec, names, reporter) for m in metrics]
    frozen = frozenset([*part.settings.get("freeze", ()), *outer.get("freeze", ())])
    chosen = part.settings.get("learn") or outer.get("learn")
    if not terms:
        frozen |= set() if chosen is None else _states(spec.graph) - {*chosen}
        _demand_rule(spec.graph, frozen, part, reporter)
    if chosen is not None:
        chosen = [*chosen, *(term.uncertain for term in terms if term.uncertain)]
    learning = tuple(name for name in learned(spec.graph, chosen) if name not in frozen)
    return Objective(
        "" if part is section else part.name,
        tuple(terms),
        tuple(w for w in found if w is not None),
        _reported(build, optimizer, reporter),
        learning,
        frozen,
        _rates(part if "rates" in part.settings else section, learning, reporter),
        _bounds(part if "within" in part.settings else section, learning, reporter),
        part.settings.get("every", 1),
    )


def _states(graph: Graph) -> set[str]:
    """The weights that gradients never change."""
    return {name for name, node in graph.items() if isinstance(node.op, Weight) and node.op.state}


def _demand_rule(graph: Graph, frozen: frozenset[str], part: Section, reporter: Reporter) -> None:
    """E0613 for a section without a loss in which nothing learns of its own accord, or which has an optimizer."""
    if not needs_no_loss(graph, frozen):
        help = "write `loss = [output, target] -> mse`, or another loss: `graphdsl ops` lists them"
        reporter.add(Diagnostic("E0613", f"`{part.name or part.kind}` has no loss to make small", part.span, help=help))
    elif "optimizer" in part.settings:
        message = f"`{part.name or part.kind}` has an optimizer, and no loss that it could make small"
        help = "leave the optimizer out: what learns here has a rule of its own"
        reporter.add(Diagnostic("E0613", message, part.spans["optimizer"], help=help))


def _rates(section: Section, learning: Collection[str], reporter: Reporter) -> dict[str, float]:
    """By weight; of several factors the last. Reports E0218 where names stand for nothing that learns."""
    rates: dict[str, float] = {}
    for names, factor in section.settings.get("rates", ()):
        _demand_learning("rates", names, learning, section, reporter)
        rates |= dict.fromkeys(names, factor)
    return rates


def _bounds(section: Section, learning: Collection[str], reporter: Reporter) -> dict[str, tuple[float, float]]:
    """By weight; of several bounds the last. Reports E0218 where names stand for nothing that learns."""
    found: dict[str, tuple[float, float]] = {}
    for names, low, high in section.settings.get("within", ()):
        _demand_learning("within", names, learning, section, reporter)
        found |= dict.fromkeys(names, (low, high))
    return found


def _demand_learning(
    key: str, names: Sequence[str], learning: Collection[str], section: Section, reporter: Reporter
) -> None:
    if names and not set(names) & set(learning):
        message = f"`{key}` names `{names[0]}`{' and others' if len(names) > 1 else ''}, but nothing there learns"
        reporter.add(Diagnostic("E0218", message, section.spans[key], help="leave it out, or let it learn"))


def _watch(term: MetricTerm, spec: Spec, names: Names, reporter: Reporter) -> Watch | None:
    metric: Metric | None = _reported(build, term.metric, reporter)
    if metric is None or term.target is None:
        return None
    try:
        reading = metric.reading(term.prediction.type, term.target.type)
    except TypeRuleError as error:
        reporter.add(Diagnostic(error.code, error.message, term.span, help=error.help))
        return None
    name, metric = names.free(f"{term.name}.{metric.label}"), metric.of_pictures(_seen(spec))
    return Watch(name, metric, reading, term.prediction, term.target)


def _seen(spec: Spec) -> tuple[int, int] | None:
    """Height and width of what the network sees, where one input is a picture and its size is known."""
    found = [port.type.spatial for port in spec.inputs.values() if port.type.rank == PICTURES]
    sizes = [size for size in found[0] if isinstance(size, int)] if len(found) == 1 else []
    return (sizes[0], sizes[1]) if len(sizes) == 2 else None


def _reported(make: Callable[[Made], Any], made: Made, reporter: Reporter) -> Any:
    """make(made), or None when that failed, which is then reported."""
    try:
        return make(made)
    except Failed as failed:
        for diagnostic in failed.diagnostics:
            reporter.add(diagnostic)
        return None
