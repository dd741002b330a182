"""What went wrong, as data: drawn only at the very end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from graphdsl.report.source import Span


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Label:
    """A further place that matters, with a few words that point at it."""

    span: Span
    text: str


@dataclass(frozen=True, slots=True)
class Use:
    """One link of the chain of blocks that led to a place: `in block NAME, used at SPAN`."""

    block: str
    span: Span


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the user.

    code     stable, `E0301`; explained by `graphdsl explain`
    message  stands alone: lower case, names in back-ticks, no full stop
    span     the primary place, None where no text is to blame (a missing file named on the command line)
    label    a few words beside the caret
    labels   further places
    chain    the blocks the place was reached through, innermost first
    help     what to write or do instead, empty when nothing is known
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    labels: tuple[Label, ...] = ()
    chain: tuple[Use, ...] = ()
    help: str = ""
    severity: Severity = Severity.ERROR


class Failed(Exception):
    """The user's mistakes, collected. Only the command line (or the caller of the Python API) draws them."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        Exception.__init__(self, "\n".join(_plain(d) for d in self.diagnostics))


def fail(code: str, message: str, span: Span | None = None, *, label: str = "", help: str = "") -> Failed:
    """A Failed with one diagnostic, to be raised."""
    return Failed([Diagnostic(code, message, span, label=label, help=help)])


class Reporter:
    """Collects diagnostics while work goes on. The same text at the same place is told once."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], Diagnostic] = {}

    def add(self, diagnostic: Diagnostic) -> None:
        span = diagnostic.span
        place = (span.source.path, span.start, span.end) if span else ()
        self._seen.setdefault((diagnostic.code, diagnostic.message, place), diagnostic)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them, those of one file in the order of its text."""
        return tuple(sorted(self._seen.values(), key=_position))

    @property
    def failed(self) -> bool:
        return any(d.severity is Severity.ERROR for d in self._seen.values())

    def raise_if_failed(self) -> None:
        if self.failed:
            raise Failed(self.diagnostics)


def _position(diagnostic: Diagnostic) -> tuple[str, int]:
    span = diagnostic.span
    return (span.source.path, span.start) if span else ("", 0)


def _plain(diagnostic: Diagnostic) -> str:
    place = f"{diagnostic.span}: " if diagnostic.span else ""
    help = f" (help: {diagnostic.help})" if diagnostic.help else ""
    return f"{place}{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}{help}"
