"""`graphdsl evaluate model.dag`"""

from __future__ import annotations

import click

from graphdsl.cli.judged import judged
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
@click.option("--part", metavar="NAME", help="Another part of the data that the spec reads, or of DATA: `test`.")
@click.option("--on", type=click.Choice(("test", "valid")), help="Which data of the spec; `valid` to choose by.")
@backend_option
@answers
def command(
    spec: str,
    data: tuple[str, ...],
    weights: str | None,
    settings: dict[str, str],
    part: str | None,
    on: str | None,
    backend: str,
) -> Answer:
    """How good a trained model is: its losses and metrics on DATA, or else on the `test` data of the spec, or else on
    its validation data. The first line, and `data` in JSON, say which: `given`, `test` or `valid`.

    DATA is a folder of pictures, or a .npz, .npy or .csv file, with the truth in it; or a pattern, with the truth in
    the names of files. Where the spec reads boxes (`voc`, `coco`, `yolo`, `boxes`) or a `table`, DATA is what that
    reader takes.

    \b
    graphdsl evaluate model.dag
    graphdsl evaluate model.dag --weights runs/model-1
    graphdsl evaluate model.dag new.csv --format json
    graphdsl evaluate model.dag "plates/{plate}.jpg"
    graphdsl evaluate runs/model-1/weights.safetensors --part test
    graphdsl evaluate runs/model-1/weights.safetensors VOC2007/ --part test
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights, judged=True)
    given = judged(data, part, model)
    metrics = model.evaluate(given, on=on)
    used = on or model.judged_on if given is None else "given"
    told = TOLD[used] if part is None else f"on the part `{part}` of the data"
    rows = [told, *(f"{name}  {value:.4g}" for name, value in metrics.items())]
    return Answer("\n".join(rows), {"metrics": metrics, "data": used})
