"""The Python API: a spec, compiled, with its weights."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from graphdsl.backends import DEFAULT, backend, instead
from graphdsl.data import Vocabulary
from graphdsl.draw import summary_text
from graphdsl.ir import PROBABILITIES, Array, Graph, Result, Role
from graphdsl.lang import elaborate, unread
from graphdsl.learn import (
    CHECKPOINT,
    DOUBLE,
    Callback,
    Done,
    Feeder,
    Interrupted,
    Job,
    Keeper,
    KeepsFolder,
    KeepsNothing,
    Plan,
    Reading,
    State,
    dreams,
    in_double,
    in_use,
    judging,
    load_state,
    plans,
    progress,
    run,
    shared,
)
from graphdsl.model import arguments
from graphdsl.model.arguments import changed, count, dataset, validation
from graphdsl.model.beginning import begin_folder, how_to_go_on
from graphdsl.model.boxes import Found, found_by, points_by
from graphdsl.model.classes import TOP, Classes, classes_of, fitting, ranked, top
from graphdsl.model.complete import Opened, identity, opened, packed
from graphdsl.model.drawing import asked, drawn
from graphdsl.model.judging import Judged, judged
from graphdsl.model.loading import demand_none, fill, fill_named, find_weights, learned_before, located
from graphdsl.model.looking import kernel_of, made_by, stage_text
from graphdsl.model.pairs import unpaired
from graphdsl.model.slides import Compared, compared
from graphdsl.model.steps import demand_changes, steps_of
from graphdsl.model.supply import Given, Supply
from graphdsl.model.vectors import fill_vectors
from graphdsl.model.words import VOCABULARY
from graphdsl.model.writing import Writing
from graphdsl.passes import apply, inference
from graphdsl.report import Diagnostic, Reporter, Source, fail
from graphdsl.runtime import STATES, Compiled, Executor, LoadReport, WeightStore, save_weights


def compile(path: str | Path, settings: Mapping[str, Any] | None = None, *, backend: str = DEFAULT) -> Model:
    """The model that a spec describes. Nothing is read but specs; weights are made when they are first needed.

    path      of a .dag file, or of a .safetensors file that holds its spec too, as `save` leaves it, or a run's folder
    settings  values for its params, as Python values or as text: {"width": 32}
    backend   what the model runs on
    Raises Failed with every mistake of the spec.
    """
    found = opened(path)
    return Model(found.source, {**found.settings, **(settings or {})}, backend, found)


class Model:
    """A spec with its weights: train it, judge it, ask it.

    Arrays are given as one array, a list in the order of the spec, or a dict by name; a Dataset goes where they go.
    """

    def __init__(
        self,
        source: Source,
        settings: Mapping[str, Any] | None = None,
        backend: str = DEFAULT,
        opened: Opened | None = None,
    ) -> None:
        reporter = Reporter()
        self.settings = dict(settings or {})
        self._opened = opened or Opened(source, {})
        self.spec = elaborate(source, VOCABULARY, self.settings, reporter, self._opened.load)
        reporter.raise_if_failed()
        self.plans = plans(self.spec)
        self.dreams = dreams(self.spec)
        self._precision = shared([plan.precision for plan in self.plans])
        self._precision_in_use = in_use(self.spec)
        if self._precision == DOUBLE:
            self.spec = in_double(self.spec)
        self._backend = backend
        self._filled: set[str] = set()
        self.told: list[str] = []
        self._supply = Supply(self.spec, steps_of(self.spec))
        self.writing = Writing(self.spec, self._supply, lambda: self.executor)
        self._supply.know(self._opened.known)
        demand_changes(self._supply, self.plans)

    @property
    def graph(self) -> Graph:
        """As the spec says it, before any pass."""
        return self.spec.graph

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the spec says without effect: E0220, E0225, E0226, E0227, E0228."""
        return unread(self.spec)

    @property
    def name(self) -> str:
        """The file's name without its ending: what runs are called after."""
        return Path(self.spec.source.path).stem

    @cached_property
    def executor(self) -> Executor:
        """The backend with the weights, which begin as the first section's seed says."""
        machine, other = backend(self._backend), instead(self._backend)
        if other and self._precision == DOUBLE:
            print(f"device: {other.name}, since kernels for GPUs are not made for {DOUBLE}", file=sys.stderr)
            machine, other = other, None
        made = Executor(machine.precise(self._precision), other.precise(self._precision) if other else None)
        made.add(self.graph, self.plans[0].seed if self.plans else 0)
        if self._opened.weights:
            self._take(made.weights, self._opened.weights)
            return made
        told, filled = fill_named(made.weights, self._supply)
        self.told += told
        self._filled |= filled
        return made

    # --- training

    def fit(
        self,
        inputs: Any = None,
        targets: Any = None,
        *,
        valid: Any = 0.0,
        epochs: int | None = None,
        batch: int = 32,
        callbacks: Sequence[Callback] = (),
        runs: str | Path | None = "runs",
        resume: str | Path | None = None,
        shown: bool = True,
    ) -> Done:
        """Trains by the train sections of the spec, on the given samples or else on the data that the sections name.

        valid      samples to validate on, as (inputs, targets) or a Dataset, or the fraction of the samples that is
                   kept for it; only with samples
        epochs     in place of what the sections say
        batch      samples in a step; only with samples
        callbacks  besides those of the sections
        runs       where the folder of this run is made; None: nothing is written
        resume     the folder of a run that was stopped, to go on with it
        shown      whether progress is printed
        Raises E0618 for arguments that do not suit, E0613 where the spec has no train section, what data and files
        raise, E0601 where the loss is no number, and KeyboardInterrupt after Ctrl+C, when all is saved.
        """
        epochs = None if epochs is None else count("epochs", epochs)
        own, kept, batch = arguments.callbacks(callbacks), validation(valid), count("batch", batch)
        if inputs is None and kept:
            raise fail("E0618", "`valid` goes with samples, and none are given", help="write it in the train section")
        chosen = [changed(plan, epochs, own) for plan in self._trained()]
        given = None if inputs is None else Given(dataset(inputs, targets), kept, batch)
        state = load_state(Path(resume) / CHECKPOINT, self.identity) if resume is not None else State()
        learned_before(self._supply, chosen, Path(resume) / CHECKPOINT if resume is not None else None)
        feeds = [self._supply.feeds(plan, given) for plan in chosen]
        self.writing.demand()
        job = Job(self.spec, chosen, feeds, self.executor, self._load_named, self._supply.names)
        keeper, seen = self._keeper(runs, resume), progress(shown)
        if resume is None:
            self.told += fill_vectors(self._supply, self.graph, self.executor.weights, self._filled)
        for line in [*self.told, *unpaired(self.graph, chosen, feeds, read=given is None)]:
            seen.say(line)
        try:
            return self.writing.left(run(job, keeper, seen, state))
        except Interrupted:
            if keeper.folder is not None:
                command = how_to_go_on(self.spec, self.settings, keeper.folder, epochs)
                seen.say(f"stopped; all is saved. To go on: {command}")
            raise
        finally:
            seen.close()

    def train(self, **options: Any) -> Done:
        """Runs the train sections on the data that they name; options are those of `fit`."""
        return self.fit(**options)

    def evaluate(self, inputs: Any = None, targets: Any = None, *, on: str | None = None) -> dict[str, float]:
        """Losses and metrics on the given samples, or else on the test data of the last section that has some.

        Where no section names test data, on what the last one validates on: see `judged_on`. on: `test` or `valid`.
        """
        return self.judge(inputs, targets, on=on).numbers

    def judge(self, inputs: Any = None, targets: Any = None, *, on: str | None = None, score: float = 0.5) -> Judged:
        """What `evaluate` says, and how well boxes of each class are found, those that score at least so much too."""
        given = None if inputs is None else dataset(inputs, targets)
        return judged(self._supply, self._judging_plan, self.executor, given, on, score)

    @property
    def judged_on(self) -> str:
        """What `evaluate` uses where no samples are given: `test`, or `valid` where no section names test data."""
        return "test" if self._judging_plan.testing is not None else "valid"

    # --- use

    def predict(self, inputs: Any = None) -> dict[str, Array]:
        """The outputs by name, for the given samples or else those that its `predict` section or `test` names."""
        return self._run(self._predictor, inputs)

    @property
    def classes(self) -> dict[str, Classes]:
        """The class names behind an output's numbers, for each output whose names training or loaded weights know."""
        texts = {name: words.tokens for name, words in self.vocabularies.items()}
        return classes_of(self.spec, self.plans, {**self._supply.names, **texts})

    @property
    def vocabularies(self) -> dict[str, Vocabulary]:
        """What the numbers of an input or target stand for, where `preprocess` makes them of texts: `encode` and
        `decode`."""
        return self._supply.vocabularies

    def top(self, outputs: Mapping[str, Array], count: int = TOP, names: Sequence[str] = ()) -> dict[str, list[Any]]:
        """For each output that tells classes, the best of each sample as (class, score), best first.

        outputs  what `predict` gave
        names    of the classes, in place of those that training or loaded weights know
        Such outputs end in softmax, or a loss or metric compares them with a class number, or names has as many as they
        have numbers. Raises E0518 where names fits none.
        """
        known = self.classes
        scores = {r.name for r in self.graph.of_role(Role.OUTPUT) if r.value.type.kind == PROBABILITIES}
        scores |= {name for name, classes in known.items() if classes.reading is Reading.CLASSES}
        rows = {name: values for name, values in outputs.items() if ranked(values)}
        fitting = self.fitting(names) & set(rows) if names else set()
        own = {name: known[name].names if name in known else () for name in rows}
        said = {name: names if name in fitting else own[name] for name in rows}
        return {name: top(rows[name], said[name], count) for name in rows if name in scores | fitting}

    def fitting(self, names: Sequence[str]) -> set[str]:
        """The outputs that tell as many classes as there are names. Raises E0518 where there is none."""
        values = {r.name: r.value for r in self.graph.of_role(Role.OUTPUT)}
        sizes: dict[str, Any] = {n: v.type.channels for n, v in values.items() if v.type.rank > 1}
        return fitting(names, sizes | self._of_kind("detections") | self._of_kind("text"))

    def found(
        self, outputs: Mapping[str, Array], names: Sequence[str] = (), files: Sequence[str] = ()
    ) -> dict[str, list[list[Found]]]:
        """For each output that is made by `nms`, what was found in each sample, best first.

        outputs  what `predict` gave
        names    of the classes, in place of those that the weights know
        files    that pictures were read from, for boxes in pixels; fractions without, or where several flow in
        """
        return found_by(outputs, self._of_kind("detections"), names, self._supply, files)

    def points(self, outputs: Mapping[str, Array], files: Sequence[str] = ()) -> dict[str, Array]:
        """For each output that `landmarks` makes, its points [n, points, 2]; arguments as in `found`."""
        return points_by(outputs, self._of_kind("points"), self._supply, files)

    def texts(self, outputs: Mapping[str, Array], names: Sequence[str] = ()) -> dict[str, list[str]]:
        """For each output that `ctc_greedy` or `ctc_beam` reads, the text of each sample; arguments as in `found`."""
        known = {name: self.classes.get(name) for name in self._of_kind("text") if name in outputs}
        said = {name: tuple(names) or (own.names if own else ()) for name, own in known.items()}
        return {name: Classes(own, Reading.TEXT).of(outputs[name]) for name, own in said.items()}

    def draw(self, samples: int, *, seed: int = 0) -> dict[str, Array]:
        """So many samples of the outputs that are made of noise alone (`random_normal`), by name. Raises E0809."""
        return drawn(self.graph, self._in_use, samples, seed)

    def sample(self, start: str = "", **settings: Any) -> Iterator[str]:
        """A text that goes on from start, a few characters at a time; settings are those of a sample section."""
        return self.writing.text(start, settings)

    def features(self, layer: str, inputs: Any = None) -> Array:
        """What a layer makes of the samples. layer: as the summary calls it, or a name of the spec."""
        return self._run(self._in_use(self._down_to(layer)), inputs)[layer]

    def slides(self, inputs: Any = None) -> list[Compared]:
        """Of networks that are slid over pictures, one pass beside crop by crop."""
        given = None if inputs is None else dataset(inputs)
        return compared(self.spec, self._in_use, lambda g: self._supply.asking(g, given, self.plans), Feeder(self.spec))

    def filters(self, layer: str) -> Array:
        """The kernel of a layer. layer: as the summary calls it."""
        return self.executor.weights[kernel_of(self.graph, layer)]

    def save(self, path: str | Path) -> Path:
        """Writes the weights to a .safetensors file that also holds the spec."""
        weights = self.executor.weights
        return save_weights({n: weights[n] for n in weights if not n.startswith(STATES)}, Path(path), self.metadata)

    def load(self, path: str | Path | None = None) -> LoadReport:
        """Takes weights by name, then by position and shape. path: see `find_weights`.

        Raises E0616 where there are none, E0604 and E0605 where the file does not suit.
        """
        return self._take(self.executor.weights, self.find_weights(path))

    def find_weights(self, path: str | Path | None = None) -> Path:
        """The file that `load` takes: path itself, or what is in that folder of a run; None: of this spec's newest run,
        or else the file beside the spec that is called like it.

        A run that was stopped has its checkpoint. Raises E0616 where there is no such file.
        """
        return find_weights(path or self._opened.weights, Path(self.spec.source.path))

    def demand_weights(self, *, judged: bool = False, layer: str | None = None) -> None:
        """Raises E0605 where outputs need weights that no file has given.

        judged   what losses, metrics and dreams need too
        layer    only what this layer needs
        """
        graphs = [self.graph.with_results(self.graph.of_role(Role.OUTPUT)) if layer is None else self._down_to(layer)]
        graphs += [plan.judged(self.graph) for plan in self.plans] if judged else []
        graphs += [dream.judged(self.graph) for dream in self.dreams] if judged else []
        for graph in graphs:
            missing = [n for n in self.executor.weights if n not in self._filled]
            demand_none(graph, missing, "the loaded weights do not fill the model, which still needs")

    def summary(self) -> str:
        """Layers, shapes, parameters, uses and work, as a table."""
        return summary_text(self.graph, self.name)

    def stage(self, after: str) -> str:
        """The graph as it is after a pass of the compiler, a line a node. Raises E0804 where no pass is called so."""
        return stage_text(self.graph, self.plans, after)

    @property
    def metadata(self) -> dict[str, str]:
        """What files of weights hold besides numbers: the spec, the files it names, params, names of classes."""
        return {**packed(self.spec, self._opened.load), **self._supply.known.metadata}

    @property
    def identity(self) -> str:
        """What a checkpoint belongs to: the same texts with the same params."""
        return identity(self.spec, self._opened.load)

    # --- inside

    def _take(self, weights: WeightStore, path: Path) -> LoadReport:
        report, known = fill(weights, path)
        self._supply.know(known)
        self._filled |= {*report.by_name, *(name for name, _ in report.by_position)}
        return report

    def _load_named(self, plan: Plan) -> LoadReport:
        """What `load` in a section means."""
        assert plan.load is not None
        with located(plan.load_span):
            return self.load(self._supply.places.find(plan.load))

    def _down_to(self, layer: str) -> Graph:
        return self.graph.with_results([Result(layer, Role.OUTPUT, made_by(self.spec, layer))])

    @cached_property
    def _predictor(self) -> Compiled:
        return self._in_use(self.graph.with_results(self.graph.of_role(Role.OUTPUT)))

    def _in_use(self, graph: Graph) -> Compiled:
        return Compiled(apply(graph, inference()), self.executor, precision=self._precision_in_use)

    def _of_kind(self, wanted: str) -> dict[str, int]:
        """How many classes there are, for each output of this kind: `nms` makes detections, `ctc_greedy` text."""
        kinds = {r.name: r.value.type.kind for r in self.graph.of_role(Role.OUTPUT)}
        return {name: kind.classes for name, kind in kinds.items() if kind.name == wanted}

    @property
    def _judging_plan(self) -> Plan:
        judged = None if self.plans else judging(self.spec)
        return judged or next((p for p in reversed(self._trained()) if p.testing is not None), self.plans[-1])

    def _trained(self) -> tuple[Plan, ...]:
        if not self.plans:
            help = "write `train { loss = [output, target] -> mse }` at the end of the spec"
            raise fail("E0613", f"`{self.spec.source.title}` has no train section, so there is no loss", help=help)
        return self.plans

    def _run(self, graph: Compiled, inputs: Any) -> dict[str, Array]:
        """Results for all samples, batch by batch."""
        given = None if inputs is None else dataset(inputs)
        batches = self._supply.asking(graph.graph, given, self.plans)
        seed = self.plans[0].seed if self.plans else 0
        return asked(graph, batches, Feeder(self.spec), seed)

    def _keeper(self, runs: str | Path | None, resume: str | Path | None) -> Keeper:
        """Where the run writes: the folder that is resumed, a new one, or nowhere."""
        if resume is not None:
            return KeepsFolder(Path(resume), self.identity, self.metadata)
        if runs is None:
            return KeepsNothing()
        return KeepsFolder(begin_folder(Path(runs), self.name, self.spec, self.summary()), self.identity, self.metadata)
