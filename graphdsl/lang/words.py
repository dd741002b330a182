"""Tokens as the formatter sees them: with the comments around them and what decides the space between two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphdsl.lang.grammar import grammar
from graphdsl.lang.tokens import CLOSERS, END, OPENERS, Token
from graphdsl.report import Source, dataclass

# After these a sign belongs to the number behind it.
_BEFORE_UNARY = frozenset({
    "SIGN", "STAR", "SCALE", "POWER", "COMPARE", "AND", "OR", "NOT", "ARROW", "EQUAL", "COMMA", "COLON",
    "LPAR", "LSQB", "LBRACE", "IF", "THEN", "ELSE", "ASSERT",
})  # fmt: skip


@dataclass(frozen=True)
class Comment:
    """A comment in a line of its own; blank: an empty line stands before it."""

    text: str
    blank: bool


@dataclass(frozen=True)
class Word:
    """A token in its surroundings.

    above   comments in the lines before it
    beside  a comment behind it, in its line
    blank   an empty line stands before it
    first   it is the first of its line
    inside  it stands in round or square brackets
    tight   no space stands on either side: `4*c`; or it is a sign that belongs to what follows
    """

    token: Token
    above: tuple[Comment, ...]
    beside: str
    blank: bool
    first: bool
    inside: bool
    tight: bool

    @property
    def type(self) -> str:
        return self.token.type

    @property
    def text(self) -> str:
        return self.token.text


def words_of(source: Source) -> list[Word]:
    """The words of a text, and an END that holds the comments behind the last."""
    words = list(_Gathering(grammar().lexicon.scan(source), source).words())
    return [_with_tightness(words, i) for i in range(len(words))]


class _Gathering:
    """One run over all tokens, comments and white space of a text."""

    def __init__(self, tokens: list[Token], source: Source) -> None:
        self._tokens = [*tokens, Token(END, "", len(source.text), source)]
        self._depth = 0
        self._above: list[Comment] = []
        self._breaks = 2  # line breaks since the last word or comment: the text begins a line

    def words(self) -> Iterator[Word]:
        index = 0
        while index < len(self._tokens):
            token = self._tokens[index]
            index += 1
            if token.type == "SPACE":
                self._breaks += token.text.count("\n")
            elif token.type == "COMMENT":
                self._above.append(Comment(token.text.rstrip(), self._breaks > 1))
                self._breaks = 0
            else:
                beside = self._beside(index)
                index += len(beside)
                yield self._word(token, beside[-1].text.rstrip() if beside else "")

    def _beside(self, index: int) -> list[Token]:
        """The comment behind a word in its line, with the space before it; looked for from index."""
        after = self._tokens[index : index + 2]
        if after and after[0].type == "COMMENT":
            return after[:1]
        spaced = [t.type for t in after] == ["SPACE", "COMMENT"] and "\n" not in after[0].text
        return after if spaced else []

    def _word(self, token: Token, beside: str) -> Word:
        self._depth -= token.type in ("RPAR", "RSQB")
        first = self._breaks > 0 or bool(self._above)
        word = Word(token, tuple(self._above), beside, self._breaks > 1, first, self._depth > 0, False)
        self._depth += token.type in ("LPAR", "LSQB")
        self._above, self._breaks = [], 0
        return word


def _with_tightness(words: Sequence[Word], index: int) -> Word:
    word = words[index]
    if word.type not in ("SIGN", "STAR", "SCALE"):
        return word
    before, after = words[max(index - 1, 0)], words[index + 1]
    tight = before.type in _BEFORE_UNARY if word.type == "SIGN" else _touches(before, word) and _touches(word, after)
    if word.type == "STAR" and _repeats(words, index):
        tight = False
    return Word(word.token, word.above, word.beside, word.blank, word.first, word.inside, tight)


def _touches(left: Word, right: Word) -> bool:
    return left.token.end == right.token.start


def _repeats(words: Sequence[Word], star: int) -> bool:
    """Does the star stand behind a layer: `-> res(64) * 3`?"""
    index = star - 1
    if words[index].type == "RPAR":
        depth = 1
        while depth:
            index -= 1
            depth += (words[index].type == "RPAR") - (words[index].type == "LPAR")
        index -= 1
    return index > 0 and words[index].type == "NAME" and words[index - 1].type == "ARROW"


def gap(left: Word, right: Word) -> str:
    """What stands between two words of one line."""
    if left.tight or (right.tight and right.type != "SIGN"):
        return ""
    if right.type == "COMMA" or "DOT" in (left.type, right.type) or "POWER" in (left.type, right.type):
        return ""
    if left.type in ("LPAR", "LSQB") or right.type in ("RPAR", "RSQB", "COLON", "MAYBE"):
        return ""
    if "EQUAL" in (left.type, right.type):
        return "" if left.inside and right.inside else " "
    if right.type == "LPAR":
        return "" if left.type == "NAME" else " "
    if right.type == "LSQB":
        return "" if left.type in ("NAME", "RPAR", "MAYBE") else " "
    return " "


def joined(words: Sequence[Word]) -> str:
    """The words in one line, without their comments. A comma before a closing bracket is left out."""
    parts: list[str] = []
    last: Word | None = None
    for i, word in enumerate(words):
        if word.type == "COMMA" and i + 1 < len(words) and words[i + 1].type in CLOSERS:
            continue
        parts += [gap(last, word), word.text] if last else [word.text]
        last = word
    return "".join(parts)


def closing(words: Sequence[Word], index: int) -> int:
    """The index of the bracket that closes the one at index."""
    depth = 0
    for i in range(index, len(words)):
        depth += (words[i].type in OPENERS) - (words[i].type in CLOSERS)
        if not depth:
            return i
    return len(words)
