"""Diagnostics for eyes (in the manner of Rust's compiler) and for programs (JSON)."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any, TextIO

from graphdsl.report.diagnostic import Diagnostic, Severity, Use
from graphdsl.report.excerpt import Look, Mark, excerpt
from graphdsl.report.source import Source, Span
from graphdsl.report.terminal import paint, visible

SHOWN = 100
"""Messages drawn at most; a file of garbage has thousands, and the first ones matter."""
LONGEST_CHAIN = 8


def render_text(diagnostic: Diagnostic, colour: bool = False, width: int = 100) -> str:
    """The message with the lines it speaks of, without a line break at the end.

    width is the terminal's; longer lines are cut to a window around the caret.
    """
    style = str(diagnostic.severity)
    head = paint(f"{diagnostic.severity}[{diagnostic.code}]", style, colour)
    rows = [f"{head}{paint(': ' + visible(diagnostic.message), 'bold', colour)}"]
    marks = _marks(diagnostic)
    gutter = max((len(str(mark.span.line)) for mark in marks), default=1)
    look = Look(gutter, width, colour, style)
    for source, arrow, group in _by_source(marks):
        place = visible(str(group[0].span))
        rows.append(f"{' ' * gutter}{paint(arrow, 'note', colour)} {place}")
        rows += excerpt(source, group, look)
    rows += [_note(text, gutter, colour) for text in _chain(diagnostic.chain)]
    if diagnostic.help:
        rows.append(_note(f"help: {visible(diagnostic.help, breaks=True)}", gutter, colour))
    return "\n".join(rows)


def render_json(diagnostics: Iterable[Diagnostic]) -> str:
    """A JSON list with one object a diagnostic. Lines and columns count from 1; the end is the first column after."""
    return json.dumps([as_data(d) for d in diagnostics])


def json_text(data: Any) -> str:
    """JSON as the standard has it: a number that is infinite or none at all is null."""
    return json.dumps(_finite(data), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inside) for inside in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """One diagnostic in types that JSON has. Places are null where no text is to blame."""
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "message": diagnostic.message,
        **_place(diagnostic.span),
        "label": diagnostic.label,
        "labels": [{**_place(label.span), "text": label.text} for label in diagnostic.labels],
        "chain": [{"block": use.block, **_place(use.span)} for use in diagnostic.chain],
        "help": diagnostic.help,
    }


def print_diagnostics(diagnostics: Sequence[Diagnostic], stream: TextIO | None = None) -> None:
    """Draw all of them and a line that counts them, on stderr unless told otherwise."""
    stream = sys.stderr if stream is None else stream
    colour = _wants_colour(stream)
    width = shutil.get_terminal_size((100, 24)).columns
    blocks = [render_text(d, colour, width) for d in diagnostics[:SHOWN]]
    _write(stream, "\n\n".join([*blocks, _summary(diagnostics)]) + "\n")


def _marks(diagnostic: Diagnostic) -> list[Mark]:
    primary = [Mark(diagnostic.span, diagnostic.label, True)] if diagnostic.span else []
    return primary + [Mark(label.span, label.text, False) for label in diagnostic.labels]


def _by_source(marks: Iterable[Mark]) -> list[tuple[Source, str, list[Mark]]]:
    """Marks grouped by file; the first file gets `-->`, further ones `:::`."""
    groups: dict[Source, list[Mark]] = {}
    for mark in marks:
        groups.setdefault(mark.span.source, []).append(mark)
    return [(source, "-->" if i == 0 else ":::", group) for i, (source, group) in enumerate(groups.items())]


def _chain(chain: Sequence[Use]) -> list[str]:
    texts = [f"in block {visible(use.block)}, used at {visible(str(use.span))}" for use in chain[:LONGEST_CHAIN]]
    hidden = len(chain) - LONGEST_CHAIN
    return [*texts, f"and {hidden} more blocks around it"] if hidden > 0 else texts


def _note(text: str, gutter: int, colour: bool) -> str:
    """`   = help: …`; further lines stand under the first."""
    edge = " " * (gutter + 1)
    return f"{edge}{paint('=', 'note', colour)} " + text.replace("\n", f"\n{edge}  ")


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("path", "line", "column", "end_line", "end_column"))
    end_line, end_column = span.source.position(span.end)
    return {
        "path": span.source.title,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _summary(diagnostics: Sequence[Diagnostic]) -> str:
    """`3 errors, 1 warning`, and how many of them were not drawn."""
    errors = sum(d.severity is Severity.ERROR for d in diagnostics)
    warnings = len(diagnostics) - errors
    counts = [_count(n, word) for n, word in ((errors, "error"), (warnings, "warning")) if n]
    hidden = f" (the first {SHOWN} shown)" if len(diagnostics) > SHOWN else ""
    return ", ".join(counts) + hidden


def _count(n: int, word: str) -> str:
    return f"{n} {word}" if n == 1 else f"{n} {word}s"


def _wants_colour(stream: TextIO) -> bool:
    """NO_COLOR and FORCE_COLOR (no-color.org, force-color.org) win over what the stream is."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _write(stream: TextIO, text: str) -> None:
    """Write what the stream's encoding has and escape the rest."""
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
