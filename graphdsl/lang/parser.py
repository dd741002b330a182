"""Text to tree. A mistake in one definition hides neither the others nor their mistakes.

The tables of dag.lark drive it. Where they refuse a token, `mistakes` says what is wrong in words; then the token that
is plainly missing is supplied, or the definition is given up and reading goes on where the next one begins. Each
definition is told about once. Every step consumes a token or gives up a definition, so any text ends in linear time.
"""

from __future__ import annotations

from bisect import bisect_left
from codecs import BOM_UTF8
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from graphdsl.lang import ast
from graphdsl.lang.grammar import Machine, Refused, grammar, takes
from graphdsl.lang.layout import Layout, margin, read_layout, resume
from graphdsl.lang.mistake import CLOSE_BLOCK, Mistake
from graphdsl.lang.mistakes import explain
from graphdsl.lang.situation import Situation
from graphdsl.lang.tokens import Token
from graphdsl.lang.tree import Growing, level_of, open_brackets
from graphdsl.report import Diagnostic, Failed, Reporter, Source, Span, fail, nearest

MAX_CHARACTERS = 2_000_000
MAX_NESTING = 64
MAX_MISTAKES = 200
MAX_LOOKED_AT = 10_000

_NESTING = frozenset({"LPAR", "LSQB", "LBRACE", "IF"})


