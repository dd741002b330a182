"""`graphdsl predict model.dag picture.png`"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import click
import numpy as np

from graphdsl.cli.given import dataset
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.data import Dataset, Images
from graphdsl.ir import PROBABILITIES, Array, Role
from graphdsl.model import compile
from graphdsl.report import write_whole

SHOWN = 10
"""Rows and numbers a row that text shows; `-o` and JSON hold all."""


@click.command()
@spec_argument
@click.argument("data", nargs=-1)
@weights_option
@settings_option
@click.option("-o", "--output", metavar="FILE.npz", help="Save the outputs as arrays.")
@backend_option
@answers
def command(
    spec: str, data: tuple[str, ...], weights: str | None, settings: dict[str, str], output: str | None, backend: str
) -> Answer:
    """What a trained model says about DATA, or else about the test data of the spec.

    DATA is pictures, a folder of them, or a .npz, .npy or .csv file.

    \b
    graphdsl predict model.dag seven.png eight.png
    graphdsl predict model.dag new.npz -o answers.npz
    graphdsl predict model.dag new.csv --weights best.safetensors --format json
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights)
    given = dataset(data)
    outputs = model.predict(given)
    if output is not None:
        write_whole(Path(output), packed(outputs))
    files = pictures(given)
    said = {name: classes.of(outputs[name]) for name, classes in model.classes.items()}
    data_out: dict[str, Any] = {"outputs": {name: values.tolist() for name, values in outputs.items()}}
    data_out |= {"classes": {name: list(classes.names) for name, classes in model.classes.items()}, "predicted": said}
    data_out |= {"files": files} if files else {}
    scores = {r.name for r in model.graph.of_role(Role.OUTPUT) if r.value.type.kind == PROBABILITIES}
    labels = {name: said.get(name) or (numbers(values) if name in scores else []) for name, values in outputs.items()}
    return Answer("\n".join(table(name, values, labels[name], files) for name, values in outputs.items()), data_out)


def pictures(given: Dataset | None) -> list[str]:
    """The files that the samples were read from, where they are pictures."""
    columns = given.columns.values() if given is not None else ()
    return next(([str(path) for path in column.paths] for column in columns if isinstance(column, Images)), [])


def numbers(values: Array) -> list[str]:
    """`class 3` for each sample, where its numbers are scores of classes."""
    return [f"class {number}" for number in values.argmax(-1)] if values.ndim == 2 else []


def packed(outputs: dict[str, Array]) -> bytes:
    """The arrays as the bytes of a .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **outputs)  # type: ignore[arg-type]
    return buffer.getvalue()


def table(name: str, values: Array, labels: list[Any], files: list[str]) -> str:
    """One output, a line each sample: its file or number, its class where there is one, and the numbers."""
    heads = files[:SHOWN] or [str(i) for i in range(min(SHOWN, len(values)))]
    width = max(map(len, heads), default=0)
    rows = [f"{name} {list(values.shape)}"]
    for i, row in enumerate(values[:SHOWN]):
        listed = " ".join(f"{x:.4g}" for x in np.ravel(row)[:SHOWN])
        best = f"{labels[i]}: " if labels and isinstance(labels[i], str) else ""
        rows.append(f"  {heads[i]:<{width}}  {best}{listed}{' …' if np.size(row) > SHOWN else ''}")
    hidden = len(values) - SHOWN
    return "\n".join([*rows, f"  and {hidden} more (all of them: -o FILE.npz)"] if hidden > 0 else rows)
