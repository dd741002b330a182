"""Trained weights for a command that uses them."""

from __future__ import annotations

import click

from graphdsl.learn import CHECKPOINT
from graphdsl.model import Model


def load(model: Model, weights: str | None, *, judged: bool = False) -> None:
    """Loads the weights that `--weights` names, or else those of the newest run, and says on stderr which.

    judged: losses and metrics are wanted as well as outputs. Raises Failed E0605 where weights are missing for that.
    """
    path = model.find_weights(weights)
    model.load(path)
    model.demand_weights(judged=judged)
    note = " (the run has not come to its end: its checkpoint)" if path.name == CHECKPOINT else ""
    click.echo(f"weights: {path}{note}", err=True)
