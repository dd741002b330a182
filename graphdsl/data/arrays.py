"""Arrays that a Python program already has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Labels, Ragged
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.report import Failed, fail

INPUT_NAMES = frozenset({"x", "image", "images", "data", "features", "input", "inputs"})
TARGET_NAMES = frozenset({"y", "label", "labels", "target", "targets", "class", "classes"})

ONE_OF_ALL = "give an array whose first axis counts samples; a plain list holds one array for each input or target"


def arrays(inputs: object, targets: object = None) -> Dataset:
    """A dataset of arrays: one array, a list or tuple with one for each input, or a dict by name; targets likewise.

    Those in a dict bind by name, others by position. An array is anything NumPy reads, a list of sequences of different
    lengths, or a list of texts (class names). A list is one column for each element: wrap a single ragged column as
    `{"text": sequences}`. Raises E0503, E0508, E0509, E0514.
    """
    named_inputs, named_targets = dict(_named(INPUT, inputs)), dict(_named(TARGET, targets))
    for name in named_inputs.keys() & named_targets.keys():
        raise fail("E0512", f"`{name}` is given twice, as an input and as a target")
    roles = {} if isinstance(inputs, Mapping) else dict.fromkeys(named_inputs, INPUT)
    if not isinstance(targets, Mapping):
        roles |= dict.fromkeys(named_targets, TARGET)
    return Dataset({n: as_column(n, v) for n, v in {**named_inputs, **named_targets}.items()}, roles)


def as_column(name: str, value: Any) -> Column:
    """The column that an array or list is. Raises E0503 (Python objects) and E0514 (neither numbers nor texts)."""
    try:
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
    except ValueError:
        return _ragged(name, value)
    if array.ndim == 0:
        raise _unfit(name, "has no rows", ONE_OF_ALL)
    if array.dtype.kind == "O":
        return _ragged(name, list(array))
    if array.dtype.kind in "US":
        return labels(array.astype(str), name)
    if array.dtype.kind not in "biuf":
        raise _unfit(name, f"holds {array.dtype}", "numbers and texts can be used")
    return Dense(array)


def labels(names: Array, name: str) -> Labels:
    """Texts [rows] as class numbers; classes are sorted, as numbers where every one is a whole number."""
    if names.ndim != 1:
        raise _unfit(name, f"holds texts in {names.ndim} axes", "class names need one text for each row")
    classes, numbers = np.unique(names, return_inverse=True)
    order = np.argsort(classes.astype(np.int64)) if _all_whole(classes) else np.arange(len(classes))
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return Labels(rank[numbers], tuple(str(c) for c in classes[order]))


def conventional_roles(names: Iterable[str]) -> dict[str, str]:
    """Roles of columns called x and y, images and labels …: empty unless one name says input and one says target."""
    all_names = list(names)
    inputs = [n for n in all_names if n.lower() in INPUT_NAMES]
    targets = [n for n in all_names if n.lower() in TARGET_NAMES]
    if len(inputs) > 1 or len(targets) > 1:
        return {}
    return {**dict.fromkeys(inputs, INPUT), **dict.fromkeys(targets, TARGET)}


def _named(role: str, given: Any) -> Iterable[tuple[str, Any]]:
    if given is None:
        return ()
    if isinstance(given, Mapping):
        return [(str(name), value) for name, value in given.items()]
    several = given if isinstance(given, list | tuple) else (given,)
    return [(f"{role} {i}", value) for i, value in enumerate(several)]


def _ragged(name: str, value: Sequence[Any]) -> Ragged:
    """A list of arrays that agree in all axes but the first."""
    try:
        rows = [np.asarray(row) for row in value]
    except ValueError as error:
        raise _unfit(name, "holds rows that are no arrays", "sequences may differ in their first axis only") from error
    if any(row.dtype.kind not in "biuf" for row in rows):
        raise fail("E0503", f"`{name}` holds Python objects", help="give numbers: an array, or a list of arrays")
    if any(row.ndim == 0 for row in rows) or len({row.shape[1:] for row in rows}) > 1:
        raise _unfit(name, "holds rows of different shapes", "sequences may differ in their first axis only")
    return Ragged.of(rows)


def _unfit(name: str, what: str, help: str) -> Failed:
    return fail("E0514", f"`{name}` {what}", help=help)


def _all_whole(texts: Array) -> bool:
    return all(text.isascii() and text.removeprefix("-").isdigit() and len(text) < 18 for text in texts.tolist())
