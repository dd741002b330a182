"""A section whose opening brace is missing."""

from __future__ import annotations

from graphdsl.lang.layout import first_of_line
from graphdsl.lang.mistake import Mistake, says
from graphdsl.lang.situation import Situation
from graphdsl.lang.tokens import END, Token, quoted


def braceless(s: Situation) -> Mistake | None:
    """`train`, and in the next lines, further in, `loss = …`: all of it is told about once."""
    read = s.unfinished
    if s.opened or not 0 < len(read) <= 2 or not all(isinstance(v, Token) and v.type == "NAME" for v in read):
        return None
    head = s.index - len(read)
    near = range(head + 1, min(head + 4, len(s.tokens) - 1))
    inner = next((i for i in near if first_of_line(s.tokens, i)), 0)
    is_setting = s.tokens[inner].type == "NAME" and s.tokens[inner + 1].type == "EQUAL"
    deeper = s.tokens[inner].span.column > s.tokens[head].span.column
    if not (inner and inner <= s.index + 1 and is_setting and deeper and first_of_line(s.tokens, head)):
        return None
    name = " ".join(t.text[:40] for t in s.tokens[head:inner] if t.type == "NAME")
    said = says("E0110", f"a `{{` is missing after {quoted(name)}", read[0].span, help=f"write `{name} {{ … }}`")
    return Mistake(said, resume=_outdented(s, head, inner))


def _outdented(s: Situation, head: int, inner: int) -> int:
    """Behind the lines from inner on that stand further in than head, and the brace that was to close them."""
    column = s.tokens[head].span.column
    end = inner
    while s.tokens[end].type != END and not (first_of_line(s.tokens, end) and s.tokens[end].span.column <= column):
        end += 1
    return end + 1 if s.tokens[end].type == "RBRACE" else end
