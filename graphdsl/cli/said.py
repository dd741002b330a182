"""What a model says about samples, as lines for people and as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphdsl.ir import Array, Graph
from graphdsl.model import Found
from graphdsl.ops import Nms
from graphdsl.report import fail

SHOWN = 10
"""Rows, and numbers a row, that text shows of outputs that tell no class; `-o` and JSON hold all."""

WIDEST = 28
"""Letters of a class's name in a column."""

LARGEST_ROW = 4096
"""Numbers of a sample that become columns of a table."""


def lines(name: str, values: Array, best: Sequence[Any] | None, classes: Sequence[Any], files: Sequence[str]) -> str:
    """One output, a line each sample: its file or number, then its best classes, or its class and its numbers.

    best     (class, score) of each sample, best first; None where the output tells no class
    classes  the class of each sample, where one number tells it
    """
    shown = len(values) if best is not None and files else SHOWN
    told = _ranks(best[:shown]) if best is not None else _numbers(values[:shown], classes)
    return _listed(f"{name} {list(values.shape)}", told, len(values), files)


def spoken(name: str, texts: Sequence[str], files: Sequence[str]) -> str:
    """An output of texts, a line each sample: its file or number, then what it says."""
    return _listed(f"{name} [{len(texts)}]", texts if files else texts[:SHOWN], len(texts), files)


def _listed(title: str, told: Sequence[str], count: int, files: Sequence[str]) -> str:
    """What is told of the first samples, and how many of count are not shown."""
    heads = list(files[: len(told)]) or [str(i) for i in range(len(told))]
    width = max(map(len, heads), default=0)
    rows = [f"  {head:<{width}}  {text}".rstrip() for head, text in zip(heads, told, strict=True)]
    hidden = count - len(told)
    more = [f"  and {hidden} more (all of them: -o FILE.npz)"] if hidden > 0 else []
    return "\n".join([title, *rows, *more])


def things(name: str, found: Sequence[Sequence[Found]], files: Sequence[str]) -> str:
    """What was found in each sample: class, score, and left, top, width, height."""
    rows = [f"{name} {len(found)}"]
    for i, picture in enumerate(found):
        rows.append(f"  {files[i] if files else i}" + ("" if picture else "  nothing"))
        width = max((len(thing.label) for thing in picture), default=0)
        rows += [f"    {thing.label:<{width}}  {thing.score:.4f}  {_box(thing.box)}" for thing in picture]
    return "\n".join(rows)


def _box(box: Sequence[float]) -> str:
    return "  ".join(
        f"{text} {number:.4g}" for text, number in zip(("left", "top", "width", "height"), box, strict=True)
    )


def _ranks(best: Sequence[Any]) -> list[str]:
    """The classes of each sample in columns, by short names: csv and JSON have the whole."""
    cells = [[f"{_short(name)}: {score:.4f}" for name, score in row] for row in best]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in cells]


def _short(name: str) -> str:
    """The first of several names, `tabby` of `tabby, tabby cat`, cut where it is long."""
    first = name.partition(",")[0].strip() or name
    return first if len(first) <= WIDEST else f"{first[: WIDEST - 1]}…"


def _numbers(values: Array, classes: Sequence[Any]) -> list[str]:
    rows = []
    for i, row in enumerate(values):
        listed = " ".join(f"{x:.4g}" for x in np.ravel(row)[:SHOWN])
        best = f"{classes[i]}: " if classes and isinstance(classes[i], str) else ""
        rows.append(f"{best}{listed}{' …' if np.size(row) > SHOWN else ''}")
    return rows


def as_csv(outputs: Mapping[str, Array], best: Mapping[str, Sequence[Any]], files: Sequence[str]) -> str:
    """A row a sample: `file`, then for outputs that tell classes `NAME_1`, `NAME_1_score`, `NAME_2` …, for others their
    numbers. Raises E0519 where a sample has more numbers than a row should hold.
    """
    count = len(next(iter(outputs.values()), ()))
    columns: dict[str, Sequence[Any]] = {"file": files} if files else {"sample": range(count)}
    for name, values in outputs.items():
        columns |= _ranked(name, best[name]) if name in best else _plain(name, values)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return buffer.getvalue()


def _ranked(name: str, best: Sequence[Any]) -> dict[str, Sequence[Any]]:
    columns: dict[str, Sequence[Any]] = {}
    for place in range(len(best[0]) if best else 0):
        columns[f"{name}_{place + 1}"] = [row[place][0] for row in best]
        columns[f"{name}_{place + 1}_score"] = [f"{row[place][1]:.6g}" for row in best]
    return columns


def _plain(name: str, values: Array) -> dict[str, Sequence[Any]]:
    if values.ndim == 1:
        return {name: values.tolist()}
    flat = values.reshape(len(values), -1)
    if values.ndim == 3 and values.shape[2] == 2 and flat.shape[1] <= LARGEST_ROW:
        return {f"{name}_{i // 2}_{'xy'[i % 2]}": flat[:, i].round(3).tolist() for i in range(flat.shape[1])}
    if values.ndim > 2 or flat.shape[1] > LARGEST_ROW:
        message = f"`{name}` is {list(values.shape[1:])} for each sample: no row of a table"
        raise fail("E0519", message, help="save it as arrays: -o FILE.npz")
    return {f"{name}_{i}": flat[:, i].tolist() for i in range(flat.shape[1])}


def unheard(graph: Graph, score: float) -> list[str]:
    """A line for each `nms` that graph needs and that has dropped already what a score below its own asks for."""
    lines, needed = [], graph.needed()
    for name, node in graph.items():
        if isinstance(node.op, Nms) and node.op.score > score and name in needed:
            where = f" ({node.spans[0]})" if node.spans else ""
            told = f"is below `nms(score={node.op.score:g})`{where}, which has dropped all that scores less"
            lines.append(f"`--score {score:g}` {told}; for more boxes the spec must say `score={score:g}`")
    return lines
