"""Sections: `train { … }`. Keys are checked against the kind of section; what a key holds decides how it is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from graphdsl.ir import SectionKind, SectionSetting, Setting, Slot, Value
from graphdsl.lang import ast
from graphdsl.lang.definitions import assign, carry_out
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.losses import read_losses
from graphdsl.lang.metrics import Heads, items_of, read_metrics
from graphdsl.lang.names import Names
from graphdsl.lang.recipes import read_recipes
from graphdsl.lang.refusal import refuse
from graphdsl.lang.selection import Bounded, Chosen, Rated, Weights, read_bounds, read_chosen, read_rates
from graphdsl.lang.settings import read_setting
from graphdsl.lang.spec import Section
from graphdsl.lang.values import describe, is_unknown
from graphdsl.report import Failed, Label, Span


@carry_out.register
def _section(definition: ast.Section, frame: Frame) -> None:
    if frame.module.operands is not None:
        return  # a spec that is used as a layer is not trained here
    kind = frame.session.vocabulary.sections.get(definition.kind)
    if kind is None:
        known = tuple(frame.session.vocabulary.sections)
        help = frame.session.suggest(definition.kind, known) or f"there are {', '.join(known)}"
        message = f"no kind of section is called `{definition.kind}`"
        raise refuse("E0210", message, definition.kind_span, help=help)
    frame.module.sections.append(read_section(definition, kind, frame))


def read_section(definition: ast.Section, kind: SectionKind, frame: Frame) -> Section:
    """The section, but for `learn` and `freeze`, which wait until the graph is whole (see `finished`)."""
    planned = [n for i in definition.items if isinstance(i, ast.Setting) and _is_local(i, kind) for n in i.names]
    scope = frame.scope.named(definition.name or definition.kind)
    inside = replace(frame, names=Names(frame.names, planned=planned), scope=scope, section=True)
    reading = _Reading(kind, inside)
    for item in definition.items:
        try:
            reading.item(item)
        except Failed as failed:
            frame.session.tell(failed, inside)
    reading.demand_required(definition)
    nested = tuple(reading.nested)
    return Section(kind.name, definition.name, reading.settings, reading.spans, nested, definition.span)


def _is_local(item: ast.Setting, kind: SectionKind) -> bool:
    """Whether an item defines tensors rather than giving a key."""
    return len(item.names) > 1 or kind.setting(item.names[0].name) is None


class _Reading:
    """A section while it is read."""

    def __init__(self, kind: SectionKind, frame: Frame) -> None:
        self.kind = kind
        self.frame = frame
        self.settings: dict[str, Any] = {}
        self.spans: dict[str, Span] = {}
        self.nested: list[Section] = []
        self._keys: dict[str, Span] = {}

    def item(self, item: ast.Setting | ast.Section) -> None:
        if isinstance(item, ast.Section):
            self._inner(item)
            return
        key = self.kind.setting(item.names[0].name) if len(item.names) == 1 else None
        if key is not None:
            self._key(key, item)
        else:
            self._local(item)

    def _inner(self, item: ast.Section) -> None:
        kind = self.kind.inside(item.kind)
        if kind is None:
            known = [k.name for k in self.kind.nested]
            help = self.frame.session.suggest(item.kind, known)
            message = f"no section called `{item.kind}` stands inside `{self.kind.name}`"
            raise refuse("E0210", message, item.kind_span, help=help)
        self._demand_new(item)
        self.nested.append(read_section(item, kind, self.frame))

    def _demand_new(self, item: ast.Section) -> None:
        """Raises E0203 for a second section of a kind and name, whose loss would stand where the first one's does."""
        before = next((s for s in self.nested if (s.kind, s.name) == (item.kind, item.name)), None)
        if before is None:
            return
        said = (
            f"`{item.kind} {item.name}` is defined twice" if item.name else f"two `{item.kind}` sections have no name"
        )
        label = Label(before.span, "first defined here")
        help = f"give each a name of its own: `{item.kind} critic {{ … }}`"
        raise refuse("E0203", said, item.name_span or item.kind_span, labels=[label], help=help)

    def _key(self, key: SectionSetting, item: ast.Setting) -> None:
        name = item.names[0]
        if key.name in self._keys:
            label = Label(self._keys[key.name], "given here first")
            raise refuse("E0206", f"`{key.name}` is given twice", name.span, labels=[label])
        self._keys[key.name] = name.span
        value = self._value(key, item.value)
        if not is_unknown(value):
            self.settings[key.name] = value
            self.spans[key.name] = item.value.span

    def _value(self, key: SectionSetting, expression: ast.Expression) -> Any:
        frame = self.frame
        match key.takes:
            case Slot.LOSS:
                return read_losses(expression, _heads(frame), frame)
            case Slot.METRICS:
                return read_metrics(expression, _heads(frame), frame)
            case Slot.WEIGHTS:
                return read_chosen(expression, frame)
            case Slot.RATES:
                return read_rates(expression, frame)
            case Slot.BOUNDS:
                return read_bounds(expression, frame)
            case Slot.RECIPE:
                return read_recipes(expression, frame)
            case Slot.TENSORS:
                return _tensors(expression, frame)
            case domain:
                return read_setting(f"`{self.kind.name}`", Setting(key.name, domain), expression, frame)

    def _local(self, item: ast.Setting) -> None:
        """`soft, hard = …`: tensors for the losses. One name that is none of them is a key that does not exist."""
        name = item.names[0].name
        keys = [s.name for s in self.kind.settings]
        help = self.frame.session.suggest(name, keys)
        flows = isinstance(item.value, ast.Pipe | ast.Binary | ast.Conditional)
        if len(item.names) == 1 and (help or not flows):
            help = help or f"its settings are {', '.join(keys)}"
            raise refuse("E0211", f"no setting of `{self.kind.name}` is called `{name}`", item.names[0].span, help=help)
        scope = self.frame.scope.named(name)
        for each in item.names:
            self.frame.module.scopes[self.frame.scope.path, each.name] = scope.path
        assign(ast.Define(item.names, item.value, False, item.span), self.frame, self.frame.at(scope))

    def demand_required(self, definition: ast.Section) -> None:
        missing = [f"`{s.name}`" for s in self.kind.settings if s.required and s.name not in self._keys]
        if missing:
            message = f"`{self.kind.name}` needs {' and '.join(missing)}"
            self.frame.session.tell(refuse("E0207", message, definition.kind_span), self.frame)


