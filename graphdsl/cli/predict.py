"""`graphdsl predict model.dag picture.png`"""

from __future__ import annotations

from collections.abc import Callable, Container
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from graphdsl.cli.detections import as_coco, boxes_csv
from graphdsl.cli.drawn import draw_all, drawable
from graphdsl.cli.given import ROWS, as_trained, class_names, dataset, files_of, rate_of, texts_given, texts_of
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, note, settings_option, spec_argument, tables, weights_option
from graphdsl.cli.said import as_csv, lines, spoken, things, unheard
from graphdsl.cli.saving import save, written
from graphdsl.cli.weights import load
from graphdsl.data import Dataset, Dense, Labels
from graphdsl.ir import Array, Role
from graphdsl.model import TOP, Found, Model, asked, compile
from graphdsl.report import write_whole

Boxes = dict[str, list[list[Found]]]

MOST_DRAWN = 100_000
"""Samples made of noise in one go."""


@click.command()
@spec_argument
@click.argument("data", nargs=-1)
@weights_option
@settings_option
@click.option(
    "--top", "count", type=click.IntRange(1), default=TOP, show_default=True, help="How many classes to name."
)
@click.option(
    "--classes",
    metavar="FILE",
    type=click.Path(),
    help="Names of the classes, one a line. Default: those of the training data.",
)
@click.option(
    "--text",
    "texts",
    metavar="TEXT",
    multiple=True,
    help="A text to judge, in place of DATA; several: again. NAME=TEXT where several inputs take texts.",
)
@click.option("--features", "layer", metavar="LAYER", help="What this layer makes, in place of the outputs.")
@click.option(
    "--draw",
    "drawn",
    metavar="N",
    type=click.IntRange(1, MOST_DRAWN),
    help="N samples of the outputs made of noise alone.",
)
@click.option(
    "--ids",
    metavar="FILE.json",
    type=click.Path(),
    help="With `coco`: COCO's annotations, which say the ids of pictures and classes by their names.",
)
@click.option("--score", type=click.FloatRange(0, 1), help="Of boxes: those that score at least this.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="With --draw: other noise.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Save numbers (.npz), the table (.csv), pictures (.png), sound (.wav), COCO's detections (.json); boxes and "
    "points on pictures in a folder.",
)
@backend_option
@tables
def command(
    spec: str,
    data: tuple[str, ...],
    weights: str | None,
    settings: dict[str, str],
    count: int,
    classes: str | None,
    texts: tuple[str, ...],
    layer: str | None,
    drawn: int | None,
    ids: str | None,
    score: float | None,
    seed: int,
    output: str | None,
    backend: str,
) -> Answer:
    """What a trained model says about DATA, or else about what the spec's `predict` section or its `test` names.

    DATA is pictures, folders of them, recordings (.wav), texts (.txt, one a line), patterns such as "new/*.jpg", or a
    .npz, .npy or .csv file; where the spec learns from a `table`, one that is read like it. SPEC may be a file of
    weights, which holds its spec.

    \b
    graphdsl predict model.dag seven.png eight.png
    graphdsl predict model.dag photos/ --top 3 --format csv
    graphdsl predict runs/model-1/weights.safetensors photos/ -o answers.csv
    graphdsl predict model.dag new.csv --weights best.safetensors --format json
    graphdsl predict runs/text_cnn-1/weights.safetensors --text "a good film"
    graphdsl predict model.dag photos/ --features pooled -o features.npz
    graphdsl predict generator.dag --draw 64 -o made.png
    graphdsl predict detector.dag photos/ -o found/ --score 0.5     with boxes drawn on them
    graphdsl predict detector.dag street.jpg -o street_found.png
    graphdsl predict detector.dag photos/ -o found.json             for COCO's programs
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights, layer=layer)
    given = samples(data, texts, model) or (asked(model.spec) if drawn is None else None)
    names = class_names(classes) if classes is not None else ()
    if layer is not None:
        return features(model, layer, given, output)
    if score is not None:
        note(unheard(model.graph.with_results(model.graph.of_role(Role.OUTPUT)), score))
    outputs = model.predict(given) if drawn is None else model.draw(drawn, seed=seed)
    best, files = model.top(outputs, count, names), files_of(given)
    found, read = sure(model.found(outputs, names, files), score or 0), model.texts(outputs, names)
    points = model.points(outputs, files)
    table = outputs | points | {name: np.array(said) for name, said in read.items()}
    coco = partial(as_coco, found, files, model.spec, ids)
    if output is not None:
        click.echo(written(keep(output, found, points, table, best, given, coco)), err=True)
    text = shown(model, table, best, files or texts_of(given), found, read)
    answer = told(model, outputs | points, best, files, read) | listed(found)
    return Answer(text, answer, csv=lambda: rows(found, table, best, files), coco=coco)


def shown(
    model: Model,
    table: dict[str, Array],
    best: dict[str, list[Any]],
    heads: list[str],
    found: Boxes,
    read: dict[str, list[str]],
) -> str:
    """All outputs as lines for people. heads: what the samples are called, where they are called something."""

    def one(name: str, values: Array) -> str:
        if name in found:
            return things(name, found[name], heads)
        if name in read:
            return spoken(name, read[name], heads)
        return lines(name, values, best.get(name), said(model, name, values), heads)

    return "\n".join(one(name, values) for name, values in table.items())


def rows(found: Boxes, table: dict[str, Array], best: dict[str, list[Any]], files: list[str]) -> str:
    """A row a sample, or where all outputs are detectors, a row a box."""
    return boxes_csv(found, files) if found and set(found) == set(table) else as_csv(table, best, files)


def samples(data: tuple[str, ...], texts: tuple[str, ...], model: Model) -> Dataset | None:
    """Those that the command line names; None: those of the spec."""
    if texts and data:
        raise click.UsageError("give DATA or --text, not both")
    rows = as_trained(data[0], model.spec) if len(data) == 1 and Path(data[0]).suffix.lower() in ROWS else None
    return rows or (texts_given(texts, model.spec.inputs) if texts else dataset(data))


def sure(found: dict[str, list[list[Found]]], score: float) -> dict[str, list[list[Found]]]:
    """What scores at least this."""
    return {name: [[t for t in things if t.score >= score] for things in pictures] for name, pictures in found.items()}


def keep(
    output: str,
    found: dict[str, list[list[Found]]],
    points: dict[str, Array],
    table: dict[str, Array],
    best: dict[str, list[Any]],
    given: Dataset | None,
    coco: Callable[[], str],
) -> list[Path]:
    """Answers as a file, or the pictures with what was found in them. Gives what was written. Raises E0519, E0701."""
    files = files_of(given)
    if (found or points) and files and drawable(output, files):
        return draw_all(Path(output), found, points, files)
    if Path(output).suffix == ".json":
        write_whole(Path(output), coco().encode() + b"\n")
    elif found and set(found) == set(table) and Path(output).suffix == ".csv":
        write_whole(Path(output), boxes_csv(found, files).encode())
    else:
        return save(output, table, best, files, rate_of(given))
    return [Path(output)]


def listed(found: dict[str, list[list[Found]]]) -> dict[str, Any]:
    """Things in pictures, for programs; nothing where no output tells of any."""
    data = {name: [[thing.data for thing in picture] for picture in pictures] for name, pictures in found.items()}
    return {"found": data} if data else {}


def said(model: Model, name: str, values: Array) -> list[Any]:
    """The class of each sample, of an output that tells one of two by one number."""
    return model.classes[name].of(values) if name in model.classes else []


def told(
    model: Model,
    outputs: dict[str, Array],
    best: dict[str, list[Any]],
    files: list[str],
    read: dict[str, list[str]],
) -> dict[str, Any]:
    """All that was found out, for programs. read: texts, by output."""
    known = model.classes
    data: dict[str, Any] = {"outputs": {name: values.tolist() for name, values in outputs.items()}}
    data |= {"classes": {name: list(classes.names) for name, classes in known.items()}}
    data |= {"predicted": {name: classes.of(outputs[name]) for name, classes in known.items()} | read}
    named = {n: [[{"class": c, "score": s} for c, s in row] for row in rows] for n, rows in best.items()}
    return data | {"top": named} | ({"files": files} if files else {})


def features(model: Model, layer: str, given: Dataset | None, output: str | None) -> Answer:
    """What a layer makes, and what else is known of the samples: what a spec reads again by `npz("features.npz")`."""
    name = layer.rpartition("/")[2]
    arrays = {name: model.features(layer, given), **beside(given, model.spec.inputs)}
    if output is not None:
        save(output, arrays, {}, [])
    shapes = [f"{key} {list(values.shape)}" for key, values in arrays.items()]
    where = f"in {output}" if output is not None else "(to keep them: -o FILE.npz)"
    data = {"features": {key: list(values.shape) for key, values in arrays.items()}, "file": output}
    return Answer(f"{', '.join(shapes)} {where}", data, csv=lambda: as_csv(arrays, {}, files_of(given)))


def beside(given: Dataset | None, read: Container[str]) -> dict[str, Array]:
    """What else is known of samples: classes, by name where they have names, and numbers that no input reads."""
    found = given.columns.items() if given is not None else ()
    classes = {name: _named(column) for name, column in found if isinstance(column, Labels)}
    numbers = {name: c.values for name, c in found if isinstance(c, Dense) and c.shape == () and name not in read}
    return classes | numbers


def _named(column: Labels) -> Array:
    return np.array(column.classes)[column.values] if column.classes else column.values
