"""dag.lark made into tables, once: the tables are kept in the user's cache directory.

Building them takes 0.2 s, loading them 6 ms. The cache is only ever a help: where there is no home, no space, no right
to write, or the file is damaged, the tables are built again. The one file that knows Lark.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from collections.abc import Iterable
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

import lark
from lark.exceptions import UnexpectedToken
from lark.lexer import TerminalDef
from lark.parsers.lalr_parser_state import ParserState

from graphdsl.lang.tokens import REST, Lexicon, Token
from graphdsl.lang.tree import TreeBuilder
from graphdsl.report import Source, dataclass

GRAMMAR = Path(__file__).with_name("dag.lark")


Refused = UnexpectedToken


class Machine(Protocol):
    """A parser between two tokens: a stack of states and, one shorter, of what was made of the tokens so far."""

    state_stack: list[int]
    value_stack: list[Any]
    parse_conf: Any
    lexer: Any

    def feed_token(self, token: Token, is_end: bool = False) -> Any:
        """Raises Refused; by then rules that end before the token may already have been closed."""


@dataclass(frozen=True)
class Grammar:
    """dag.lark, ready for use."""

    lexicon: Lexicon
    tables: lark.Lark

    def start(self) -> Machine:
        """A parser before the first token."""
        return cast(Machine, self.tables.parse_interactive().parser_state)


def takes(machine: Machine, kind: str) -> bool:
    """Would a token of that type be taken next? Tried on a copy that builds no tree."""
    silent = copy(machine.parse_conf)
    silent.callbacks = {}
    trial = ParserState(silent, machine.lexer, list(machine.state_stack), list(machine.value_stack))
    try:
        cast(Machine, trial).feed_token(Token(kind, "", 0, _NOWHERE))
    except Refused:
        return False
    return True


_NOWHERE = Source("", "")


@cache
def grammar() -> Grammar:
    text = GRAMMAR.read_text(encoding="utf-8")
    tables = build(text, _cache_file(text))
    return Grammar(_lexicon(tables.terminals, tables.lexer_conf.ignore), tables)


def build(text: str, cache_file: str | None = None, strict: bool = False) -> lark.Lark:
    """The tables of a grammar text. strict refuses any conflict, and needs the package interegular."""
    return lark.Lark(
        text,
        parser="lalr",
        lexer="basic",
        start="file",
        strict=strict,
        keep_all_tokens=True,  # spans reach from bracket to bracket
        maybe_placeholders=False,
        transformer=TreeBuilder(),
        cache=cache_file or False,
    )


def _lexicon(terminals: Iterable[TerminalDef], ignored: Iterable[str]) -> Lexicon:
    """Longer signs first, so `->` is not read as `-` and `>`; words are names until looked up."""
    keywords = {t.pattern.value: t.name for t in terminals if t.pattern.value.isidentifier()}
    rest = [t for t in terminals if t.pattern.value not in keywords]
    rest.sort(key=lambda t: (-t.priority, -t.pattern.max_width, t.name))
    groups = [f"(?P<{t.name}>{t.pattern.to_regexp()})" for t in rest]
    groups += [f"(?P<{name}>{regexp})" for name, regexp in REST]
    return Lexicon(re.compile("|".join(groups), re.DOTALL), keywords, frozenset(ignored))


def _cache_file(text: str) -> str | None:
    """Where the tables lie: a new name for each grammar, Lark and Python. None where no safe place is found."""
    versions = f"{lark.__version__} {sys.version_info[:2]}"
    key = hashlib.sha256(f"{versions}\n{text}".encode()).hexdigest()[:16]
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphdsl"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return str(folder / f"grammar-{key}.pickle") if _ours_alone(folder) else None
    except (OSError, RuntimeError):  # RuntimeError: no home directory
        return None


def _ours_alone(folder: Path) -> bool:
    """Nobody else may write here: a pickle that another user planted would run as this one."""
    if sys.platform == "win32":  # home directories there are private by rules of their own
        return True
    status = folder.stat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
