"""What is wrong, in words: a list of rules that look at the place where the grammar refused a token.

The first rule that knows the situation answers, so the order matters: characters, then brackets, then words, then what
is missing, and last what is merely out of place.
"""

from __future__ import annotations

from collections.abc import Callable

from graphdsl.lang import ast
from graphdsl.lang.braceless import braceless
from graphdsl.lang.layout import OUTER, begins, first_of_line
from graphdsl.lang.mistake import CLOSE_BLOCK, Mistake, says
from graphdsl.lang.situation import Situation
from graphdsl.lang.tokens import (
    BAD_NUMBER,
    CLOSERS,
    END,
    OPEN_STRING,
    OPENERS,
    SIGNS,
    STARTERS,
    UNKNOWN,
    Token,
    quoted,
)
from graphdsl.report import Label

_OPERATORS = frozenset({"SIGN", "STAR", "SCALE", "POWER", "COMPARE", "AND", "OR"})
_PIPE_BEGINS = frozenset({"ARROW", "EQUAL", "COMMA", "THEN", "ELSE", "IF", "LBRACE"})
_VALUES = frozenset({"NAME", "NUMBER", "SIZE", "STRING", "LPAR", "LSQB", "IN", "IF", "NOT", "TRUE", "FALSE", "NONE"})
_LITERALS = frozenset({"NUMBER", "SIZE", "STRING", "TRUE", "FALSE", "NONE"})

_COMMENTS = "comments begin with `#`"
_WANTED = {"ARROW": "a layer", "DOT": "a fact such as `channels`", "COLON": "a type such as `float[28, 28, 1]`"}

# What people type for what the language has.
_MEANT = {
    "→": "write `->`",
    "⇒": "write `->`",
    "'": 'texts stand in double quotes: `"…"`',
    "“": 'texts stand in plain double quotes: `"…"`',
    "”": 'texts stand in plain double quotes: `"…"`',
    "‘": 'texts stand in double quotes: `"…"`',
    "’": 'texts stand in double quotes: `"…"`',
    "−": "write `-`",
    "–": "write `-`",
    "×": "write `x` in a size (`3x3`), `*` in a product",
    "·": "write `*`",
    "^": "a power is written `**`",
    "!": "write `not`, or `!=` for unequal",
    "&": "write `and`",
    "|": "write `or`; data flows along `->`",
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    ";": "nothing stands between definitions: leave it out",
    "\\": "a definition may go on in the next line: leave it out",
    "…": "write out what belongs here",
}


def explain(situation: Situation) -> Mistake:
    """What is wrong here. Some rule always knows."""
    answers = (rule(situation) for rule in _RULES)
    return next(answer for answer in answers if answer is not None)


# --- characters ------------------------------------------------------------------------------------------------------


def _character(s: Situation) -> Mistake | None:
    if s.token.type != UNKNOWN:
        return None
    first = s.token.text[0]
    shown = f"`{first}`" if first.isprintable() else f"U+{ord(first):04X}"
    letters = "names are made of the letters a to z, digits and `_`" if first.isalnum() else ""
    return Mistake(
        says("E0101", f"the character {shown} means nothing here", s.token.span, help=_MEANT.get(first, letters))
    )


def _string(s: Situation) -> Mistake | None:
    if s.token.type != OPEN_STRING:
        return None
    return Mistake(says("E0102", "this text is not closed", s.token.span, help='end it with `"` in the same line'))


def _number(s: Situation) -> Mistake | None:
    if s.token.type != BAD_NUMBER:
        return None
    text = s.token.text
    help = "numbers look like `64`, `0.25` or `1e-4`, sizes like `1x7`; a name begins with a letter"
    if text.endswith(".") and text[:-1].isdigit():
        help = f"write `{text}0`" if len(text) < 20 else help
    if "_" in text and text.replace("_", "").isdigit():
        help = "write the digits without `_`"
    return Mistake(says("E0103", f"{quoted(text)} is not a number", s.token.span, help=help))


# --- brackets --------------------------------------------------------------------------------------------------------


