"""The one layout of a spec: what `graphdsl fmt` writes.

Definitions stand one in a line; `=` is aligned in runs of like definitions that no empty line parts, and so are the
names behind `input` and `target`. Comments stay where they are, and of several empty lines one is left. Braces that the
author wrote in one line stay there if they fit. How a single definition is broken into lines is told in `wrap`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from graphdsl.lang import ast
from graphdsl.lang.parser import parse
from graphdsl.lang.words import Word, joined, words_of
from graphdsl.lang.wrap import STEP, WIDTH, wrap, wrap_as_written
from graphdsl.report import Reporter, Source, dataclass

MAX_PADDING = 16

Item = ast.Definition | ast.Setting
Words = Sequence[Word]


def format_text(source: Source) -> str:
    """The text of a spec laid out. The tree it parses to is the same.

    Raises Failed (E01xx) where the text does not parse: a layout could make the mistake harder to find.
    """
    reporter = Reporter()
    file = parse(source, reporter)
    reporter.raise_if_failed()
    words = words_of(source)
    lines = _Layout(words).level(file.definitions, 0)
    lines += _comments_above(words[-1], 0, bool(lines))
    return "\n".join(lines) + "\n" if lines else ""


@dataclass(frozen=True)
class _Entry:
    """A definition cut in two at the sign that is aligned.

    key     entries of the same key are aligned with each other; empty: with nothing
    keyword what stands before the names (`param`, `input`)
    head    the names
    body    what follows the sign
    """

    item: Item
    words: Words
    key: str = ""
    keyword: str = ""
    head: str = ""
    sign: str = ""
    body: Words = ()


class _Layout:
    """The words of one text and where each begins."""

    def __init__(self, words: list[Word]) -> None:
        self._words = words
        self._starts = [word.token.start for word in words]

    def level(self, items: Sequence[Item], indent: int) -> list[str]:
        """The lines of the definitions of one level, from the comments above the first to the end of the last."""
        lines: list[str] = []
        for run in self._runs([self._entry(item) for item in items]):
            keywords = max(len(entry.keyword) for entry in run)
            heads = max(len(entry.head) for entry in run)
            padded = heads - min(len(entry.head) for entry in run) <= MAX_PADDING
            for entry in run:
                first = entry.words[0]
                lines += _comments_above(first, indent, bool(lines))
                lines += [""] if first.blank and lines else []
                prefix = _prefix(entry, keywords, heads if padded else 0)
                lines += self._definition(entry, prefix, indent)
        return lines

    def _runs(self, entries: list[_Entry]) -> list[list[_Entry]]:
        """Neighbours that are aligned with each other."""
        runs: list[list[_Entry]] = []
        for entry in entries:
            first = entry.words[0]
            parted = first.blank or any(comment.blank for comment in first.above)
            if runs and entry.key and not parted and runs[-1][-1].key == entry.key:
                runs[-1].append(entry)
            else:
                runs.append([entry])
        return runs

    def _entry(self, item: Item) -> _Entry:
        words = self._words[self._index(item.span.start) : self._index(item.span.end)]
        sign = next((i for i, w in enumerate(words) if w.type in ("EQUAL", "COLON") and not w.inside), len(words))
        match item:
            case ast.Input() | ast.Target():
                return _Entry(item, words, "input", words[0].text, joined(words[1:sign]), ":", words[sign + 1 :])
            case ast.Define(output=False) | ast.Setting():
                return _Entry(item, words, "=", "", joined(words[:sign]), " =", words[sign + 1 :])
            case ast.Define() | ast.Param() | ast.Shared():
                keyword = words[0].text
                return _Entry(item, words, keyword, keyword, joined(words[1:sign]), " =", words[sign + 1 :])
            case ast.Block(braces=False) if len(joined(words[:sign])) < WIDTH * 2 // 3:
                return _Entry(item, words, "block", "block", joined(words[1:sign]), " =", words[sign + 1 :])
        return _Entry(item, words, body=words)

    def _index(self, offset: int) -> int:
        """The first word at offset or behind it."""
        return bisect_left(self._starts, offset)

    def _definition(self, entry: _Entry, prefix: str, indent: int) -> list[str]:
        """The lines of one definition, with the comment behind it."""
        margin = " " * indent
        beside = f"  {entry.words[-1].beside}" if entry.words[-1].beside else ""
        if isinstance(entry.item, ast.Section) or (isinstance(entry.item, ast.Block) and entry.item.braces):
            lines = self._braces(entry.item, entry.words, indent)
            return [*lines[:-1], lines[-1] + beside]
        head = entry.words[: len(entry.words) - len(entry.body) + 1] if prefix else ()
        comments = [margin + text for text in _comments_within(head)]
        if _comments_within(entry.body):
            first, *rest = wrap_as_written(entry.body, indent)
        else:
            first, *rest = wrap(entry.body, indent + len(prefix), indent)
        lines = [*comments, margin + prefix + first, *rest]
        return [*lines[:-1], lines[-1] + beside]

    def _braces(self, item: ast.Section | ast.Block, words: Words, indent: int) -> list[str]:
        """`train { … }`"""
        brace = next(i for i, word in enumerate(words) if word.type == "LBRACE")
        inner: Sequence[Item] = item.items if isinstance(item, ast.Section) else item.body
        head = " " * indent + joined(words[: brace + 1])
        comments = [" " * indent + text for text in _comments_within(words[: brace + 1])]
        if not any(word.first or word.above or word.beside for word in words[1:-1]) and not words[-1].first:
            flat = self._flat(words, inner, brace)
            if indent + len(flat) <= WIDTH:
                return [" " * indent + flat]
        lines = self.level(inner, indent + STEP)
        lines += _comments_above(words[-1], indent + STEP, bool(lines))
        head += f"  {words[brace].beside}" if words[brace].beside else ""
        return [*comments, head, *lines, " " * indent + "}"]

    def _flat(self, words: Words, items: Sequence[Item], brace: int) -> str:
        """All in one line, two spaces between the definitions."""
        if not items:
            return f"{joined(words[:brace])} {{}}"
        return " ".join([joined(words[: brace + 1]), "  ".join(map(self._one_line, items)), "}"])

    def _one_line(self, item: Item) -> str:
        words = self._words[self._index(item.span.start) : self._index(item.span.end)]
        if isinstance(item, ast.Section):
            return self._flat(words, item.items, next(i for i, word in enumerate(words) if word.type == "LBRACE"))
        return joined(words)


def _prefix(entry: _Entry, keywords: int, heads: int) -> str:
    """The part before the body, padded to the widest keyword and head of its run."""
    if not entry.sign:
        return ""
    keyword = f"{entry.keyword:{keywords}} " if entry.keyword else ""
    if entry.sign == ":":  # the names are aligned, what follows them is not
        return f"{keyword}{entry.head}: "
    return f"{keyword}{entry.head:{heads}}{entry.sign} "


def _comments_above(word: Word, indent: int, spaced: bool) -> list[str]:
    """The comments in the lines before a word, with empty lines as the author had them; none before the very first."""
    lines: list[str] = []
    for comment in word.above:
        lines += [""] if comment.blank and (lines or spaced) else []
        lines.append(" " * indent + comment.text)
    return lines


def _comments_within(words: Words) -> list[str]:
    """The texts of the comments between the first word and the last."""
    texts: list[str] = []
    for i, word in enumerate(words):
        texts += [comment.text for comment in word.above] if i else []
        texts += [word.beside] if word.beside and i < len(words) - 1 else []
    return texts
