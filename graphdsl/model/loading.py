"""Weights from files: which file is meant, what is put into the model, and what no file has given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from graphdsl.ir import Graph, Weight
from graphdsl.lang import WeightsFile
from graphdsl.learn import Plan, newest_weights, read_weights_or_checkpoint
from graphdsl.model.complete import left_in
from graphdsl.model.known import Known, known_of
from graphdsl.model.slides import names_through
from graphdsl.model.supply import Supply
from graphdsl.report import Failed, Span, fail
from graphdsl.runtime import LoadReport, WeightStore, fill_weights, some

RUNS = Path("runs")


def find_weights(path: str | Path | None, spec: Path) -> Path:
    """The file that is meant: path itself, what the run in that folder has left, or None: what the newest run of spec
    has left, or else the file beside spec that is called like it, as `graphdsl import` leaves it.

    Raises E0616 where a folder holds none or there is no such run.
    """
    if path is None:
        beside = spec.with_suffix(".safetensors")
        found = newest_weights(RUNS, spec.stem) or (beside if beside.is_file() else None)
        if found is None:
            help = "train it first, or name a file: `--weights FILE`; `graphdsl import` leaves one beside the spec"
            raise fail("E0616", f"no run of `{spec.stem}` in `{RUNS}` has left weights", help=help)
        return found
    return left_in(Path(path)) if Path(path).is_dir() else Path(path)


def fill(weights: WeightStore, path: Path, prefix: str = "") -> tuple[LoadReport, Known]:
    """Puts a file's weights into those under prefix; gives what became of them, and what it knows of data."""
    arrays, metadata = read_weights_or_checkpoint(path)
    return fill_weights(weights, arrays, path, prefix=prefix), known_of(metadata)


def learned_before(supply: Supply, plans: Sequence[Plan], resume: Path | None) -> None:
    """Makes known what the files know that training begins with, so that data are numbered as they were then: of a spec
    that is used as a layer what its steps of `preprocess` have learned, for inputs that are called alike here.

    resume  the checkpoint of a run that goes on
    Raises E0616 and E0604 where `load` of a section names no such file; errors point at it.
    """
    if resume is not None:
        supply.know(known_of(read_weights_or_checkpoint(resume)[1]))
        return
    for file in [file for file in supply.spec.weights if used_path(file).is_file()]:
        supply.know(Known(states=known_of(read_weights_or_checkpoint(used_path(file))[1]).states))
    for plan in [plan for plan in plans if plan.load is not None]:
        with located(plan.load_span):
            path = find_weights(supply.places.find(str(plan.load)), Path())
            supply.know(known_of(read_weights_or_checkpoint(path)[1]))


def used_path(file: WeightsFile) -> Path:
    """Beside the spec that names it, or in the working directory."""
    here, path = Path(file.written), Path(file.path)
    return here if here.exists() and not path.exists() else path


def _found(file: WeightsFile) -> Path:
    """The file that is used. Raises E0604, with both places that were tried, and what leaves such a file."""
    found = used_path(file)
    if found.exists():
        return found
    tried = " and ".join(f"`{path}`" for path in dict.fromkeys((file.path, file.written)))
    run = re.fullmatch(rf"{RUNS}/(.+)-[0-9]+", str(Path(file.written).parent))
    spec = Path(file.span.source.path).with_name(f"{run[1]}.dag") if run else None
    how = f": `graphdsl run {spec}`" if spec and spec.exists() else " by `graphdsl run`"
    help = f"train it first{how}" if run else "name a file that there is, beside the spec or in the working directory"
    raise fail("E0604", f"there is no file of weights `{file.written}`: tried {tried}", help=help)


def fill_named(weights: WeightStore, supply: Supply) -> tuple[list[str], set[str]]:
    """What all files that a spec names give: a line about each, and the weights that they fill.

    The names of classes that they know become known where windows become boxes.
    """
    spec, told, filled = supply.spec, list[str](), set[str]()
    for file in spec.weights:
        report = fill_used(weights, file, spec.graph)
        told.append(f"loaded {file.written}: {report.describe()}")
        filled |= {*report.by_name, *(name for name, _ in report.by_position)}
    names = names_through(spec, lambda file: known_of(read_weights_or_checkpoint(used_path(file))[1]).names)
    supply.names = names | supply.names
    return told, filled


def fill_used(weights: WeightStore, file: WeightsFile, graph: Graph) -> LoadReport:
    """The weights of `model("other.dag", weights="…")`, beside that spec or in the working directory.

    Errors point at that setting.

    Raises E0605 also where the file lacks weights that are frozen: nothing would ever make them better.
    """
    prefix = f"{file.prefix}/" if file.prefix else ""
    with located(file.span):
        report, _ = fill(weights, _found(file), prefix)
        own = [node.op for name, node in graph.items() if isinstance(node.op, Weight) and name.startswith(prefix)]
        if not any(op.trainable for op in own):
            demand_none(graph, report.missing, f"`{file.path}` lacks weights of a frozen model")
    return report


def demand_none(graph: Graph, missing: Iterable[str], message: str) -> None:
    """Raises E0605 where results of graph need a weight that is missing."""
    needed = graph.needed()
    told = [f"`{n}` {list(graph.value(n).type.shape)}" for n in missing if n in needed]
    if told:
        help = "take a file of this spec, or train what it lacks: `graphdsl run … --weights FILE`"
        raise fail("E0605", f"{message}: {some(told, quote='')}", help=help)


@contextmanager
def located(span: Span | None) -> Iterator[None]:
    """Inside, errors that have no place get this one."""
    try:
        yield
    except Failed as failed:
        raise Failed(replace(d, span=d.span or span) for d in failed.diagnostics) from failed
