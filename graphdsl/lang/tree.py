"""The tree, built while the parser reads: one method for each rule or alias of dag.lark.

A method gets the parts of its rule: tokens, and what the methods of its sub-rules gave. Nothing recurses, so a pipe of
ten thousand stages costs no stack.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any, Protocol

from graphdsl.lang import ast
from graphdsl.lang.tokens import CLOSERS, OPENERS, Token, quoted
from graphdsl.report import Span, fail

MAX_DIGITS = 40

Parts = list[Any]


class Placed(Protocol):
    @property
    def span(self) -> Span: ...


def _across(parts: Parts) -> Span:
    """From the first part to the last."""
    first: Placed = parts[0]
    last: Placed = parts[-1]
    return first.span.to(last.span)


def _name(token: Token) -> ast.NameDef:
    return ast.NameDef(token.text, token.span)


class TreeBuilder:
    """Stateless: what Lark calls a transformer."""

    # --- lists -------------------------------------------------------------------------------------------------------

    def nothing(self, parts: Parts) -> Growing:
        return Growing()

    def grow(self, parts: Parts) -> Growing:
        growing: Growing = parts[0]
        growing.append(parts[1])
        return growing

    def first(self, parts: Parts) -> Parts:
        return parts

    def first_stage(self, parts: Parts) -> Parts:
        return parts[1:]

    def more(self, parts: Parts) -> Parts:
        items: Parts = parts[0]
        items.append(parts[2])
        return items

    def expressions(self, parts: Parts) -> tuple[Any, ...]:
        return tuple(parts[0]) if parts else ()

    arguments = expressions

    def formals(self, parts: Parts) -> tuple[ast.Formal, ...]:
        return tuple(parts[1]) if len(parts) > 2 else ()

    def names(self, parts: Parts) -> tuple[ast.NameDef, ...]:
        return tuple(_name(token) for token in parts[0])

    # --- definitions -------------------------------------------------------------------------------------------------

    def file(self, parts: Parts) -> tuple[ast.Definition, ...]:
        return tuple(parts[0])

    def use(self, parts: Parts) -> ast.Use:
        return ast.Use(self.text(parts[1:]), _across(parts))

    def param(self, parts: Parts) -> ast.Param:
        domain = _domain(parts[5]) if len(parts) > 4 else None
        return ast.Param(_name(parts[1]), parts[3], domain, _across(parts))

    def input(self, parts: Parts) -> ast.Input:
        return ast.Input(parts[1], parts[3], _across(parts))

    def target(self, parts: Parts) -> ast.Target:
        return ast.Target(parts[1], parts[3], _across(parts))

    def weight(self, parts: Parts) -> ast.Weight:
        init = parts[5] if len(parts) > 4 else None
        return ast.Weight(_name(parts[1]), parts[3], init, _across(parts))

    def shared(self, parts: Parts) -> ast.Shared:
        return ast.Shared(_name(parts[1]), parts[3], _across(parts))

    def define(self, parts: Parts) -> ast.Define:
        return ast.Define(parts[0], parts[2], False, parts[0][0].span.to(parts[2].span))

    def output(self, parts: Parts) -> ast.Define:
        return ast.Define(parts[1], parts[3], True, _across(parts))

    def check(self, parts: Parts) -> ast.Assert:
        message = parts[2].text[1:-1] if len(parts) > 2 else ""
        return ast.Assert(parts[1], message, _across(parts))

    def block(self, parts: Parts) -> ast.Block:
        value = parts[4]
        body = ast.Define((ast.NameDef("out", value.span),), value, False, value.span)
        return ast.Block(_name(parts[1]), parts[2], (body,), False, _across(parts))

    def block_of_locals(self, parts: Parts) -> ast.Block:
        return ast.Block(_name(parts[1]), parts[2], tuple(parts[4]), True, _across(parts))

    def formal(self, parts: Parts) -> ast.Formal:
        default = parts[2] if len(parts) > 1 else None
        return ast.Formal(_name(parts[0]), default, _across(parts))

    def section(self, parts: Parts) -> ast.Section:
        kind, name = parts[0], parts[1] if len(parts) == 5 else None
        return ast.Section(
            kind=kind.text,
            kind_span=kind.span,
            name=name.text if name else "",
            name_span=name.span if name else None,
            items=tuple(parts[-2]),
            span=_across(parts),
        )

    def setting(self, parts: Parts) -> ast.Setting:
        return ast.Setting(parts[0], parts[2], parts[0][0].span.to(parts[2].span))

    def type(self, parts: Parts) -> ast.TypeExpression:
        maybe = any(part.type == "MAYBE" for part in parts[1:2])
        bracketed = {parts[i].text: parts[i + 1] for i in range(1 + maybe, len(parts), 3)}
        return ast.TypeExpression(
            name=parts[0].text,
            name_span=parts[0].span,
            arguments=bracketed.get("(", ()),
            dimensions=bracketed.get("["),
            maybe=maybe,
            span=_across(parts),
        )

    # --- expressions -------------------------------------------------------------------------------------------------

    def conditional(self, parts: Parts) -> ast.Conditional:
        return ast.Conditional(parts[1], parts[3], parts[5], _across(parts))

    def flow(self, parts: Parts) -> ast.Pipe:
        source, stages = parts
        return ast.Pipe(source, tuple(stages), source.span.to(stages[-1].span))

    def recipe(self, parts: Parts) -> ast.Pipe:
        stages = (parts[0], *parts[1]) if len(parts) > 1 else (parts[0],)
        return ast.Pipe(None, stages, _across(list(stages)))

    def stage(self, parts: Parts) -> ast.Stage:
        repeat = parts[2] if len(parts) > 1 else None
        return ast.Stage(parts[0], repeat, _across(parts))

    def layer(self, parts: Parts) -> ast.Call:
        arguments = parts[2] if len(parts) > 1 else ()
        return ast.Call(parts[0].text, parts[0].span, arguments, _across(parts))

    call = layer

    def argument(self, parts: Parts) -> ast.Argument:
        if len(parts) == 1:
            return ast.Argument("", None, parts[0], parts[0].span)
        return ast.Argument(parts[0].text, parts[0].span, parts[2], _across(parts))

    def binary(self, parts: Parts) -> ast.Binary:
        left, operator, right = parts
        return ast.Binary(operator.text, left, right, operator.span, _across(parts))

    def unary(self, parts: Parts) -> ast.Unary:
        return ast.Unary(parts[0].text, parts[1], _across(parts))

    def fact(self, parts: Parts) -> ast.Fact:
        value = self.name(parts) if isinstance(parts[0], Token) else parts[0]
        return ast.Fact(value, parts[2].text, parts[2].span, _across(parts))

    def list(self, parts: Parts) -> ast.ListOf:
        return ast.ListOf(parts[1], _across(parts))

    def group(self, parts: Parts) -> ast.Expression:
        """Brackets leave no node, but belong to the stretch of text that an error points at."""
        inner: ast.Expression = parts[1]
        return replace(inner, span=_across(parts))

    def name(self, parts: Parts) -> ast.Name:
        return ast.Name(parts[0].text, parts[0].span)

    def number(self, parts: Parts) -> ast.Number:
        token: Token = parts[0]
        _bounded(token)
        value = int(token.text) if token.text.isdigit() else float(token.text)
        if not isfinite(value):
            raise fail(
                "E0113", f"the number {quoted(token.text)} is too large", token.span, label="at most about 1.8e308"
            )
        return ast.Number(value, token.span)

    def size(self, parts: Parts) -> ast.SizeLiteral:
        token: Token = parts[0]
        _bounded(token)
        return ast.SizeLiteral(tuple(int(n) for n in token.text.split("x")), token.span)

    def text(self, parts: Parts) -> ast.Text:
        return ast.Text(parts[0].text[1:-1], parts[0].span)

    def true(self, parts: Parts) -> ast.Truth:
        return ast.Truth(True, parts[0].span)

    def false(self, parts: Parts) -> ast.Truth:
        return ast.Truth(False, parts[0].span)

    def none(self, parts: Parts) -> ast.Nothing:
        return ast.Nothing(parts[0].span)


class Growing(Parts):
    """The definitions read so far at one level: the places from which reading goes on after a mistake."""


def open_brackets(values: Parts) -> list[Token]:
    """The brackets among the values of a parser that are not closed, outermost first."""
    opened: list[Token] = []
    for value in values:
        if isinstance(value, Token) and value.type in OPENERS:
            opened.append(value)
        elif isinstance(value, Token) and value.type in CLOSERS and opened:
            opened.pop()
    return opened


def level_of(values: Parts) -> int:
    """How many values lie below the unfinished definition: up to and with the innermost level that is not closed."""
    closed = False
    for below in range(len(values), 0, -1):
        value = values[below - 1]
        if isinstance(value, Growing) and not closed:
            return below
        closed = isinstance(value, Token) and value.type == "RBRACE"
    return 0


def _bounded(token: Token) -> None:
    if len(token.text) > MAX_DIGITS:
        raise fail("E0113", f"a number of {len(token.text)} characters", token.span, label=f"at most {MAX_DIGITS}")


def _domain(written: ast.Expression) -> ast.ListDomain | ast.RangeDomain:
    """What stands after `in`: a list, range(low, high) or log(low, high)."""
    match written:
        case ast.ListOf(items, span) if items:
            return ast.ListDomain(items, span)
        case ast.Call("range" | "log" as kind, _, (ast.Argument("", _, low), ast.Argument("", _, high)), span):
            return ast.RangeDomain(low, high, kind == "log", span)
    raise fail(
        "E0112",
        "`in` gives a param its values: a list, or a range with its two ends",
        written.span,
        label="not a list of values",
        help="write `in [16, 32, 64]`, `in range(0.1, 0.5)` or, for steps by factors, `in log(1e-4, 1e-1)`",
    )
