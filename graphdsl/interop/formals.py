"""The settings of a block: what differs from use to use, and how its text speaks of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from graphdsl.interop.names import Namer
from graphdsl.interop.parts import Part
from graphdsl.interop.wording import default_text
from graphdsl.report import dataclass

SHORT = {"filters": "c", "size": "k", "units": "n"}
"""Names by which blocks call the settings that nearly all of them have, and which are always written."""


@dataclass(frozen=True)
class Formals:
    """required  names without a default, in order
    defaults  names with one
    body      for each part of the block, its settings as the block's text writes them
    calls     for each use, what every name is there
    """

    required: tuple[str, ...]
    defaults: Mapping[str, str]
    body: tuple[Mapping[str, str], ...]
    calls: tuple[Mapping[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.required, *self.defaults)

    @property
    def unusual(self) -> list[list[str]]:
        """For each use, the names whose default does not hold there."""
        return [[n for n, default in self.defaults.items() if call[n] != default] for call in self.calls]

    def written(self, call: Mapping[str, str]) -> list[str]:
        """What stands in the brackets of a use."""
        told = [f"{n}={call[n]}" for n, default in self.defaults.items() if call[n] != default]
        return [*(call[n] if _is_short(n) else f"{n}={call[n]}" for n in self.required), *told]

    def head(self) -> list[str]:
        """What stands in the brackets of the definition."""
        return [*self.required, *(f"{n}={default}" for n, default in self.defaults.items())]


def formals(uses: Sequence[Sequence[Part]]) -> Formals:
    """What uses of one build have in common, and what not."""
    namer = Namer()
    columns: dict[tuple[str, ...], str] = {}
    body: list[dict[str, str]] = []
    for parts in zip(*uses, strict=True):
        body.append({})
        for name in dict.fromkeys(n for part in parts for n in part.texts):
            column = tuple(_text(part, name) for part in parts)
            body[-1][name] = column[0] if len(set(column)) == 1 else _spoken(column, name, columns, namer)
    defaults = {name: usual for column, name in columns.items() if (usual := _usual(column, name)) is not None}
    required = tuple(sorted((n for n in columns.values() if n not in defaults), key=lambda n: not _is_short(n)))
    calls = tuple({name: column[i] for column, name in columns.items()} for i in range(len(uses)))
    return Formals(required, defaults, tuple(body), calls)


def _text(part: Part, name: str) -> str:
    return part.texts[name] if name in part.texts else default_text(part.word, name) or ""


def _spoken(column: tuple[str, ...], name: str, columns: dict[tuple[str, ...], str], namer: Namer) -> str:
    """A name for a column of values, or a multiple of a name that there is."""
    if column in columns:
        return columns[column]
    for other, known in columns.items():
        factor = _factor(column, other)
        if factor:
            return f"{factor} * {known}"
    columns[column] = namer.name(SHORT.get(name, name))
    return columns[column]


def _factor(column: Sequence[str], other: Sequence[str]) -> int:
    """The whole number above 1 by which every value is a multiple of the other; 0 where there is none."""
    if not all(text.isdigit() and text != "0" for text in (*column, *other)):
        return 0
    factor, rest = divmod(int(column[0]), int(other[0]))
    alike = all(int(a) == factor * int(b) for a, b in zip(column, other, strict=True))
    return factor if alike and not rest and factor > 1 else 0


def _usual(column: Sequence[str], name: str) -> str | None:
    """The value of at least half of the uses; None where there is no such value, or where it is always written."""
    value, count = Counter(column).most_common(1)[0]
    return value if 2 * count >= len(column) and not _is_short(name) else None


def _is_short(name: str) -> bool:
    return name.rstrip("_0123456789") in SHORT.values()
