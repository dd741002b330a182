"""How elaboration says no: a Failed with one diagnostic, raised anywhere and caught where an expression is read."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.ir import TypeRuleError
from graphdsl.report import Diagnostic, Failed, Label, Span


class Exhausted(Exception):
    """A limit for the whole spec is passed. It was told; nothing more can be."""


def refuse(
    code: str, message: str, span: Span, *, label: str = "", labels: Sequence[Label] = (), help: str = ""
) -> Failed:
    """A mistake at span, to be raised. The chain of blocks is added where it is caught."""
    return Failed([Diagnostic(code, message, span, label=label, labels=tuple(labels), help=help)])


def told() -> Failed:
    """To be raised where something cannot go on because of what was told about already."""
    return Failed([])


def refuse_rule(error: TypeRuleError, span: Span, labels: Sequence[Label] = (), label: str = "") -> Failed:
    """What a layer refused, at span."""
    return refuse(error.code, error.message, span, label=label, labels=labels, help=error.help)
