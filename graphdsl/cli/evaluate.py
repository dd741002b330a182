"""`graphdsl evaluate model.dag`"""

from __future__ import annotations

from pathlib import Path

import click

from graphdsl.cli.judged import judged
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, note, settings_option, spec_argument, weights_option
from graphdsl.cli.said import unheard
from graphdsl.cli.saving import written
from graphdsl.cli.weights import load
from graphdsl.learn import quality_lines
from graphdsl.model import Judged, compile
from graphdsl.report import fail, write_whole

SCORE = 0.5
"""What boxes must score to count, where nobody says."""
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
@click.option("--score", type=click.FloatRange(0, 1), help="Of boxes: precision and recall from it on. Default: 0.5.")
@click.option("-o", "--output", metavar="FOLDER", type=click.Path(), help="Of boxes: precision over recall, here.")
@backend_option
@answers
def command(
    spec: str,
    data: tuple[str, ...],
    weights: str | None,
    settings: dict[str, str],
    part: str | None,
    on: str | None,
    score: float | None,
    output: str | None,
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
    graphdsl evaluate detector.dag --score 0.6 -o quality/

    Of a detector each class is told apart: how many boxes there are, its average precision, and precision and recall of
    what scores at least --score. With -o, FOLDER gets the curves of precision over recall: precision_recall.svg, and
    their points, precision_recall.csv; of metrics of pairs (`equal_error_rate`) the ROC curve: roc.svg and roc.csv.
    `run` leaves these in its folder.
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights, judged=True)
    given = judged(data, part, model)
    least = SCORE if score is None else score
    found = model.judge(given, on=on, score=least)
    if score is not None:
        note(unheard(found.graph, score))
    used = on or model.judged_on if given is None else "given"
    told = TOLD[used] if part is None else f"on the part `{part}` of the data"
    rows = [told, *(f"{name}  {value:.4g}" for name, value in found.numbers.items())]
    for name, classes in found.boxes.items():
        rows += [name, *quality_lines(classes, least)]
    if output is not None:
        keep(Path(output), found)
    by_class = {name: {q.label: q.data for q in classes} for name, classes in found.boxes.items()}
    classes_told = {"classes": by_class} if by_class else {}
    return Answer("\n".join(rows), {"metrics": found.numbers, "data": used} | classes_told)


def keep(folder: Path, found: Judged) -> None:
    """Curves as files. Raises E0519 where there are none, E0701."""
    if not found.files:
        help = "-o is for detectors and verifiers: `[found, things] -> mean_average_precision`, `[code, person] -> tar`"
        raise fail("E0519", "there is no metric of boxes or pairs, so no curve", help=help)
    for name, content in found.files.items():
        write_whole(folder / name, content)
    click.echo(written([folder / name for name in found.files]), err=True)
