"""How a written Python file is laid out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from graphdsl.interop.source.page import Page, Place

FREE = "Every step of a sequence is taken as real: feed sequences of one length."


def file_text(spec: str, tool: str, page: Page, head: str, body: str, table: str, load: str) -> str:
    """The parts in order, two empty lines between those at the top."""
    spec = harmless(spec)
    free = f"\n{FREE}" if len(page.given) < len(page.inputs) else ""
    opening = f'"""{spec} for {tool}, written by graphdsl.{free}"""\n\n{head}'
    return "\n\n".join([opening, body, f"\n{table}", load.rstrip()]) + "\n"


def harmless(text: str) -> str:
    """A name of a file as it may stand between quotes."""
    return re.sub(r"[^\w./ -]", "_", text)


def table_text(places: Iterable[Place]) -> str:
    """WEIGHTS: where each of ours belongs."""
    lines = [f'    ("{p.weight}", "{p.parameter}", {p.turn or None}, {p.gates or None}),' for p in places]
    note = "# name in the file, parameter, the order of its axes, the order of its gates"
    return "\n".join([note, "WEIGHTS = [", *lines, "]"])