def _closer(s: Situation) -> Mistake | None:
    """A closing bracket that closes nothing, or something else than what is open."""
    if s.token.type not in CLOSERS or CLOSERS[s.token.type] == s.bracket:
        return None
    if not s.opened:
        return Mistake(says("E0105", f"{s.found} closes nothing", s.token.span, label="no bracket is open"), drop=True)
    inner = s.opened[-1]
    if inner.start in s.layout.closers:
        other = Label(inner.span, "this bracket is open")
        return Mistake(says("E0105", f"{s.found} closes nothing", s.token.span, other=other), drop=True)
    if any(o.type == CLOSERS[s.token.type] for o in s.opened):
        return _unclosed(s)
    needed = OPENERS[inner.type]
    other = Label(inner.span, f"this needs `{SIGNS[needed]}`")
    message = f"{s.found} does not close `{inner.text}`"
    said = says("E0105", message, s.token.span, help=f"write `{SIGNS[needed]}`", other=other)
    return Mistake(said, needed, drop=True)


def _open_bracket(s: Situation) -> Mistake | None:
    """The text ends or a definition begins, and a bracket is open that nothing closes."""
    if not s.opened or s.opened[-1].start in s.layout.closers:
        return None
    in_braces = s.bracket == "LBRACE"
    ends = s.token.type == END or (s.begins and (not in_braces or s.token.type in OUTER))
    boundary = s.layout.boundaries.get(s.opened[-1].start, s.index) if not in_braces else s.index
    return _unclosed(s) if ends or boundary < s.index else None


def _unclosed(s: Situation) -> Mistake:
    """Told at the place where the bracket was opened. Reading goes on where a definition began inside it."""
    inner = s.opened[-1]
    closer = OPENERS[inner.type]
    boundary = s.layout.boundaries.get(inner.start, s.index)
    before = s.tokens[min(boundary, s.index)]
    other = None if before.type == END else Label(before.span, f"`{SIGNS[closer]}` is missing before this")
    said = says("E0104", f"`{inner.text}` is never closed", inner.span, help=f"add `{SIGNS[closer]}`", other=other)
    if inner.type == "LBRACE":
        return Mistake(said, CLOSE_BLOCK)
    return Mistake(said, resume=boundary if boundary < s.index else None)


# --- words -----------------------------------------------------------------------------------------------------------


def _misplaced(s: Situation) -> Mistake | None:
    """A whole definition where there cannot be one."""
    if s.bracket != "LBRACE" or s.token.type not in STARTERS or not s.begins or not s.complete:
        return None
    brace = next(i for i, v in enumerate(s.machine.value_stack) if v is s.opened[-1])
    in_block = any(isinstance(v, Token) and v.type == "BLOCK" for v in s.machine.value_stack[max(0, brace - 3) : brace])
    where = "a block" if in_block else "a section"
    help = f"move it out of the braces, before the {where[2:]}"
    if s.token.type == "OUTPUT":
        help = "write `name = …` without the word, or move it out of the braces"
    return Mistake(says("E0111", f"{s.found} cannot stand inside {where}", s.token.span, help=help))


def _reserved(s: Situation) -> Mistake | None:
    """A word of the language where a name is needed: `block in(c)`, `y = input -> relu`."""
    previous = s.previous
    if previous.type in STARTERS and s.token.type in ("EQUAL", "COLON", "COMMA") and s.index:
        help = f"write `{previous.text} name …`, or choose another name"
        return Mistake(says("E0109", f"`{previous.text}` is a reserved word, not a name", previous.span, help=help))
    if not s.token.text.isidentifier() or s.token.type == "NAME":
        return None
    heads = s.takes("NAME") and s.after.type == "EQUAL"
    if not (heads or _names_something(s)):
        return None
    message = f"{s.found} is a reserved word, not a name"
    return Mistake(says("E0109", message, s.token.span, help="choose another name"))


def _names_something(s: Situation) -> bool:
    """Does the grammar want a name here, and does the word not begin the next definition instead?"""
    legal_start = s.token.type in STARTERS and s.after.type in ("NAME", "STRING") and s.begins
    if legal_start or s.complete or not s.takes("NAME"):
        return False
    only_a_name = not s.takes("NUMBER") and s.previous.type != "ARROW"
    return s.token.type in STARTERS or only_a_name