def read_source(path: str | Path) -> Source:
    """The spec in a file.

    Raises E0114 where there is no such file or it holds no text.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise fail("E0114", f"cannot read `{path}`: {reason.lower()}", help=_near(Path(path))) from None
    return decode(data, str(path))


def _near(path: Path) -> str:
    """The spec that somebody may have meant, of those in the same folder."""
    try:
        found = nearest(path.name, (entry.name for entry in islice(path.parent.glob("*.dag"), MAX_LOOKED_AT)))
    except (OSError, ValueError):
        return ""
    return f"did you mean `{path.with_name(found)}`?" if found and found != path.name else ""


def decode(data: bytes, path: str) -> Source:
    """Bytes as a spec: UTF-8, with or without a byte order mark.

    Raises E0114 at the first byte that cannot be text.
    """
    data = data.removeprefix(BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        before = len(data[: error.start].decode())
        span = Span(Source(path, data.decode(errors="replace")), before, before + 1)
        raise fail("E0114", f"byte 0x{data[error.start]:02x} is not UTF-8 text", span, help=_SAVE) from None
    if "\0" in text:
        source = Source(path, text)
        raise fail("E0114", "byte 0x00 is not text", Span(source, text.index("\0"), text.index("\0") + 1), help=_SAVE)
    return Source(path, text)


_SAVE = "a spec is plain text: save it as UTF-8; a network of another tool comes in by `graphdsl import`"


def parse(source: Source, reporter: Reporter) -> ast.File:
    """The tree of a spec: every definition that could be read. Mistakes (E01xx) go to the reporter."""
    whole = Span(source, 0, len(source.text))
    if len(source.text) > MAX_CHARACTERS:
        message = f"a spec of {len(source.text):,} characters; at most {MAX_CHARACTERS:,} are read"
        reporter.add(Diagnostic("E0113", message, Span(source, 0, 0)))
        return ast.File((), whole)
    return ast.File(_Reading(source, reporter).definitions(), whole)


class _Reading:
    """One run over the tokens of a text."""

    def __init__(self, source: Source, reporter: Reporter) -> None:
        self._reporter = reporter
        self._tokens = grammar().lexicon.tokens(source)
        self._at = 0
        self._machine: Machine = grammar().start()
        self._told = -1  # where the definition begins that was last told about
        self._given_up = -1  # the token at which a definition was last given up
        self._supplied = -1  # where the last token was put in that the text lacks
        self._mistakes = 0

    def definitions(self) -> tuple[ast.Definition, ...]:
        while self._mistakes < MAX_MISTAKES:
            try:
                return self._read_on()
            except Refused:
                self._mend()
            except Failed as failure:
                self._tell(failure.diagnostics[0])
                self._open_level()
                self._give_up()
        message = f"more than {MAX_MISTAKES} mistakes; the rest of the text was not read"
        self._reporter.add(Diagnostic("E0113", message, self._tokens[self._at].span))
        values = self._machine.value_stack
        return tuple(values[0]) if values and isinstance(values[0], Growing) else ()

    @cached_property
    def _layout(self) -> Layout:
        return read_layout(self._tokens)

    def _read_on(self) -> tuple[ast.Definition, ...]:
        """To the end of the text, or until something raises: then _at is the token that was refused."""
        feed, values, tokens = self._machine.feed_token, self._machine.value_stack, self._tokens
        last = len(tokens) - 1
        while self._at < last:
            feed(tokens[self._at])
            if len(values) > MAX_NESTING:
                self._check_nesting(values)
            self._at += 1
        definitions: tuple[ast.Definition, ...] = feed(tokens[-1], True)
        return definitions

    def _check_nesting(self, values: list[Any]) -> None:
        levels = sum(isinstance(v, Token) and v.type in _NESTING for v in values)
        if levels > MAX_NESTING:
            raise fail(
                "E0113",
                "nested too deeply",
                self._tokens[self._at].span,
                label=f"level {levels}",
                help=f"at most {MAX_NESTING} levels of brackets and `if`; give the inner part a name of its own",
            )

    def _mend(self) -> None:
        """A token was refused: tell what is wrong, once for each definition, and make it possible to read on."""
        self._open_level()
        start = self._start()
        if start == self._told:
            self._give_up()
            return
        self._told = start
        self._rewind(start)
        mistake = explain(Situation(self._tokens, self._at, self._machine, self._layout))
        self._tell(mistake.diagnostic)
        if not self._repaired(mistake):
            self._give_up(mistake.resume)

    def _open_level(self) -> None:
        """The tables see an empty level only when its first definition begins. After a mistake, see it now."""
        values, states = self._machine.value_stack, self._machine.state_stack
        if values and not (isinstance(values[-1], Token) and values[-1].type == "LBRACE"):
            return
        following = self._machine.parse_conf.states[states[-1]]
        level = next((following[name] for name in ("definitions", "locals", "settings") if name in following), None)
        if level is not None:
            values.append(Growing())
            states.append(level[1])

    def _start(self) -> int:
        """Where the definition in hand begins: tells one definition from another."""
        values = self._machine.value_stack
        level = level_of(values)
        if level == len(values):
            at_end = self._at == len(self._tokens) - 1 and level > 1
            return int(values[level - 2].start) if at_end else self._tokens[self._at].start
        first = values[level]
        while isinstance(first, list | tuple) and not isinstance(first, Token):
            first = first[0]
        return int(first.start if isinstance(first, Token) else first.span.start)

    def _rewind(self, start: int) -> None:
        """Undo what the refused token set off.

        LALR tables close some rules on a token before they find that it cannot follow, and then what could have
        followed is no longer known. So the definition in hand is read again, up to that token.
        """
        values, states = self._machine.value_stack, self._machine.state_stack
        level = level_of(values)
        if level == len(values) or start <= self._supplied:
            return
        kept = values[level:], states[level + 1 :]
        del values[level:], states[level + 1 :]
        first = bisect_left(self._tokens, start, key=lambda token: token.start)
        try:
            for token in self._tokens[first : self._at]:
                self._machine.feed_token(token)
        except (Refused, Failed):  # a token of it was left out before
            values[level:], states[level + 1 :] = kept

    def _tell(self, diagnostic: Diagnostic) -> None:
        self._reporter.add(diagnostic)
        self._mistakes += 1

    def _repaired(self, mistake: Mistake) -> bool:
        """Put in what is missing, leave out what is too much. False where that is of no use."""
        if not mistake.insert and not mistake.drop:
            return False
        try:
            self._insert(mistake.insert)
        except (Refused, Failed):
            return False
        self._at += mistake.drop
        return True

    def _insert(self, kind: str) -> None:
        here = self._tokens[self._at]
        if kind == CLOSE_BLOCK:
            kind = "RBRACE"
            if not takes(self._machine, kind):
                self._drop_unfinished()
        if kind:
            self._machine.feed_token(Token(kind, "", here.start, here.source))
            self._supplied = here.start

    def _give_up(self, index: int | None = None) -> None:
        """Forget the unfinished definition and go on where the next begins, at index or later.

        Without an index: from the refused token, or behind the brackets that are open there and will be closed.
        """
        indent = margin(self._tokens, self._start())
        opened = self._drop_unfinished()
        if index is None:
            index = max([self._at, *(self._layout.closers.get(token.start, 0) + 1 for token in opened)])
        index = min(max(index, self._given_up + 1), len(self._tokens) - 1)
        inside = len(self._machine.value_stack) > 1
        self._at = self._given_up = resume(self._tokens, self._layout, index, inside, indent)

    def _drop_unfinished(self) -> list[Token]:
        """Back to where the last definition of the innermost level ended. Gives the brackets opened since."""
        values, states = self._machine.value_stack, self._machine.state_stack
        keep = level_of(values)
        opened = open_brackets(values[keep:])
        del values[keep:], states[keep + 1 :]
        return opened
