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
from graphdsl.ir import PROBABILITIES, Role
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
    model.load(weights)
    outputs = model.predict(dataset(data))
    if output is not None:
        write_whole(Path(output), packed(outputs))
    data_out = {"outputs": {name: values.tolist() for name, values in outputs.items()}}
    scores = {r.name for r in model.graph.of_role(Role.OUTPUT) if r.value.type.kind == PROBABILITIES}
    return Answer("\n".join(table(name, values, name in scores) for name, values in outputs.items()), data_out)


def packed(outputs: dict[str, np.ndarray[Any, Any]]) -> bytes:
    """The arrays as the bytes of a .npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **outputs)  # type: ignore[arg-type]
    return buffer.getvalue()


def table(name: str, values: np.ndarray[Any, Any], scores: bool) -> str:
    """One output, a line each sample: the likeliest class where the numbers are scores of classes, and the numbers."""
    rows = [f"{name} {list(values.shape)}"]
    for i, row in enumerate(values[:SHOWN]):
        numbers = " ".join(f"{x:.4g}" for x in np.ravel(row)[:SHOWN])
        best = f"class {int(np.argmax(row))}: " if scores and row.ndim == 1 else ""
        rows.append(f"  {i}  {best}{numbers}{' …' if np.size(row) > SHOWN else ''}")
    hidden = len(values) - SHOWN
    return "\n".join([*rows, f"  and {hidden} more (all of them: -o FILE.npz)"] if hidden > 0 else rows)
