"""`graphdsl evaluate model.dag`"""

from __future__ import annotations

import click

from graphdsl.cli.given import dataset
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.model import compile


@click.command()
@spec_argument
@click.argument("data", nargs=-1)
@weights_option
@settings_option
@backend_option
@answers
def command(spec: str, data: tuple[str, ...], weights: str | None, settings: dict[str, str], backend: str) -> Answer:
    """How good a trained model is: its losses and metrics on DATA, or else on the test data of the spec.

    DATA is a folder of pictures, or a .npz, .npy or .csv file, with the truth in it.

    \b
    graphdsl evaluate model.dag
    graphdsl evaluate model.dag --weights runs/model-1/weights.safetensors
    graphdsl evaluate model.dag new.csv --format json
    """
    model = compile(spec, settings, backend=backend)
    model.load(weights)
    metrics = model.evaluate(dataset(data))
    return Answer("\n".join(f"{name}  {value:.4g}" for name, value in metrics.items()), {"metrics": metrics})
