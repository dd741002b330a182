"""`graphdsl evaluate model.dag`"""

from __future__ import annotations

import click

from graphdsl.cli.given import dataset
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.model import compile

TOLD = {
    "given": "on the given data",
    "test": "on the test data of the spec",
    "valid": "on the validation data of the spec",
}


@click.command()
@spec_argument
@click.argument("data", nargs=-1)
@weights_option
@settings_option
@click.option("--on", type=click.Choice(("test", "valid")), help="Which data of the spec; `valid` to choose by.")
@backend_option
@answers
def command(
    spec: str, data: tuple[str, ...], weights: str | None, settings: dict[str, str], on: str | None, backend: str
) -> Answer:
    """How good a trained model is: its losses and metrics on DATA, or else on the `test` data of the spec, or else on
    its validation data. The first line, and `data` in JSON, say which: `given`, `test` or `valid`.

    DATA is a folder of pictures, or a .npz, .npy or .csv file, with the truth in it; or a pattern, with the truth in
    the names of files.

    \b
    graphdsl evaluate model.dag
    graphdsl evaluate model.dag --weights runs/model-1
    graphdsl evaluate model.dag new.csv --format json
    graphdsl evaluate model.dag "plates/{plate}.jpg"
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights, judged=True)
    metrics = model.evaluate(dataset(data), on=on)
    used = "given" if data else on or model.judged_on
    rows = [TOLD[used], *(f"{name}  {value:.4g}" for name, value in metrics.items())]
    return Answer("\n".join(rows), {"metrics": metrics, "data": used})
