"""The Python API: a spec, compiled, with its weights."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from graphdsl.backends import DEFAULT, backend
from graphdsl.data import Dataset
from graphdsl.draw import render, summary_text
from graphdsl.ir import Array, Graph, Result, Role, show
from graphdsl.lang import elaborate, read_source, unread
from graphdsl.learn import (
    CHECKPOINT,
    DOUBLE,
    SUMMARY,
    Callback,
    Done,
    Feeder,
    Interrupted,
    Job,
    Judge,
    Keeper,
    KeepsFolder,
    KeepsNothing,
    Plan,
    State,
    in_double,
    load_state,
    new_folder,
    newest_weights,
    plans,
    progress,
    run,
)
from graphdsl.model.classes import Classes, classes_of
from graphdsl.model.looking import joined, kernel_of, made_by, stage_text
from graphdsl.model.supply import Given, Supply, dataset
from graphdsl.model.words import VOCABULARY
from graphdsl.passes import apply, inference
from graphdsl.report import Diagnostic, Reporter, Source, fail, write_whole
from graphdsl.runtime import STATES, Compiled, Executor, LoadReport, load_weights, read_weights, save_weights


def compile(path: str | Path, settings: Mapping[str, Any] | None = None, *, backend: str = DEFAULT) -> Model:
    """The model that a spec describes. Nothing is read but specs; weights are made when they are first needed.

    settings  values for its params, as Python values or as text: {"width": 32}
    backend   what the model runs on
    Raises Failed with every mistake of the spec.
    """
    return Model(read_source(str(path)), dict(settings or {}), backend)


class Model:
    """A spec with its weights: train it, judge it, ask it.

    Arrays are given as one array, a list in the order of the spec, or a dict by name; a Dataset goes where they go.
    """

    def __init__(self, source: Source, settings: Mapping[str, Any] | None = None, backend: str = DEFAULT) -> None:
        reporter = Reporter()
        self.settings = dict(settings or {})
        self.spec = elaborate(source, VOCABULARY, self.settings, reporter)
        reporter.raise_if_failed()
        self.plans = plans(self.spec)
        if any(plan.precision == DOUBLE for plan in self.plans):
            self.spec = in_double(self.spec)
        self._backend = backend
        self._supply = Supply(self.spec)

    @property
    def graph(self) -> Graph:
        """As the spec says it, before any pass."""
        return self.spec.graph

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the spec says without effect: E0220, E0225, E0226."""
        return unread(self.spec)

    @property
    def name(self) -> str:
        """The file's name without its ending: what runs are called after."""
        return Path(self.spec.source.path).stem

    @cached_property
    def executor(self) -> Executor:
        """The backend with the weights, which begin as the first section's seed says."""
        made = Executor(backend(self._backend))
        made.weights.add(self.graph, self.plans[0].seed if self.plans else 0)
        for file in self.spec.weights:
            load_weights(made.weights, Path(file.path), prefix=f"{file.prefix}/" if file.prefix else "")
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
        Raises E0613 where the spec has no train section, what data and files raise, E0601 where the loss is no number,
        and KeyboardInterrupt after Ctrl+C, when all is saved.
        """
        chosen = [_changed(plan, epochs, callbacks) for plan in self._trained()]
        given = None if inputs is None else Given(dataset(inputs, targets), _valid(valid), batch)
        feeds = [self._supply.feeds(plan, given) for plan in chosen]
        state = load_state(Path(resume) / CHECKPOINT, self.identity) if resume is not None else State()
        job = Job(self.spec, chosen, feeds, self.executor, lambda path: self.load(self._supply.places.find(path)))
        keeper = self._keeper(runs, resume)
        seen = progress(shown)
        try:
            return run(job, keeper, seen, state)
        except Interrupted:
            if keeper.folder is not None:
                seen.say(f"stopped; all is saved. To go on: {self._how_to_go_on(keeper.folder, epochs)}")
            raise
        finally:
            seen.close()

    def train(self, **options: Any) -> Done:
        """Runs the train sections on the data that they name; options are those of `fit`."""
        return self.fit(**options)

    def evaluate(self, inputs: Any = None, targets: Any = None) -> dict[str, float]:
        """Losses and metrics on the given samples, or else on the test data of the last section that has some."""
        given = None if inputs is None else dataset(inputs, targets)
        plan = next((p for p in reversed(self._trained()) if p.test is not None), self.plans[-1])
        batches = self._supply.judging(plan, given)
        if batches is None:
            help = "write `test = …` in the train section, or give samples"
            raise fail("E0615", f"`{plan.name}` has no `test` data to judge by", plan.span, help=help)
        return Judge(self.graph, plan, self.executor, Feeder(self.spec)).numbers(batches)

    # --- use

    def predict(self, inputs: Any = None) -> dict[str, Array]:
        """The outputs by name, for the given samples or else for the test data of the spec."""
        return self._run(self._predictor, inputs)

    @property
    def classes(self) -> dict[str, Classes]:
        """The class names behind an output's numbers, for each output whose names training or loaded weights know."""
        return classes_of(self.spec, self.plans, self._supply.names)

    def features(self, layer: str, inputs: Any = None) -> Array:
        """What a layer makes of the samples. layer: as the summary calls it, or a name of the spec."""
        graph = self.graph.with_results([Result(layer, Role.OUTPUT, made_by(self.spec, layer))])
        return self._run(Compiled(apply(graph, inference()), self.executor), inputs)[layer]

    def filters(self, layer: str) -> Array:
        """The kernel of a layer. layer: as the summary calls it."""
        return self.executor.weights[kernel_of(self.graph, layer)]

    def save(self, path: str | Path) -> Path:
        """Writes the weights to a .safetensors file that also holds the spec."""
        weights = self.executor.weights
        return save_weights({n: weights[n] for n in weights if not n.startswith(STATES)}, Path(path), self._metadata)

    def load(self, path: str | Path | None = None) -> LoadReport:
        """Takes weights from a file, by name, then by position and shape; None: from the newest run of this spec.

        Raises E0616 where there is no such run, E0604 and E0605 where the file does not suit.
        """
        found = Path(path) if path is not None else newest_weights(Path("runs"), self.name)
        if found is None:
            help = "train it first, or name a file of weights"
            raise fail("E0616", f"no run of `{self.name}` in `runs` has left weights", help=help)
        report = load_weights(self.executor.weights, found)
        known = json.loads(read_weights(found)[1].get("names", "{}"))
        self._supply.names |= {name: tuple(classes) for name, classes in known.items()}
        return report

    def summary(self) -> str:
        """Layers, shapes, parameters, uses and work, as a table."""
        return summary_text(self.graph, self.name)

    def stage(self, after: str) -> str:
        """The graph as it is after a pass of the compiler, a line a node. Raises E0804 where no pass is called so."""
        return stage_text(self.graph, self.plans, after)

    @property
    def identity(self) -> str:
        """What a checkpoint belongs to: the same texts with the same params."""
        texts = [Path(file).read_bytes() for file in self.spec.files[1:]]
        params = [f"{name}={parameter.value!r}" for name, parameter in self.spec.params.items()]
        whole = b"\0".join([self.spec.source.text.encode(), *texts, *(p.encode() for p in params)])
        return sha256(whole).hexdigest()

    # --- inside

    @cached_property
    def _predictor(self) -> Compiled:
        outputs = self.graph.with_results(self.graph.of_role(Role.OUTPUT))
        return Compiled(apply(outputs, inference()), self.executor)

    @property
    def _metadata(self) -> dict[str, str]:
        params = {name: show(parameter.value) for name, parameter in self.spec.params.items()}
        names = {name: list(classes) for name, classes in self._supply.names.items()}
        return {"spec": self.spec.source.text, "params": json.dumps(params), "names": json.dumps(names)}

    def _trained(self) -> tuple[Plan, ...]:
        if not self.plans:
            help = "write `train { loss = [output, target] -> mse }` at the end of the spec"
            raise fail("E0613", f"`{self.spec.source.path}` has no train section, so there is no loss", help=help)
        return self.plans

    def _run(self, graph: Compiled, inputs: Any) -> dict[str, Array]:
        """Results for all samples, batch by batch."""
        given = None if inputs is None else dataset(inputs)
        batches = self._supply.asking(graph.graph, given, self.plans)
        feeder = Feeder(self.spec)
        parts = [graph.run(feeder.feed(batch)) for batch in batches.epoch()]
        return {key: joined([part[key] for part in parts]) for key in graph.results}

    def _keeper(self, runs: str | Path | None, resume: str | Path | None) -> Keeper:
        """Where the run writes: the folder that is resumed, a new one, or nowhere."""
        if resume is not None:
            return KeepsFolder(Path(resume), self.identity, self._metadata)
        if runs is None:
            return KeepsNothing()
        folder = new_folder(Path(runs), self.name)
        write_whole(folder / "spec.dag", self.spec.source.text.encode())
        params = [f"{name} = {show(parameter.value)}\n" for name, parameter in self.spec.params.items()]
        write_whole(folder / SUMMARY, "\n".join([self.summary(), "".join(params)]).encode())
        render(self.graph, folder / "graph.svg", title=self.name)
        return KeepsFolder(folder, self.identity, self._metadata)

    def _how_to_go_on(self, folder: Path, epochs: int | None) -> str:
        settings = [f"--set {name}={shlex.quote(str(value))}" for name, value in self.settings.items()]
        words = ["graphdsl run", shlex.quote(self.spec.source.path), *settings, "--resume", shlex.quote(str(folder))]
        return " ".join([*words, *([f"--epochs {epochs}"] if epochs is not None else [])])


def _changed(plan: Plan, epochs: int | None, callbacks: Sequence[Callback]) -> Plan:
    plan = replace(plan, callbacks=(*plan.callbacks, *callbacks))
    return plan if epochs is None else replace(plan, epochs=epochs, steps=None)


def _valid(valid: Any) -> Dataset | float:
    return valid if isinstance(valid, float) else dataset(*valid) if isinstance(valid, tuple) else dataset(valid)