def _headless(s: Situation) -> Mistake | None:
    """A name was read as the beginning of a definition, and no `=` follows: an arrow or a `=` is missing."""
    read = s.unfinished
    if not 0 < len(read) <= 2 or not all(isinstance(v, Token) and v.type == "NAME" for v in read):
        return None
    name: Token = read[0]
    in_one_line = len(read) == 2 and not first_of_line(s.tokens, s.index - 1)
    if in_one_line and s.token.type == "NAME" and s.after.type == "LBRACE":
        message, help = f"{s.found} is out of place", "a section has at most one name"
        return Mistake(says("E0111", message, s.token.span, help=help))
    resume = s.index - 1 if len(read) == 2 else s.index
    if s.continues(name):
        message = f"{quoted(name.text)} begins a new definition here, but no `=` follows"
        help = f"is a `->` missing before {quoted(name.text)}?"
        return Mistake(says("E0106", message, name.span, help=help), resume=resume)
    span = read[1].span if len(read) == 2 else s.place
    label = "" if span.start == name.start else "`=` should stand before this"
    return Mistake(
        says("E0107", f"a `=` is missing after {quoted(name.text)}", span, label, _equal_help(s, read)), resume=resume
    )


def _equal_help(s: Situation, read: list[Token]) -> str:
    if len(read) == 1 and s.token.text in (":", "=="):
        return f"write `{read[0].text[:40]} = …`"
    if len(read) == 2 and s.token.type == "EQUAL":
        return f"a name is one word: `{read[0].text}_{read[1].text}`" if len(read[0].text + read[1].text) < 40 else ""
    closer = s.layout.closers.get(s.token.start, -1)
    if len(read) == 1 and closer > 0 and s.tokens[closer + 1].type == "EQUAL":
        return f"a recipe begins with the word: `block {read[0].text[:40]}(…) = …`"
    return "a definition is `name = …`, a section `name { … }`"


def _swallowed(s: Situation) -> Mistake | None:
    """`y = x ->` and in the next line `z = …`: z was taken for a part of y."""
    head = s.index - 1
    if s.bracket in ("LPAR", "LSQB") or head < 1 or s.previous.type != "NAME" or not begins(s.tokens, head):
        return None
    before = s.tokens[head - 1]
    wanted = _WANTED.get(before.type, "a value")
    return Mistake(says("E0110", f"{wanted} is missing after {quoted(before.text)}", before.span), resume=head)


# --- what is missing -------------------------------------------------------------------------------------------------


def _settings(s: Situation) -> Mistake | None:
    """`-> dense 84`"""
    flows = s.index > 1 and s.tokens[s.index - 2].type == "ARROW" and s.previous.type == "NAME"
    if not flows or s.token.type not in _LITERALS:
        return None
    layer, value = s.previous.text[:40], s.token.text[:40]
    return Mistake(
        says(
            "E0110",
            f"a `(` is missing before {s.found}",
            s.token.span,
            help=f"settings stand in brackets: `{layer}({value})`",
        )
    )


def _comma(s: Situation) -> Mistake | None:
    if s.bracket not in ("LPAR", "LSQB"):
        return None
    if s.token.type == "COLON" and s.bracket == "LPAR" and s.previous.type == "NAME":
        message = f"a setting is written `{s.previous.text[:40]}=…`"
        return Mistake(says("E0107", message, s.token.span, help="write `=`"))
    if s.token.type not in _VALUES or not s.takes("COMMA"):
        return None
    arrow = s.token.type == "NAME" and s.takes("ARROW")
    message = f"a `,` or a `->` is missing before {s.found}" if arrow else f"a `,` is missing before {s.found}"
    return Mistake(says("E0108", message, s.token.span), "" if arrow else "COMMA")


