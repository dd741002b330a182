"""One definition's words broken into lines.

What fits stays in a line. Else it is broken before `then` and `else`, then at arrows, then before operators, and at
last a pair of brackets is opened up: one item in each line. Two breaks of the author's are kept: before an arrow, and
behind a `[`. All that breaks here keeps these two, so laying out twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.lang.tokens import CLOSERS, OPENERS
from graphdsl.lang.words import Word, closing, gap, joined

WIDTH = 110
STEP = 2

Words = Sequence[Word]

# The loosest first.
_BREAKS = tuple(map(frozenset, [("THEN", "ELSE"), ("ARROW",), ("OR",), ("AND",), ("SIGN",)]))


def wrap(words: Words, column: int, indent: int, tail: int = 0) -> list[str]:
    """The lines of an expression. The first goes on at column and bears no indentation, the others bear theirs.

    tail is the room that must be left in the last line.
    """
    if not _forced(words):
        text = joined(words)
        if column + len(text) + tail <= WIDTH:
            return [text]
    for kinds in _BREAKS:
        parts = _split(words, kinds)
        if len(parts) > 1:
            return _fill(parts, column, indent, tail)
    return _open_up(words, column, indent)


def wrap_as_written(words: Words, indent: int) -> list[str]:
    """With comments among the words the author's lines stand; only spaces and indentation are set."""
    lines: list[str] = []
    depth = 0
    for i, word in enumerate(words):
        shift = word.type in CLOSERS
        level = depth - shift
        goes_on = not shift and (not level or any(word.type in kinds for kinds in _BREAKS))
        margin = " " * (indent + STEP * (level + goes_on))
        lines += [margin + comment.text for comment in word.above] if i else []
        if i and (word.first or words[i - 1].beside):
            lines.append(margin + word.text)
        elif i:
            lines[-1] += gap(words[i - 1], word) + word.text
        else:
            lines.append(word.text)
        lines[-1] += f"  {word.beside}" if word.beside and i < len(words) - 1 else ""
        depth += (word.type in OPENERS) - shift
    return lines


def _forced(words: Words) -> bool:
    """Did the author break a line here in a way that is kept?"""
    return any(
        (word.first and word.type == "ARROW" and i > 0) or (word.first and i > 0 and words[i - 1].type == "LSQB")
        for i, word in enumerate(words)
    )


def _split(words: Words, kinds: frozenset[str]) -> list[Words]:
    """Cut before each word of these kinds that is in no bracket."""
    parts: list[Words] = []
    depth = start = 0
    for i, word in enumerate(words):
        if not depth and i > start and word.type in kinds and not (word.type == "SIGN" and word.tight):
            parts.append(words[start:i])
            start = i
        depth += (word.type in OPENERS) - (word.type in CLOSERS)
    return [*parts, words[start:]]


def _fill(parts: list[Words], column: int, indent: int, tail: int) -> list[str]:
    """As many parts in a line as fit, or as the author put there."""
    lines = [""]
    for i, part in enumerate(parts):
        room = tail if i == len(parts) - 1 else 0
        if i and _starts_line(part, column + 1 + room):
            lines.append(" " * (indent + STEP))
            column = indent + STEP
        elif i:
            lines[-1] += " "
            column += 1
        more = wrap(part, column, indent + STEP, room)
        lines[-1] += more[0]
        lines += more[1:]
        column = len(more[-1]) if len(more) > 1 else column + len(more[0])
    return lines


def _starts_line(part: Words, column: int) -> bool:
    """Is a part put into a new line? An arrow where the author did so; else what would not fit behind the others."""
    arrow = part[0].type == "ARROW"
    if arrow and part[0].first:
        return True
    if _forced(part):
        return not arrow
    return column + len(joined(part)) > WIDTH


def _open_up(words: Words, column: int, indent: int) -> list[str]:
    """One item of the longest brackets in each line."""
    start, end = _longest_brackets(words)
    if end <= start + 1:
        return [joined(words)]
    lines = [joined(words[: start + 1])]
    inner = " " * (indent + STEP)
    items = _items(words[start + 1 : end])
    last = " " * indent + joined(words[end:])
    if table := _table(items, indent + STEP):
        return [*lines, *table, last]
    for i, item in enumerate(items):
        more = wrap(item, indent + STEP, indent + STEP, 1)
        comma = "," if i < len(items) - 1 or words[start].type == "LSQB" else ""
        lines += [inner + more[0], *more[1:]]
        lines[-1] += comma
    return [*lines, last]


def _table(items: list[Words], indent: int) -> list[str]:
    """Pipes that all begin with a list of as many names, as it is with losses: the lists' columns are aligned.

    Empty where the items are otherwise, or would not fit.
    """
    ends = [closing(item, 0) if item[0].type == "LSQB" else 0 for item in items]
    rows = [[joined(cell) for cell in _items(item[1:end])] for item, end in zip(items, ends, strict=True)]
    arrows = all(
        end and item[end + 1 : end + 2] and item[end + 1].type == "ARROW" for item, end in zip(items, ends, strict=True)
    )
    if len(items) < 2 or not arrows or any(map(_forced, items)) or len({len(row) for row in rows}) > 1:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for item, end, row in zip(items, ends, rows, strict=True):
        cells = [f"{cell}," for cell in row[:-1]] + [f"{row[-1]}]"] if row else ["]"]
        padded = [f"{cell:{width + 1}}" for cell, width in zip(cells, widths or [0], strict=True)]
        lines.append(" " * indent + "[" + " ".join(padded) + " " + joined(item[end + 1 :]) + ",")
    return lines if max(map(len, lines)) <= WIDTH else []


def _longest_brackets(words: Words) -> tuple[int, int]:
    """The outermost brackets to open up: what the author opened up, else the longest. Equal ends: there are none."""
    best, best_size = (0, 0), (False, 0)
    start = 0
    while start < len(words):
        end = closing(words, start) if words[start].type in OPENERS else start
        size = (_forced(words[start : end + 1]), end - start)
        if end > start and size > best_size:
            best, best_size = (start, end), size
        start = end + 1
    return best


def _items(words: Words) -> list[Words]:
    """What stands between the commas; nothing after a last one."""
    items: list[Words] = []
    depth = start = 0
    for i, word in enumerate(words):
        if not depth and word.type == "COMMA":
            items.append(words[start:i])
            start = i + 1
        depth += (word.type in OPENERS) - (word.type in CLOSERS)
    return [*items, words[start:]] if start < len(words) else items
