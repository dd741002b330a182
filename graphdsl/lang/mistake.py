"""One mistake in how a spec is written: what to say, and how to read on."""

from __future__ import annotations

from graphdsl.report import Diagnostic, Label, Span, dataclass

CLOSE_BLOCK = "$CLOSE_BLOCK"


@dataclass(frozen=True)
class Mistake:
    """A diagnostic and how to read on.

    insert  the type of a token that is missing before the refused one; only where nothing else can have been meant,
            so that no later stage finds fault with what was made up here
    drop    whether to leave the refused one out
    resume  the token from which to look for the next definition; None: from the refused one
    """

    diagnostic: Diagnostic
    insert: str = ""
    drop: bool = False
    resume: int | None = None


def says(
    code: str, message: str, span: Span, label: str = "", help: str = "", other: Label | None = None
) -> Diagnostic:
    """The diagnostic of a mistake."""
    return Diagnostic(code, message, span, label=label, labels=(other,) if other else (), help=help)
