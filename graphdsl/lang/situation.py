"""The place where the grammar refused a token, with questions that messages are made from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from graphdsl.lang import ast
from graphdsl.lang.grammar import Machine, takes
from graphdsl.lang.layout import Layout, begins, first_of_line
from graphdsl.lang.tokens import END, Token, quoted
from graphdsl.lang.tree import Growing, level_of, open_brackets
from graphdsl.report import Span, dataclass

_ENDS_IN_EXPRESSION = (ast.Define, ast.Setting, ast.Shared, ast.Param, ast.Weight, ast.Block)


@dataclass(frozen=True)
class Situation:
    """index is that of the refused token; nothing of it is in the machine yet."""

    tokens: Sequence[Token]
    index: int
    machine: Machine
    layout: Layout

    @property
    def token(self) -> Token:
        return self.tokens[self.index]

    @property
    def previous(self) -> Token:
        """The token before; the refused one itself at the start of the text."""
        return self.tokens[max(self.index - 1, 0)]

    @property
    def after(self) -> Token:
        return self.tokens[min(self.index + 1, len(self.tokens) - 1)]

    @cached_property
    def _level(self) -> int:
        """How many values lie below the unfinished definition."""
        return level_of(self.machine.value_stack)

    @property
    def unfinished(self) -> list[Any]:
        """What was read of the definition in hand: tokens, and what was already made of them."""
        return self.machine.value_stack[self._level :]

    @property
    def finished(self) -> Growing:
        """The definitions before it, at its level."""
        return self.machine.value_stack[self._level - 1] if self._level else Growing()

    @cached_property
    def opened(self) -> list[Token]:
        """The brackets that are open here, outermost first."""
        return open_brackets(self.machine.value_stack)

    @property
    def bracket(self) -> str:
        """The type of the innermost open bracket, empty where none is."""
        return self.opened[-1].type if self.opened else ""

    @cached_property
    def complete(self) -> bool:
        """Could the definition in hand end here?"""
        return self.takes("RBRACE" if self.bracket == "LBRACE" else "ASSERT")

    @property
    def begins(self) -> bool:
        """Does the refused token begin a definition, as far as its line tells?"""
        return begins(self.tokens, self.index)

    @property
    def first_of_line(self) -> bool:
        return first_of_line(self.tokens, self.index)

    @property
    def place(self) -> Span:
        """Where something is missing: at the refused token, or before it where that is in another line."""
        return self.previous.span if self.first_of_line or self.token.type == END else self.token.span

    @property
    def found(self) -> str:
        return "the end of the text" if self.token.type == END else quoted(self.token.text)

    def takes(self, kind: str) -> bool:
        """Would a token of that type be taken instead?"""
        return takes(self.machine, kind)

    def continues(self, name: Token) -> bool:
        """Was this name, read as the head of a definition, more likely meant to go on with the one before?

        So it is when it stands in the same line, or further right than that definition begins.
        """
        if not self.finished or not isinstance(self.finished[-1], _ENDS_IN_EXPRESSION):
            return False
        before = self.finished[-1].span
        index = next(i for i in range(self.index, -1, -1) if self.tokens[i].start == name.start)
        return not first_of_line(self.tokens, index) or name.span.column > before.column
