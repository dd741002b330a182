"""Reads protobuf's text format, which prototxt files are written in, into messages of named, repeated fields.

    name: "net"  layer { top: "a" top: 'b'  dim: [1, 3]  scale: 1e-3f  type: CONVOLUTION }   # comment

Nothing is known here of what fields mean: a value is a number, a word (which an enum or a truth value is), a text or a
message. Where each stands is kept, so that a mistake is told at its line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from graphdsl.report import Failed, Source, Span, dataclass, fail

LONGEST = 20_000_000
DEEPEST = 64

TOKEN = re.compile(
    r"""(?P<blank>[\s]+|\#[^\n]*)
      |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      |(?P<number>-?\s*(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?)(?![\w.]))
      |(?P<word>-?[A-Za-z_][\w./-]*)
      |(?P<mark>[{}<>\[\]:;,])""",
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
CLOSES = {"{": "}", "<": ">"}


@dataclass(frozen=True)
class Field:
    """One value of a field, and where it stands: a number, a message, or a str for texts and words alike."""

    value: int | float | str | Message
    span: Span


@dataclass(frozen=True)
class Message:
    """Fields by name, each with all its values in the order of the file."""

    fields: dict[str, list[Field]]
    span: Span

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def numbers(self, name: str) -> list[float]:
        """All values of a field of numbers; E0902 where one is something else."""
        return [_number(name, f) for f in self.fields.get(name, ())]

    def number(self, name: str, default: float) -> float:
        return (self.numbers(name) or [default])[-1]

    def counts(self, name: str) -> list[int]:
        """All values of a field of whole numbers; E0902 where one is something else."""
        return [_count(name, f) for f in self.fields.get(name, ())]

    def count(self, name: str, default: int) -> int:
        return (self.counts(name) or [default])[-1]

    def texts(self, name: str) -> list[str]:
        """All values of a field of texts or words; E0902 where one is something else."""
        return [_text(name, f) for f in self.fields.get(name, ())]

    def text(self, name: str, default: str = "") -> str:
        return (self.texts(name) or [default])[-1]

    def flag(self, name: str, default: bool) -> bool:
        """A truth value, in one of protobuf's spellings."""
        return ([_flag(name, f) for f in self.fields.get(name, ())] or [default])[-1]

    def messages(self, name: str) -> list[Message]:
        """All values of a field of messages; E0902 where one is something else."""
        return [_message(name, f) for f in self.fields.get(name, ())]

    def message(self, name: str) -> Message:
        """The message of this field; several are merged as protobuf does, none is an empty one."""
        merged: dict[str, list[Field]] = {}
        for each in self.messages(name):
            for key, found in each.fields.items():
                merged.setdefault(key, []).extend(found)
        return Message(merged, self.fields[name][0].span if name in self.fields else self.span)


def parsed(source: Source) -> Message:
    """The whole file as one message.

    E0902  at its place: text that is no text format, brackets that do not close, more than 64 deep, more than
           20,000,000 characters
    """
    if len(source.text) > LONGEST:
        raise fail("E0902", f"`{source.path}` has {len(source.text):,} characters; at most {LONGEST:,} are read")
    reader = _Reader(source)
    whole = reader.message("", 0)
    return whole


class _Reader:
    """The tokens of a file, with the next one in view. Lives while one file is read."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.tokens = _tokens(source)
        self.kind, self.word, self.span = next(self.tokens)

    def advance(self) -> str:
        word = self.word
        self.kind, self.word, self.span = next(self.tokens)
        return word

    def skip(self, marks: str) -> bool:
        """Goes over one mark if it is next."""
        if self.kind == "mark" and self.word in marks:
            self.advance()
            return True
        return False

    def message(self, close: str, depth: int, start: Span | None = None) -> Message:
        if depth > DEEPEST:
            raise fail("E0902", f"messages are nested more than {DEEPEST} deep", self.span)
        start, fields = start or self.span, dict[str, list[Field]]()
        while not (self.kind == "mark" and self.word == close) and self.kind != "end":
            if self.kind != "word":
                raise self.unexpected("the name of a field")
            name = self.advance()
            fields.setdefault(name, []).extend(self.values(depth))
            self.skip(";,")
        if close and self.kind == "end":
            raise fail("E0902", f"`{close}` is missing: the message that begins here does not end", start)
        return Message(fields, start)

    def values(self, depth: int) -> list[Field]:
        """What follows a name: one value, or a list of them in square brackets."""
        colon = self.skip(":")
        if not self.skip("["):
            return [self.value(depth, colon)]
        found: list[Field] = []
        while not self.skip("]"):
            found.append(self.value(depth, True))
            if not self.skip(",") and self.word != "]":
                raise self.unexpected("`,` or `]`")
        return found

    def value(self, depth: int, colon: bool) -> Field:
        span = self.span
        if self.kind == "mark" and self.word in CLOSES:
            close = CLOSES[self.advance()]
            inner = self.message(close, depth + 1, span)
            self.advance()
            return Field(inner, span)
        if not colon:
            raise self.unexpected("`:` or `{`")
        if self.kind == "text":
            return Field(self.concatenated(), span)
        if self.kind == "number":
            return Field(_read_number(self.advance()), span)
        if self.kind == "word":
            return Field(self.advance(), span)
        raise self.unexpected("a value")

    def concatenated(self) -> str:
        """Texts that follow each other are one text."""
        whole = ""
        while self.kind == "text":
            whole += ESCAPE.sub(_unescaped, self.advance()[1:-1])
        return whole

    def unexpected(self, wanted: str) -> Failed:
        found = "the end of the file" if self.kind == "end" else f"`{self.word}`"
        return fail("E0902", f"{wanted} should stand here, not {found}", self.span)


def _tokens(source: Source) -> Iterator[tuple[str, str, Span]]:
    place = 0
    while place < len(source.text):
        match = TOKEN.match(source.text, place)
        if match is None:
            span = Span(source, place, place + 1)
            raise fail("E0902", f"`{source.text[place]}` does not belong into a prototxt file", span)
        if match.lastgroup != "blank":
            yield str(match.lastgroup), match[0], Span(source, match.start(), match.end())
        place = match.end()
    end = Span(source, place, place)
    while True:
        yield "end", "", end


def _unescaped(match: re.Match[str]) -> str:
    hexadecimal, octal, letter = match.groups()
    if letter:
        return ESCAPED.get(letter, letter)
    return chr(int(hexadecimal, 16) if hexadecimal else int(octal, 8))


def _read_number(written: str) -> int | float:
    text = "".join(written.split())
    if "x" in text.lower():
        return int(text, 16)
    digits = text.rstrip("fF")
    if digits.lstrip("-").isdigit():
        plain = digits.lstrip("-")
        octal = len(plain) > 1 and plain[0] == "0" and all(d in "01234567" for d in plain)
        return int(digits, 8) if octal else int(digits) if len(digits) < 400 else float(digits)
    return float(digits)


def _wrong(name: str, field: Field, wanted: str) -> Failed:
    got = "a message" if isinstance(field.value, Message) else f"`{field.value}`"
    return fail("E0902", f"`{name}` takes {wanted}, not {got}", field.span)


def _number(name: str, field: Field) -> float:
    match field.value:
        case int() | float():
            return field.value
        case str() if field.value.lower().lstrip("-") in ("inf", "infinity", "nan"):
            return float(field.value)
    raise _wrong(name, field, "a number")


def _count(name: str, field: Field) -> int:
    if isinstance(field.value, int) and abs(field.value) < 2**63:
        return field.value
    raise _wrong(name, field, "a whole number")


def _text(name: str, field: Field) -> str:
    if isinstance(field.value, Message):
        raise _wrong(name, field, "a text")
    return str(field.value)


def _flag(name: str, field: Field) -> bool:
    spelled = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}.get(str(field.value).lower())
    if spelled is None:
        raise _wrong(name, field, "`true` or `false`")
    return spelled


def _message(name: str, field: Field) -> Message:
    if isinstance(field.value, Message):
        return field.value
    raise _wrong(name, field, "a message: `{ … }`")
