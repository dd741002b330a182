"""`graphdsl run model.dag`"""

from __future__ import annotations

import click

from graphdsl.cli.app import INTERRUPTED
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, warn
from graphdsl.learn import Interrupted, load_callbacks, metrics_lines
from graphdsl.model import compile, dream


@click.command()
@spec_argument
@settings_option
@click.option("--epochs", type=click.IntRange(1), help="In place of what the spec says.")
@click.option("--runs", default="runs", metavar="FOLDER", show_default=True, help="Where the run's own folder is made.")
@click.option("--resume", metavar="FOLDER", type=click.Path(file_okay=False), help="Go on with a run that was stopped.")
@click.option(
    "--weights", metavar="FILE", type=click.Path(), help="Start from these weights, or those of this run's folder."
)
@click.option(
    "--callbacks",
    metavar="FILE.py",
    multiple=True,
    type=click.Path(dir_okay=False),
    help="Run this Python file of yours; callbacks that it registers are words of the spec. May be repeated.",
)
@backend_option
@answers
def command(
    spec: str,
    settings: dict[str, str],
    epochs: int | None,
    runs: str,
    resume: str | None,
    weights: str | None,
    callbacks: tuple[str, ...],
    backend: str,
) -> Answer:
    """Train a model by the train sections of its spec, then dream by its dream sections.

    Ctrl+C stops after the current step, saves, and says how to go on.

    \b
    graphdsl run model.dag
    graphdsl run model.dag --set data=photos --set width=32
    graphdsl run model.dag --resume runs/model-1
    graphdsl run model.dag --format json
    """
    for file in callbacks:
        load_callbacks(file)
    model = compile(spec, settings, backend=backend)
    warn(model.warnings)
    if weights is not None:
        found = model.find_weights(weights)
        click.echo(f"loaded {found}: {model.load(found).describe()}", err=True)
    try:
        trained = model.fit(epochs=epochs, runs=runs, resume=resume) if model.plans or not model.dreams else None
    except Interrupted:
        # How to go on is said already.
        return Answer("", {"interrupted": True}, INTERRUPTED)
    done = dream(model, runs, before=trained) if model.dreams or trained is None else trained
    data = {"metrics": done.metrics, "seconds": done.seconds, "run_dir": str(done.folder)}
    return Answer(
        "\n".join([*metrics_lines(done.metrics), f"{done.seconds:.1f} s; everything is in {done.folder}"]), data
    )
