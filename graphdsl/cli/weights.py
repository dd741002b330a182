"""Trained weights for a command that uses them."""

from __future__ import annotations

import click

from graphdsl.learn import CHECKPOINT
from graphdsl.model import Model
from graphdsl.report import Failed


def load(model: Model, weights: str | None, *, judged: bool = False, layer: str | None = None) -> None:
    """Loads the weights that `--weights` names, or else those of the newest run, and says on stderr which.

    A model that has all it needs from the files that its spec names may do without.
    judged: losses and metrics are wanted as well as outputs; layer: only what this layer makes is wanted.
    Raises Failed E0605 where weights are missing for that, E0616 where there are none.
    """
    try:
        path = model.find_weights(weights)
    except Failed:
        if weights is None and _is_filled(model, judged, layer):
            return
        raise
    model.load(path)
    model.demand_weights(judged=judged, layer=layer)
    note = " (the run has not come to its end: its checkpoint)" if path.name == CHECKPOINT else ""
    click.echo(f"weights: {path}{note}", err=True)


def _is_filled(model: Model, judged: bool, layer: str | None) -> bool:
    try:
        model.demand_weights(judged=judged, layer=layer)
    except Failed as failed:
        if any(d.code != "E0605" or d.span is not None for d in failed.diagnostics):
            raise
        return False
    return True
