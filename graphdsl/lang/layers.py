"""Uses of registered layers and losses: operands and settings in, tensors out, refusals pinned to the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphdsl.ir import (
    LAYERS,
    Choice,
    Either,
    Entry,
    EntryOf,
    Made,
    Place,
    Setting,
    TensorDomain,
    TypeRuleError,
    Value,
)
from graphdsl.lang import ast
from graphdsl.lang.frame import Frame, LossUse
from graphdsl.lang.limits import MAX_ELEMENTS, is_bounded
from graphdsl.lang.metrics import watch
from graphdsl.lang.pipes import apply
from graphdsl.lang.refusal import refuse, refuse_rule
from graphdsl.lang.settings import Arguments, build, read_settings
from graphdsl.lang.tensors import combine, per_sample
from graphdsl.lang.values import UNKNOWN, Datum, Flow, describe, is_unknown
from graphdsl.lang.weighing import LEARNED, weighed
from graphdsl.ops import LOSS_WEIGHT
from graphdsl.report import Failed, Label, Span

MAX_LABELS = 6

WEIGHT = Setting(
    LOSS_WEIGHT.name,
    Either((LOSS_WEIGHT.domain, TensorDomain(), EntryOf("schedule"), Choice((LEARNED,)))),
    LOSS_WEIGHT.default,
)
"""What every loss can be multiplied by: a number, a scalar that is computed, a schedule, or `learned`."""


@apply.register
def use_entry(entry: Entry, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """Builds the layer. Gives its tensor, or a tuple of them; for a metric, what is watched."""
    if entry.kind == "metric":
        return watch(entry, call, flow, frame)
    settings = read_settings(entry, call, frame, *((WEIGHT,) if entry.kind == "loss" else ()))
    frame.session.count_layer(call.span, frame)
    if settings.values is None or is_unknown(flow.data):
        return UNKNOWN
    tensors = [per_sample(t, frame) for t in gather(entry, flow, call)]
    values = {name: _built(value, frame) for name, value in settings.values.items()}
    weight = values.pop(WEIGHT.name, 1.0) if entry.kind == "loss" else 1.0
    place = frame.place(entry.name, settings.text, call.span)
    made = _made(entry, tensors, values, _Text(call, flow, settings.arguments), place, frame)
    if entry.kind != "loss":
        return made
    target = tensors[1] if len(tensors) > 1 else None
    plain = LossUse(entry.name, made, weight, tensors[0], target, call.span)
    span = settings.arguments.span(WEIGHT.name, call.span)
    weighted, use = made, plain
    if isinstance(weight, Made) or weight == LEARNED:
        weighted, use = weighed(plain, place, frame)
    elif weight != 1.0:
        weighted = combine("*", (made, weight), (call.span, span), span, frame)
    frame.session.losses[weighted.node, weighted.port] = use
    return weighted


class _Text:
    """What a refusal can be pinned to."""

    def __init__(self, call: ast.Call, flow: Flow, arguments: Arguments) -> None:
        self.call = call
        self.flow = flow
        self.arguments = arguments


def _made(
    entry: Entry, tensors: Sequence[Value], values: Mapping[str, Any], text: _Text, place: Place, frame: Frame
) -> Datum:
    builder = frame.session.builder
    try:
        with builder.within(place):
            made = entry.make(builder, *_operands(entry, tensors), **values)
    except TypeRuleError as error:
        raise _pinned(error, tensors, text) from None
    for value in made if isinstance(made, tuple) else (made,):
        _demand_bounded(value, text.call.span)
    return made


def _operands(entry: Entry, tensors: Sequence[Value]) -> Sequence[Any]:
    return (tuple(tensors),) if entry.variadic else tensors


def _built(value: Any, frame: Frame) -> Any:
    """Layers take initialisers themselves, not the record of how to make one."""
    return build(value, frame) if isinstance(value, Made) and value.kind == "initializer" else value


def _demand_bounded(value: Value, span: Span) -> None:
    if not is_bounded(value.type):
        help = f"at most {MAX_ELEMENTS:,} numbers for one sample"
        raise refuse("E0405", "this tensor would be too large", span, help=help)


def gather(entry: Entry, flow: Flow, call: ast.Call) -> list[Value]:
    """The tensors that flow into entry. Raises E0311 for a wrong number of them, E0310 for what is none."""
    wanted = len(entry.operands)
    data = flow.data
    many = isinstance(data, tuple)
    if entry.operands == ("*",) and not many:
        raise refuse("E0311", f"`{entry.name}` takes a list: `[a, b] -> {entry.name}`", call.name_span)
    if not entry.variadic and (len(data) if many else 1) != wanted:
        raise _wrong_count(entry, data, call)
    tensors = list(data) if many else [data]
    for index, tensor in enumerate(tensors):
        if not isinstance(tensor, Value):
            raise _no_tensor(entry, tensor, flow.span(index))
    return tensors


def _no_tensor(entry: Entry, found: Datum, span: Span) -> Failed:
    """A bare word that is a setting's word as well as a layer was read as that word: here the layer was meant."""
    if isinstance(found, str) and found == span.text and found in LAYERS:
        help = f"a tensor flows into it: `x -> {found}`"
        return refuse("E0213", f"`{found}` is a layer, and stands where a value is needed", span, help=help)
    return refuse("E0310", f"`{entry.name}` takes tensors, got {describe(found)}", span)


def _wrong_count(entry: Entry, data: Datum, call: ast.Call) -> Failed:
    if len(entry.operands) == 1:
        help = f"merge them first, `-> concat -> {entry.name}`, or give each a pipe of its own"
        return refuse("E0311", f"`{entry.name}` takes one tensor, got {describe(data)}", call.name_span, help=help)
    wanted = ", ".join(entry.operands)
    got = describe(data) if isinstance(data, tuple) else "one tensor"
    help = f"write `[{wanted}] -> {entry.name}`"
    return refuse("E0311", f"`{entry.name}` takes {len(entry.operands)} tensors, got {got}", call.name_span, help=help)


# --- where to point --------------------------------------------------------------------------------------------------


def _pinned(error: TypeRuleError, tensors: Sequence[Value], text: _Text) -> Failed:
    """The refusal at the setting, at the operand in its list, or at the word; with what flows in beside it."""
    call = text.call
    if error.attribute:
        return refuse_rule(error, text.arguments.span(error.attribute, call.span))
    if error.operand is None or not text.flow.itemised:
        return refuse_rule(error, call.span, _flowing(tensors, text.flow, skip=-1))
    odd = error.operand if error.operand < len(tensors) else 0
    labels = [*_flowing(tensors, text.flow, skip=odd), Label(call.span, f"`{call.name}` refuses it")]
    return refuse_rule(error, text.flow.span(odd), labels, tensors[odd].type.describe())


def _flowing(tensors: Sequence[Value], flow: Flow, skip: int) -> list[Label]:
    """What flows in, beside the place it was written at."""
    shown = [i for i in range(len(tensors)) if i != skip][:MAX_LABELS]
    if not flow.itemised:
        shown = shown[:1] if len(tensors) == 1 else []
    return [Label(flow.span(i), tensors[i].type.describe()) for i in shown]
