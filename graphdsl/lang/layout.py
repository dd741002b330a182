"""Where definitions begin and which brackets find their partner: looked at only once a mistake was found.

The grammar knows no lines. People do, so after a mistake the first word of a line and its indentation tell what was
meant: a `(` that is still open when the next definition begins, no further to the right, was forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graphdsl.lang.tokens import CLOSERS, END, OPENERS, STARTERS, Token
from graphdsl.report import dataclass

# What can stand in braces; the other keywords show that a brace was left open.
_INNER = frozenset({"WEIGHT", "SHARED", "ASSERT"})
OUTER = STARTERS - _INNER

_MAX_NAMES = 16

# What goes on with a definition or ends it, wherever it stands in its line.
_NEVER_FIRST = frozenset({
    "ARROW", "COMMA", "EQUAL", "COLON", "DOT", "SIGN", "STAR", "SCALE", "POWER", "COMPARE", "AND", "OR", "THEN", "ELSE",
    "LPAR", "LSQB", "LBRACE", "RPAR", "RSQB", "RBRACE", "MAYBE",
})  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Both keyed by the offset of an opening bracket, with the index of a token.

    closers     the bracket that closes it
    boundaries  the definition that begins although it is open
    """

    closers: dict[int, int]
    boundaries: dict[int, int]


@dataclass(frozen=True)
class _Open:
    type: str
    start: int
    indent: int


def first_of_line(tokens: Sequence[Token], index: int) -> bool:
    if index == 0:
        return True
    token, before = tokens[index], tokens[index - 1]
    return token.source.text.find("\n", before.end, token.start) >= 0


def begins(tokens: Sequence[Token], index: int) -> bool:
    """Does a definition begin here? `param x` anywhere; `NAME =`, `NAME, NAME =` or a section first in their line."""
    token = tokens[index]
    if token.type == END:
        return False
    after = tokens[index + 1]
    if token.type not in STARTERS and token.type != "NAME":
        names = token.text.isidentifier() or token.type not in _NEVER_FIRST
        return after.type == "EQUAL" and names and first_of_line(tokens, index)
    if token.type in STARTERS and (after.type in ("NAME", "STRING") or token.type == "ASSERT"):
        return after.type != "EQUAL"
    if not first_of_line(tokens, index):
        return False
    if token.type in STARTERS:  # with a mistake right behind it
        return after.text.isidentifier() or after.type in ("COLON", "LPAR", "LBRACE")
    return _heads(tokens, index, after)


def _heads(tokens: Sequence[Token], index: int, after: Token) -> bool:
    """Is the name at index the head of a definition?"""
    if after.type in ("EQUAL", "LBRACE"):
        return True
    following = tuple(t.type for t in tokens[index + 1 : index + 2 * _MAX_NAMES])
    if following[:2] == ("NAME", "LBRACE"):
        return True
    names = 0
    while following[names : names + 2] == ("COMMA", "NAME"):
        names += 2
    return names > 0 and following[names : names + 1] == ("EQUAL",)


def read_layout(tokens: Sequence[Token]) -> Layout:
    """One sweep over the tokens; each bracket is put down and taken up once."""
    sweep = _Sweep()
    text, end = tokens[0].source.text, 0
    for index, token in enumerate(tokens):
        starts_line = index == 0 or (token.start > end and "\n" in text[end : token.start])
        end = token.end
        if starts_line:
            sweep.indent = token.start - text.rfind("\n", 0, token.start) - 1
        if token.type in OPENERS:
            sweep.open(token)
        elif token.type in CLOSERS:
            sweep.close(CLOSERS[token.type], index)
        elif starts_line and begins(tokens, index):
            sweep.boundary(token, index)
    return Layout(sweep.closers, sweep.boundaries)


class _Sweep:
    """The brackets that are open at one place of the text."""

    def __init__(self) -> None:
        self.indent = 0
        self.closers: dict[int, int] = {}
        self.boundaries: dict[int, int] = {}
        self._stack: list[_Open] = []
        self._kinds: Counter[str] = Counter()

    def open(self, token: Token) -> None:
        self._stack.append(_Open(token.type, token.start, self.indent))
        self._kinds[token.type] += 1

    def close(self, opener: str, index: int) -> None:
        """The innermost bracket of that kind is closed; those inside it never are."""
        if not self._kinds[opener]:
            return
        while self._stack[-1].type != opener:
            self._take()
        self.closers[self._take().start] = index

    def boundary(self, token: Token, index: int) -> None:
        """Brackets opened in this line's column or further right, in lines before, were forgotten."""
        while self._stack and self.indent <= self._stack[-1].indent and self._forgotten(token):
            self.boundaries[self._take().start] = index

    def _forgotten(self, token: Token) -> bool:
        return self._stack[-1].type != "LBRACE" or token.type in OUTER

    def _take(self) -> _Open:
        taken = self._stack.pop()
        self._kinds[taken.type] -= 1
        return taken


def margin(tokens: Sequence[Token], start: int) -> int:
    """How far a line is indented that begins at the offset start; -1 where none does."""
    text = tokens[0].source.text
    before = text[text.rfind("\n", 0, start) + 1 : start]
    return -1 if before.strip() else len(before)


def resume(tokens: Sequence[Token], layout: Layout, index: int, inside: bool, indent: int) -> int:
    """The place from which to read on: where a definition begins, the `}` of this level, or the end.

    A line that is indented no more than the broken definition (by indent) begins one too, whatever comes first in it.
    Brackets that are closed are stepped over, so what looks like a definition in them is not taken for one.
    """
    while (token := tokens[index]).type != END:
        if begins(tokens, index) or (inside and token.type == "RBRACE"):
            return index
        if indent >= 0 and token.type not in _NEVER_FIRST and 0 <= _indented(tokens, index) <= indent:
            return index
        index = layout.closers.get(token.start, index) + 1
    return index


def _indented(tokens: Sequence[Token], index: int) -> int:
    """How far a token is indented that begins a line; -1 for others."""
    end = tokens[index - 1].end if index else 0
    between = tokens[index].source.text[end : tokens[index].start]
    return len(between) - between.rindex("\n") - 1 if "\n" in between else -1
