"""Params: a default, the values they may have, and what they are set to from outside."""

from __future__ import annotations

from typing import Any

from graphdsl.ir import SizeValue, Symbolic, show
from graphdsl.lang import ast
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame, Module
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.spec import Choices, Interval, Parameter
from graphdsl.lang.values import Datum, describe, is_number, is_unknown
from graphdsl.report import Diagnostic, Label, Reporter, Span, did_you_mean


def read_param(definition: ast.Param, frame: Frame) -> Parameter:
    """Raises E0212 where default or domain are no good, E0802 where what it is set to is outside."""
    default = read(definition.default, frame)
    if is_unknown(default):
        raise told()
    name = definition.name.name
    if not _is_plain(default):
        message = f"a param is a number, a text, true, false, a size or a list, got {describe(default)}"
        raise refuse("E0212", message, definition.default.span)
    domain = _domain(definition.domain, frame) if definition.domain else None
    if domain is not None and default not in domain:
        message = f"param {name} = {show(default)} is not in {domain}"
        raise refuse("E0212", message, definition.default.span, labels=_where(definition))
    if name not in frame.module.given:
        return Parameter(name, default, default, domain, definition.name.span)
    value, place = frame.module.given[name]
    value = _typed(value, default, definition, place) if place is None else value
    _demand_inside(value, default, domain, definition, place)
    return Parameter(name, value, default, domain, definition.name.span)


def _is_plain(value: Datum) -> bool:
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | SizeValue) or value is None


def _where(definition: ast.Param) -> list[Label]:
    return [Label(definition.domain.span, "allowed values")] if definition.domain else []


def _domain(domain: ast.ListDomain | ast.RangeDomain, frame: Frame) -> Choices | Interval:
    if isinstance(domain, ast.ListDomain):
        values = tuple(read(item, frame) for item in domain.items)
        if is_unknown(values):
            raise told()
        return Choices(values)
    low, high = read(domain.low, frame), read(domain.high, frame)
    if is_unknown((low, high)):
        raise told()
    known = all(is_number(n) and not isinstance(n, Symbolic) for n in (low, high))
    if not known or low >= high:
        message = f"a range goes from a number to a larger one, got {describe(low)} and {describe(high)}"
        raise refuse("E0212", message, domain.span)
    if domain.log and low <= 0:
        raise refuse("E0212", f"a range over orders of magnitude begins above 0, got {show(low)}", domain.low.span)
    return Interval(low, high, domain.log)


def _demand_inside(
    value: Datum, default: Datum, domain: Choices | Interval | None, definition: ast.Param, place: Span | None
) -> None:
    name, span = definition.name.name, place or definition.name.span
    if _family(value) != _family(default) and default is not None:
        message = f"`{name}` is set to {describe(value)}; its default is {describe(default)}"
        raise refuse("E0802", message, span, labels=_where(definition))
    if domain is not None and value not in domain:
        message = f"`{name}` is set to {show(value)}, which is not in {domain}"
        words = [word for word in domain.values if isinstance(word, str)] if isinstance(domain, Choices) else []
        help = did_you_mean(value, words) if isinstance(value, str) else ""
        raise refuse("E0802", message, span, labels=_where(definition), help=help)


def _family(value: Datum) -> str:
    return "number" if is_number(value) else type(value).__name__


def _typed(value: Any, default: Datum, definition: ast.Param, place: Span | None) -> Datum:
    """A text from the command line, read as what the default is."""
    if not isinstance(value, str) or isinstance(default, str):
        return tuple(value) if isinstance(value, list) else value
    try:
        return parse_value(value)
    except ValueError:
        name = definition.name.name
        help = f"its default is {show(default)}"
        raise refuse("E0802", f"`{name}` cannot be set to `{value}`", definition.name.span, help=help) from None


def parse_value(text: str) -> Datum:
    """`3`, `1e-3`, `true`, `none`, `1x7`, `[1, 2]`, `"a text"`; raises ValueError for anything else."""
    text = text.strip()
    words: dict[str, Datum] = {"true": True, "false": False, "none": None}
    if text in words:
        return words[text]
    if text[:1] == "[" and text[-1:] == "]":
        return tuple(parse_value(part) for part in text[1:-1].split(",") if part.strip())
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if len(text) > 40 or not text.isascii() or "_" in text:
        raise ValueError(text)
    parts = text.split("x")
    if len(parts) > 1 and all(p.isdigit() for p in parts):
        return SizeValue(tuple(map(int, parts)))
    return int(text) if text.lstrip("+-").isdigit() else _finite(text)


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(text)
    return number


def tell_unknown_settings(module: Module, reporter: Reporter) -> None:
    """E0801 for every param that is set from the command line and not there."""
    for name, (_, place) in module.given.items():
        if name in module.params or place is not None:
            continue
        known = tuple(module.params)
        help = did_you_mean(name, known) or (f"params are {', '.join(known)}" if known else "this spec has no params")
        reporter.add(Diagnostic("E0801", f"no param is called `{name}`", help=help))