def _heads(frame: Frame) -> Heads:
    """Names of tensors by node and port: outputs before others, else the first name."""
    outputs = frame.module.outputs.items()
    named = [(n, b.value) for n, b in frame.names.visible() if isinstance(b.value, Value)]
    heads: dict[tuple[str, int], str] = {}
    for name, value in [*outputs, *named]:
        heads.setdefault((value.node, value.port), name)
    return heads


def _tensors(expression: ast.Expression, frame: Frame) -> tuple[Value, ...]:
    tensors = []
    for item in items_of(expression):
        value = read(item, frame)
        if isinstance(value, Value):
            tensors.append(value)
        elif not is_unknown(value):
            frame.session.tell(refuse("E0310", f"needs a tensor, got {describe(value)}", item.span), frame)
    return tuple(tensors)


def finished(sections: Iterable[Section], weights: Weights) -> tuple[Section, ...]:
    """The same sections with names of weights in place of what `learn`, `freeze`, `rates` and `within` say."""
    return tuple(
        replace(
            section,
            settings={key: _named(value, weights) for key, value in section.settings.items()},
            nested=finished(section.nested, weights),
        )
        for section in sections
    )


def _named(value: Any, weights: Weights) -> Any:
    match value:
        case Chosen():
            return weights.chosen(value)
        case (Rated(), *_):
            return tuple((weights.chosen(rated.chosen), rated.factor) for rated in value)
        case (Bounded(), *_):
            return tuple((weights.chosen(each.chosen), each.low, each.high) for each in value)
    return value
