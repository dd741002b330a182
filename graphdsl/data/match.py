"""Which column goes to which input or target.

In this order: the same name; columns `name_0`, `name_1` … that together are `name`; place, for columns whose role is
known (Python arrays, a lone x and y, the picture and label of a reader); and last, a single `float[k]` input takes k
numeric columns that are left over. What is left after that is an error that lists what there is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import field

import numpy as np

from graphdsl.data.column import Column, Dense
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.wanted import Wanted
from graphdsl.report import Diagnostic, Span, dataclass, did_you_mean


@dataclass(frozen=True)
class Match:
    """Column names and columns by the name of the input or target, and what went wrong."""

    found: dict[str, tuple[str, Column]]
    errors: tuple[Diagnostic, ...] = ()


def match(dataset: Dataset, wanted: Sequence[Wanted], span: Span | None, *, spare: bool = False) -> Match:
    """Finds a column for each of wanted. Errors: E0510 (missing), E0511 (unused, unless spare), E0512 (ambiguous)."""
    search = _Search(dataset, {w.name: w for w in wanted}, dict(dataset.columns))
    search.by_name()
    search.by_series()
    for role in (INPUT, TARGET):
        search.by_place(role, span)
    search.by_rest()
    search.errors += [search.missing(w, span) for w in search.open.values()]
    if not spare and not search.open:
        search.errors += [search.unused(name, wanted, span) for name in search.left if name not in dataset.optional]
    return Match(search.found, tuple(search.errors))


@dataclass
class _Search:
    """Lives for one call of match. open: not yet served; left: columns not yet used."""

    dataset: Dataset
    open: dict[str, Wanted]
    left: dict[str, Column]
    found: dict[str, tuple[str, Column]] = field(default_factory=dict)
    errors: list[Diagnostic] = field(default_factory=list)

    def by_name(self) -> None:
        for name in [n for n in self.open if n in self.left]:
            self._give(name, name, self.left.pop(name))

    def by_series(self) -> None:
        for name in list(self.open):
            pattern = re.compile(re.escape(name) + r"_(\d+)")
            numbered = sorted((int(m[1]), c) for c in self.left if (m := pattern.fullmatch(c)))
            scalars = [c for _, c in numbered if _is_scalar(self.left[c])]
            if len(scalars) > 1:
                self._give_together(name, scalars)

    def by_place(self, role: str, span: Span | None) -> None:
        """Serves by order when as many columns of a role are left as are wanted. Another number is E0512."""
        columns = [c for c in self.left if self.dataset.roles.get(c) == role]
        names = [w.name for w in self.open.values() if w.role == role]
        if len(columns) == len(names):
            for name, column in zip(names, columns, strict=True):
                self._give(name, column, self.left.pop(column))
        elif names and columns:
            self.errors.append(self._ambiguous(role, names, columns, span))
            self.open = {n: w for n, w in self.open.items() if n not in names}
            self.left = {n: c for n, c in self.left.items() if n not in columns}

    def by_rest(self) -> None:
        numeric = [c for c, column in self.left.items() if _is_scalar(column)]
        inputs = [w for w in self.open.values() if w.role == INPUT]
        if len(inputs) == 1 and len(numeric) > 1 and inputs[0].shape == (len(numeric),) and not inputs[0].classes:
            self._give_together(inputs[0].name, numeric)

    def missing(self, wanted: Wanted, span: Span | None) -> Diagnostic:
        source = f"`{self.dataset.origin}`" if self.dataset.origin else "the data"
        help = did_you_mean(wanted.name, self.left)
        listed = f"it has {self.dataset.describe()}"
        return Diagnostic(
            "E0510",
            f"{wanted.title} has no column in {source}",
            wanted.span or span,
            help=f"{help} {listed}".strip(),
        )

    def unused(self, name: str, wanted: Sequence[Wanted], span: Span | None) -> Diagnostic:
        names = ", ".join(w.title for w in wanted)
        help = (
            did_you_mean(name, (w.name for w in wanted))
            or f'declare it, or leave it out (csv and npz: `ignore=["{name}"]`)'
        )
        return Diagnostic(
            "E0511", f"no input or target takes the column `{name}`; the model has {names}", span, help=help
        )

    def _ambiguous(self, role: str, names: list[str], columns: list[str], span: Span | None) -> Diagnostic:
        message = f"cannot tell which column is which {role}: wanted {_listed(names)}, there are {_listed(columns)}"
        return Diagnostic("E0512", message, span, help="name the columns as the spec names its inputs and targets")

    def _give(self, name: str, column_name: str, column: Column) -> None:
        del self.open[name]
        self.found[name] = column_name, column

    def _give_together(self, name: str, columns: list[str]) -> None:
        values = [self.left.pop(c).take(np.arange(len(self.dataset))) for c in columns]
        self._give(name, f"{columns[0]} … {columns[-1]}", Dense(np.stack(values, axis=1)))


def _is_scalar(column: Column) -> bool:
    return isinstance(column, Dense) and column.shape == ()


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
