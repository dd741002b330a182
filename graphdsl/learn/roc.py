"""The ROC curve of pairs as files: how many genuine pairs are accepted for how many impostors."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np

from graphdsl.ir import Array
from graphdsl.learn.plan import Watch
from graphdsl.learn.square import Curve, Square, squares, thinned
from graphdsl.learn.verification import Rates, Verification

FILES = "roc.svg", "roc.csv"
"""What a run and `evaluate -o` leave."""

KEPT = 10_000
"""Points of a curve in the table."""


def rates_found(watches: Sequence[Watch], observed: Mapping[str, Array]) -> dict[str, Rates]:
    """By output what is known of its pairs. Metrics of one output and target ask the same pairs: the first one tells.

    observed  what all metrics have counted, by name
    """
    found: dict[str, Rates] = {}
    for watch in watches:
        name = watch.name.removesuffix(f".{watch.metric.label}")
        if isinstance(watch.metric, Verification) and watch.name in observed and name not in found:
            found[name] = watch.metric.rates(observed[watch.name])
    return found


def roc_files(found: Mapping[str, Rates]) -> dict[str, bytes]:
    """FILES and what they hold; none where there is nothing to say."""
    return dict(zip(FILES, (_drawn(found).encode(), _table(found).encode()), strict=True)) if found else {}


def _drawn(found: Mapping[str, Rates]) -> str:
    axes = "impostors accepted", "genuine pairs accepted"
    labels = {name: f"equal error {rates.equal_error:.4f}" for name, rates in found.items()}
    return squares([Square(name, *axes, [Curve(labels[name], *rates.curve)]) for name, rates in found.items()])


def _table(found: Mapping[str, Rates]) -> str:
    """A line for each distance of a genuine pair, of at most KEPT: what is accepted up to it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["output", "threshold", "false_accept_rate", "true_accept_rate"])
    for name, rates in found.items():
        k = thinned(len(rates.thresholds), KEPT)
        columns = rates.thresholds, rates.upto / rates.impostors, rates.genuine / rates.genuine[-1]
        writer.writerows([name, *(f"{n:.6g}" for n in row)] for row in np.stack([c[k] for c in columns], 1))
    return out.getvalue()
