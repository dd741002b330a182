"""Tables and numbers that runs leave."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from graphdsl.report import write_whole


def write_table(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    """A CSV file, whole or not at all. Raises E0701."""
    write_whole(path, table(rows).encode())


def table(rows: Iterable[Mapping[str, object]]) -> str:
    """The rows as CSV, with a column for every name in the order of first occurrence; what a row lacks stays empty."""
    listed = list(rows)
    names = list(dict.fromkeys(name for row in listed for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return out.getvalue()


def metrics_lines(metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
    """`test   loss 0.0712, guess.accuracy 0.9861`, a line for each part that has numbers."""
    told = {
        part: ", ".join(f"{name} {value:.4g}" for name, value in numbers.items()) for part, numbers in metrics.items()
    }
    return [f"{part:<6} {numbers}" for part, numbers in told.items() if numbers]
