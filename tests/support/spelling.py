"""Texts and trees for the tests of the syntax."""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from graphdsl.lang import parse
from graphdsl.lang.grammar import grammar
from graphdsl.report import Diagnostic, Reporter, Source

SPECS = sorted(Path(__file__).parents[1].joinpath("lang", "specs").glob("*.dag"))


def read(text: str) -> tuple[Any, tuple[Diagnostic, ...]]:
    """The definitions of a text without their places, and the mistakes in it."""
    reporter = Reporter()
    file = parse(Source("t.dag", text), reporter)
    return meaning(file.definitions), reporter.diagnostics


def tree(text: str) -> Any:
    """The definitions of a text that must parse, without their places."""
    found, mistakes = read(text)
    assert not mistakes, mistakes
    return found


def meaning(node: Any) -> Any:
    """A tree without its spans: equal for texts that differ in layout only."""
    if is_dataclass(node):
        values = (getattr(node, field.name) for field in fields(node) if not field.name.endswith("span"))
        return (type(node).__name__, *map(meaning, values))
    return tuple(map(meaning, node)) if isinstance(node, tuple) else node


def comments(text: str) -> list[str]:
    return sorted(t.text.rstrip() for t in grammar().lexicon.scan(Source("t.dag", text)) if t.type == "COMMENT")


def respaced(text: str, chance: random.Random) -> str:
    """The same definitions in another layout: other spaces, line breaks and comments."""
    parts: list[str] = []
    often, remarks = chance.random() / 2, chance.random() / 10
    for token in grammar().lexicon.scan(Source("t.dag", text)):
        if token.type != "SPACE":
            parts.append(token.text)
        elif parts and parts[-1].startswith("#"):
            parts.append("\n")
        elif chance.random() < often:
            parts.append(chance.choice(["\n", "\n\n", "\n\n\n", "\n   ", " "]))
        else:
            remark = chance.choice([" # a\n", "\n# b\n", "\n\n  # c\n\n"])
            parts.append(remark if chance.random() < remarks else token.text)
    return "".join(parts)


SCRAPS = (
    *'()[]{}=,"#\n$\0é+*:.-/%<>',
    *("->", "**", "in", "input", "param", "block", "x", "3", "1x7", "if", "then", "else", "out", "train", "not"),
    *("\n\n", "9" * 50, "1e999", "\ud800", "y = ", "}\n", "shared s = "),
)


def damaged(text: str, chance: random.Random) -> str:
    """The text with a few pieces cut out, moved, or put in."""
    for _ in range(chance.randint(1, 6)):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.randint(0, 12))
        other = chance.randint(0, len(text))
        text = chance.choice(
            [
                text[:start] + text[end:],
                text[:start] + chance.choice(SCRAPS) + text[start:],
                text[:start] + text[other : other + 20] + text[start:],
            ]
        )
    return text
