"""Text to tokens: the terminals of the grammar, and what to call the characters that are none of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from graphdsl.report import Source, Span, dataclass

END = "$END"
UNKNOWN = "$UNKNOWN"
OPEN_STRING = "$OPEN_STRING"
BAD_NUMBER = "$BAD_NUMBER"

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}
SIGNS = {"LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}"}
# Words that begin a definition wherever no `=` follows them.
STARTERS = frozenset({"USE", "PARAM", "INPUT", "TARGET", "WEIGHT", "OUTPUT", "SHARED", "BLOCK", "ASSERT"})

# Tried after every terminal, so together they take what the grammar does not know: no character is ever skipped.
REST = (
    ("OPEN_STRING", r'"[^"\n]*'),
    ("BAD_NUMBER", r"[0-9][\w.]*"),
    ("UNKNOWN", r'[^\s"#%()*+,\-./0-9:<=>?A-Z\[\]_a-z{}]+|.'),
)


class Token(NamedTuple):
    """A word of the text. A tuple, not a dataclass: a long spec has hundreds of thousands."""

    type: str
    text: str
    start: int
    source: Source

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    @property
    def span(self) -> Span:
        return Span(self.source, self.start, self.start + len(self.text))


@dataclass(frozen=True)
class Lexicon:
    """The terminals of a grammar as one regular expression.

    keywords  reserved word -> type
    ignored   types that mean nothing to the parser: comments and white space
    """

    pattern: re.Pattern[str]
    keywords: dict[str, str]
    ignored: frozenset[str]

    def scan(self, source: Source) -> list[Token]:
        """Every token of the text with comments and white space: their texts joined are the text."""
        word = self.keywords.get
        tokens = []
        for found in self.pattern.finditer(source.text):
            kind = found.lastgroup or ""
            text = found.group()
            kind = word(text, kind) if kind == "NAME" else _RENAMED.get(kind, kind)
            tokens.append(Token(kind, text, found.start(), source))
        return tokens

    def tokens(self, source: Source) -> list[Token]:
        """What the parser reads, closed by an END."""
        tokens = [t for t in self.scan(source) if t.type not in self.ignored]
        tokens.append(Token(END, "", len(source.text), source))
        return tokens


_RENAMED = {"UNKNOWN": UNKNOWN, "OPEN_STRING": OPEN_STRING, "BAD_NUMBER": BAD_NUMBER}


def quoted(text: str) -> str:
    """A piece of the user's text inside a message, cut where it is long."""
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}…`"
