"""Data for a model: what its sections name, or what a program hands over, bound to inputs and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from pathlib import Path

from graphdsl.data import (
    AUGMENTS,
    Augment,
    Batches,
    Bound,
    Dataset,
    Feed,
    Places,
    Preprocess,
    Rows,
    State,
    Training,
    Vocabulary,
    Wanted,
    bind,
    none,
    read,
    vocabularies,
)
from graphdsl.ir import Graph, Made
from graphdsl.lang import Spec
from graphdsl.learn import Batches as Judged
from graphdsl.learn import Feeds, NoData, Plan
from graphdsl.model.known import Known
from graphdsl.passes import shortest
from graphdsl.report import Failed, Span, dataclass, fail

FEW_CLASSES = "E0515"
PREDICTED = 256
"""Samples in a batch where nothing says otherwise and nothing is learned."""


@dataclass(frozen=True)
class Given:
    """Data that a program hands over in place of those that the sections name.

    valid  samples to validate on, or the fraction of the others that is kept for it
    """

    train: Dataset
    valid: Dataset | float = 0.0
    batch: int = 32


@dataclass
class Supply:
    """Finds data for a spec.

    preprocess  what is done to the samples of each input and target
    names       the class names behind numbers, as the first data that were met say
    states      what steps of preprocess have learned from the first data that were trained on
    """

    spec: Spec
    preprocess: Mapping[str, Preprocess] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    _read: dict[Made, Feed] = field(default_factory=dict)

    @property
    def known(self) -> Known:
        """What has been met in data so far."""
        return Known(self.names, self.states)

    def know(self, known: Known) -> None:
        """Holds from here on in place of what was known."""
        self.names |= known.names
        self.states |= known.states

    @property
    def places(self) -> Places:
        """Where paths of the spec are looked for."""
        return Places(Path(self.spec.source.path).parent)

    @cached_property
    def _least(self) -> dict[str, int]:
        """How short sequences may be, losses and metrics included."""
        return shortest(self.spec.graph)

    def feeds(self, plan: Plan, given: Given | None = None) -> Feeds:
        """The data of a section. Raises what reading and binding raise, and E0615 where there are none."""
        wanted = self.wanted(plan.judged(self.spec.graph))
        feed = self._train_feed(plan, given)
        if feed is None:
            return Feeds(_nothing(plan, wanted))
        try:
            train, valid = self._split(plan, feed, wanted)
        except Failed as failed:
            raise self._at_once(failed, plan, wanted) from failed
        judged = self._given_valid(given, wanted) if given else self._named(plan.valid, wanted)
        if valid is not None and judged is not None:
            raise fail(
                "E0612", "`valid` is given twice, in the section and in its `data`", plan.span, help="keep one of them"
            )
        return Feeds(
            Batches(train, feed.batch, shuffle=feed.shuffle, training=True, seed=plan.seed, each=feed.each),
            judged or (Batches(valid, feed.batch) if valid else None),
            self._named(plan.test, wanted) if given else self._test(plan, wanted),
        )

    def wanted(self, graph: Graph) -> list[Wanted]:
        """The inputs and targets that graph reads, in the order of the spec."""
        needed = graph.needed()
        inputs = [Wanted(p.name, "input", p.type, p.span) for n, p in self.spec.inputs.items() if n in needed]
        return inputs + [Wanted(p.name, "target", p.type, p.span) for n, p in self.spec.targets.items() if n in needed]

    def bound(
        self,
        dataset: Dataset,
        wanted: Sequence[Wanted],
        augments: Mapping[str, tuple[Augment, ...]] | None = None,
        span: Span | None = None,
        training: Training = none,
    ) -> Bound:
        """Columns joined to inputs and targets. Columns for what this graph does not read may be left over.

        training  which rows are trained on; see `bind`
        """
        declared = len(self.spec.inputs) + len(self.spec.targets)
        spare = len(wanted) < declared
        found = bind(
            dataset,
            wanted,
            augments=augments,
            preprocess=self.preprocess,
            names=self.names,
            states=self.states,
            training=training,
            span=span,
            spare=spare,
            least=self._least,
        )
        self.names = {**found.names, **self.names}
        self.states = dict(found.states)
        return found

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """What the numbers of an input or target stand for, where a step of preprocess makes them of texts and has
        learned what it needs."""
        return vocabularies([*self.spec.inputs, *self.spec.targets], self.preprocess, self.states)

    def judging(self, plan: Plan, dataset: Dataset | None, on: str | None = None) -> Judged | None:
        """dataset, or else the test data of a section, or else what it validates on; on: one of the last two alone."""
        wanted = self.wanted(plan.judged(self.spec.graph))
        if dataset is not None:
            return Batches(self.bound(dataset, wanted), PREDICTED)
        test = self._test(plan, wanted) if on != "valid" else None
        return test if test is not None or on == "test" else self.feeds(plan).valid

    def asking(self, graph: Graph, dataset: Dataset | None, plans: Sequence[Plan]) -> Batches:
        """Samples to run graph on: the given ones, or those of the `predict` section, or the test data of the spec.
        Columns may be left over."""
        wanted, dataset = self.wanted(graph), asked(self.spec) if dataset is None else dataset
        tests = [(plan, plan.testing) for plan in plans if plan.testing is not None]
        if dataset is None and not tests:
            raise fail(
                "E0615", "there are no samples to predict", help="name files, or write `test = …` in the train section"
            )
        bound = bind(
            self._feed(tests[-1][1]).dataset if dataset is None else dataset,
            wanted,
            preprocess=self.preprocess,
            names=self.names,
            states=self.states,
            training=none,
            spare=True,
            least=shortest(graph),
        )
        return Batches(bound if dataset is not None else self._tested(*tests[-1], bound), PREDICTED)

    def _train_feed(self, plan: Plan, given: Given | None) -> Feed | None:
        if given is not None:
            fraction = given.valid if isinstance(given.valid, float) else 0.0
            return Feed(given.train, given.batch, fraction)
        return self._feed(plan.data) if plan.data else None

    def _split(self, plan: Plan, feed: Feed, wanted: Sequence[Wanted]) -> tuple[Bound, Bound | None]:
        def trained(count: int) -> Rows:
            return feed.parts(count, plan.seed)[0]

        span = plan.data.span if plan.data else None
        whole = self.bound(feed.dataset, wanted, self.augments(plan), span, trained)
        train, valid, _ = feed.parts(len(whole), plan.seed)
        return whole.only(train), whole.only(valid) if feed.valid else None

    def _at_once(self, failed: Failed, plan: Plan, wanted: Sequence[Wanted]) -> Failed:
        """With what a target has too few classes for in the other data too: one look says how many it needs."""
        found = list(failed.diagnostics)
        for made in (plan.valid, plan.test) if any(d.code == FEW_CLASSES for d in found) else ():
            try:
                self._named(made, wanted)
            except Failed as more:
                found += [d for d in more.diagnostics if d.code == FEW_CLASSES and d not in found]
        return Failed(found)

    def _given_valid(self, given: Given, wanted: Sequence[Wanted]) -> Batches | None:
        if isinstance(given.valid, float):
            return None
        return Batches(self.bound(given.valid, wanted), given.batch)

    def _test(self, plan: Plan, wanted: Sequence[Wanted]) -> Batches | None:
        if plan.test is not None and plan.keeps_test:
            raise fail(
                "E0612", "`test` is given twice, in the section and in its `data`", plan.span, help="keep one of them"
            )
        made = plan.testing
        if made is None:
            return None
        feed = self._feed(made)
        return Batches(self._tested(plan, made, self.bound(feed.dataset, wanted, span=made.span)), feed.batch)

    def _tested(self, plan: Plan, made: Made, bound: Bound) -> Bound:
        """The samples of a section to test on, out of all that their reader gives."""
        feed = self._feed(made)
        return bound.only(feed.parts(len(bound), plan.seed)[2]) if plan.keeps_test else bound.first(feed.limit)

    def _named(self, made: Made | None, wanted: Sequence[Wanted]) -> Batches | None:
        if made is None:
            return None
        feed = self._feed(made)
        return Batches(self.bound(feed.dataset, wanted, span=made.span).first(feed.limit), feed.batch)

    def _feed(self, made: Made) -> Feed:
        key = replace(made, span=None)
        if key not in self._read:
            self._read[key] = read(made, self.places)
        return self._read[key]

    def augments(self, plan: Plan) -> dict[str, tuple[Augment, ...]]:
        """What a section changes as it learns, by input or target."""
        found: dict[str, tuple[Augment, ...]] = {}
        for recipe in plan.augment:
            steps = tuple(AUGMENTS.build(step) for step in recipe.steps)
            found |= {name: (*found.get(name, ()), *steps) for name in recipe.names}
        return found


def asked(spec: Spec) -> Dataset | None:
    """The samples that the `predict` section of a spec names, if it does."""
    named = [s.settings["data"] for s in spec.sections if s.kind == "predict" and "data" in s.settings]
    return read(named[0], Places(Path(spec.source.path).parent)).dataset if named else None


def _nothing(plan: Plan, wanted: Sequence[Wanted]) -> NoData:
    """Steps without data, in ten portions: right where the graph reads nothing."""
    if wanted:
        names = ", ".join(f"`{w.name}`" for w in wanted)
        help = 'write `data = csv("file.csv")` or another reader, or give arrays to `fit`'
        raise fail("E0615", f"`{plan.name}` has no `data`, and the model reads {names}", plan.span, help=help)
    return NoData(-(-(plan.steps or plan.epochs or 1) // 10))
