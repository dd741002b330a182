"""What is written and does nothing: no mistake, yet seldom meant. Told as warnings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from graphdsl.ir import Input, Result, Role, Value, show
from graphdsl.lang.spec import LossTerm, MetricTerm, Named, Port, Section, Spec
from graphdsl.report import Diagnostic, Severity, Span

COUNTING = ("scale", "subtract", "divide", "normalize")
"""Steps of `preprocess` that change numbers: the first of them says what bytes count as."""
PICTURES = 4
"""Axes of a batch of them."""


def unread(spec: Spec) -> tuple[Diagnostic, ...]:
    """Warnings about a whole spec: E0225 (no output), E0226 (an input that nothing reads), E0220 (a tensor likewise),
    E0227 (a spec inside whose `preprocess` nobody does), E0228 (numbers of 0 to 255 in `normalize`).

    Without sections a top-level tensor may be meant for them, or for a spec that takes it by `upto=`, and targets have
    nobody to read them; a block's own tensors are seen by nobody else.
    """
    return (*_outputs(spec), *_ports(spec), *_tensors(spec), *_unprepared(spec), *_unscaled(spec))


def _unprepared(spec: Spec) -> Iterator[Diagnostic]:
    prepared = {name for recipe in spec.preprocess for name in recipe.names}
    for use in spec.unprepared:
        raw = [name for name in spec.inputs if name in use.fed and name not in prepared]
        if raw:
            message = f"`{use.path}` preprocesses what it is fed; here `{raw[0]}` flows in as it is"
            help = f"take its recipe over: `preprocess = {raw[0]} -> …`"
            yield _warning("E0227", message, use.span, help)


def _unscaled(spec: Spec) -> Iterator[Diagnostic]:
    """Means above 1 where `normalize` meets pictures first: it sees their bytes as 0 to 1."""
    for name, port in spec.inputs.items():
        steps = [step for recipe in spec.preprocess if name in recipe.names for step in recipe.steps]
        first = next((step for step in steps if step.name in COUNTING), None)
        if port.type.rank == PICTURES and first is not None and first.name == "normalize" and first.span is not None:
            yield from _wrong_range(first.settings, first.span)


def _wrong_range(settings: Mapping[str, Any], span: Span) -> Iterator[Diagnostic]:
    mean, std = settings["mean"], settings["std"]
    if max(mean) > 1:
        message = f"`normalize` counts pictures from 0 to 1, and a mean of {max(mean):g} is beyond that"
        steps = f"`subtract({_plain(mean)}) -> divide({_plain(std)})`"
        yield _warning("E0228", message, span, f"{steps} counts from 0 to 255; or divide the numbers by 255")


def _plain(numbers: tuple[float, ...]) -> str:
    return show(numbers[0] if len(numbers) == 1 else numbers)


def _outputs(spec: Spec) -> Iterator[Diagnostic]:
    useful = spec.library or spec.graph.of_role(Role.LOSS)
    dreams = any("maximize" in section.settings for section in spec.sections)
    if spec.outputs or dreams or (useful and not spec.inputs):
        return
    tensors = [n for n in spec.named if n.top]
    span = tensors[-1].span if tensors else Span(spec.source, 0, 0)
    if not (spec.inputs or spec.targets or spec.params or spec.sections or tensors):
        yield _warning("E0225", "the spec is empty", span, "begin with `input x: float[8]`")
        return
    name = tensors[-1].name if tensors else "y"
    yield _warning("E0225", "the spec has no output", span, f"write `output {name} = …` before what it is to give")


def _ports(spec: Spec) -> Iterator[Diagnostic]:
    kept = {value.node for value in _kept(spec)}
    ports = [("input", p) for p in spec.inputs.values()]
    ports += [("target", p) for p in spec.targets.values() if spec.sections]
    for role, port in ports:
        if not spec.graph.users(port.name) and port.name not in kept:
            yield _port(role, port)


def _port(role: str, port: Port) -> Diagnostic:
    help = "let it flow into something" if role == "input" else "give it to a loss or a metric"
    return _warning("E0226", f"nothing reads {role} `{port.name}`", port.span, f"{help}, or leave it out")


def _tensors(spec: Spec) -> Iterator[Diagnostic]:
    """Names whose tensor reaches nothing, in none of the uses of the block they stand in; of a chain the last one."""
    kept = spec.graph.with_results([Result("", Role.TAP, value) for value in _kept(spec)]).needed()
    places: dict[tuple[str, int], list[Named]] = {}
    for named in spec.named:
        places.setdefault((named.span.source.path, named.span.start), []).append(named)
    told: set[str] = set()
    for uses in places.values():
        first = uses[0]
        values = [value for named in uses for value in (named.value, *named.beside)]
        if (first.top and not spec.sections) or any(_is_read(value, spec, kept) for value in values):
            continue
        if first.value.node not in told:
            told.update(n.value.node for n in uses)
            yield _dead(first)


def _is_read(value: Value, spec: Spec, kept: frozenset[str]) -> bool:
    op = spec.graph.node(value.node).op
    return value.node in kept or bool(spec.graph.users(value.node)) or isinstance(op, Input)


def _dead(named: Named) -> Diagnostic:
    help = "leave it out, or let it flow on"
    message = f"`{named.name}` reaches no output, loss or metric"
    return Diagnostic("E0220", message, named.span, chain=named.chain, help=help, severity=Severity.WARNING)


def _kept(spec: Spec) -> list[Value]:
    """Tensors that results and sections speak of."""
    return [r.value for r in spec.graph.results] + list(_in_sections(spec.sections))


def _in_sections(sections: Iterable[Section]) -> Iterator[Value]:
    for section in sections:
        yield from _in_setting(tuple(section.settings.values()))
        yield from _in_sections(section.nested)


def _in_setting(found: Any) -> Iterator[Value]:
    match found:
        case Value():
            yield found
        case MetricTerm():
            yield from (v for v in (found.prediction, found.target) if v is not None)
        case LossTerm():
            yield from (v for v in (found.prediction, found.target, found.written) if v is not None)
        case tuple():
            for part in found:
                yield from _in_setting(part)


def _warning(code: str, message: str, span: Span, help: str) -> Diagnostic:
    return Diagnostic(code, message, span, help=help, severity=Severity.WARNING)