def _sign(s: Situation) -> Mistake | None:
    """`=` of a definition, `:` of an input, `then` and `else`."""
    after = quoted(s.previous.text)
    swapped = s.token.type in ("COLON", "EQUAL")
    if s.takes("EQUAL") and s.bracket not in ("LPAR", "LSQB"):
        return Mistake(says("E0107", f"a `=` is missing after {after}", s.place), "EQUAL", drop=swapped)
    if s.takes("COLON") and s.unfinished[0].type == "WEIGHT" and s.token.type == "EQUAL":
        help = "write `weight canvas: float[256, 256, 3] = …`"
        return Mistake(says("E0110", f"a `:` and a type are missing after {after}", s.place, help=help))
    if s.takes("COLON"):
        help = "a type follows: `input image: float[28, 28, 1]`"
        return Mistake(says("E0110", f"a `:` is missing after {after}", s.place, help=help), "COLON", drop=swapped)
    word = next((w for w in ("THEN", "ELSE") if s.takes(w)), "")
    if word and s.token.type not in _OPERATORS | {"EQUAL"}:
        help = "a choice is written `if condition then a else b`"
        return Mistake(says("E0110", f"`{word.lower()}` is missing after {after}", s.place, help=help))
    return None


def _operator(s: Situation) -> Mistake | None:
    """`x -> relu + y`: an operator cannot follow a layer."""
    if s.token.type not in _OPERATORS or not s.takes("ARROW") or s.takes("NUMBER") or not _in_pipe(s):
        return None
    help = "put the pipe in brackets: `(x -> relu) + y`"
    if s.token.type == "SIGN" and "*" in (t.text for t in s.tokens[max(0, s.index - 2) : s.index]):
        help = "put the count in brackets: `-> block * (n - 1)`"
    return Mistake(says("E0111", f"{s.found} cannot follow a layer", s.token.span, help=help))


def _in_pipe(s: Situation) -> bool:
    """Is the last thing that was read a layer, or the count behind one?"""
    for value in reversed(s.unfinished):
        if isinstance(value, Token) and value.type in _PIPE_BEGINS:
            return value.type == "ARROW"
        if isinstance(value, list) and value and isinstance(value[0], ast.Stage):
            return True
    return False


def _nothing_follows(s: Situation) -> Mistake | None:
    """Something must follow the previous token, and does not."""
    wanted = _wanted(s)
    if not wanted:
        return None
    label = f"found {s.found}" if s.place.start == s.token.start else ""
    help = _COMMENTS if s.token.text == s.previous.text == "/" else ""
    if s.token.type == "DOT" and s.after.type == "NUMBER":
        help = f"write `0.{s.after.text[:20]}`"
    return Mistake(says("E0110", f"{wanted} is missing after {quoted(s.previous.text)}", s.place, label, help))


def _wanted(s: Situation) -> str:
    """What the grammar waits for, in a word."""
    if not s.unfinished or s.complete:
        return ""
    if s.previous.type in _WANTED:
        return _WANTED[s.previous.type]
    if s.takes("NUMBER"):
        return "a value"
    if s.takes("STRING") and s.previous.type == "USE":
        return "a file name in double quotes"
    return "a name" if s.takes("NAME") else ""


# --- out of place ----------------------------------------------------------------------------------------------------


def _out_of_place(s: Situation) -> Mistake | None:
    help = ""
    if s.token.type == "EQUAL":
        arrow = s.token.span.source.text.startswith("=>", s.token.span.start)
        help = "data flows along `->`" if arrow else "to compare, write `==`"
    if s.token.type == "COMPARE":
        help = "comparisons do not chain: write `a < b and b < c`"
    if s.token.type == "POWER":
        help = "powers do not chain: write `a ** (b ** c)`"
    if s.token.type == "ARROW" and not s.unfinished:
        help = "data flows from something: `name = input -> …`"
    where = f"after {quoted(s.previous.text)}" if s.index else "here"
    return Mistake(says("E0111", f"{s.found} is out of place {where}", s.token.span, help=help))


_RULES: tuple[Callable[[Situation], Mistake | None], ...] = (
    _character,
    _string,
    _number,
    _closer,
    _open_bracket,
    _misplaced,
    _reserved,
    braceless,
    _headless,
    _swallowed,
    _settings,
    _comma,
    _sign,
    _operator,
    _nothing_follows,
    _out_of_place,
)
