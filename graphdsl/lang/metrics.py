"""Metrics of a section: which tensors are watched, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graphdsl.ir import Entry, Made, Slot, Value
from graphdsl.lang import ast
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse
from graphdsl.lang.settings import read_settings
from graphdsl.lang.spec import MetricTerm
from graphdsl.lang.values import UNKNOWN, Datum, Flow, Watched, describe, is_unknown
from graphdsl.report import Failed

Heads = Mapping[tuple[str, int], str]
"""Names of tensors, by node and port."""


def watch(entry: Entry, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """A metric of one tensor, or of a prediction and a target."""
    settings = read_settings(entry, call, frame)
    if settings.values is None or is_unknown(flow.data):
        return UNKNOWN
    tensors = flow.data if isinstance(flow.data, tuple) else (flow.data,)
    for index, tensor in enumerate(tensors):
        if not isinstance(tensor, Value):
            raise refuse("E0310", f"`{entry.name}` takes tensors, got {describe(tensor)}", flow.span(index))
    if len(tensors) not in (1, 2):
        help = f"write `[prediction, target] -> {entry.name}`"
        raise refuse("E0311", f"`{entry.name}` takes two tensors, got {len(tensors)}", call.name_span, help=help)
    made = Made(entry.kind, entry.name, tuple(settings.values.items()), call.span)
    return Watched(made, tensors[0], tensors[1] if len(tensors) > 1 else None)


def read_metrics(expression: ast.Expression, heads: Heads, frame: Frame) -> tuple[MetricTerm, ...]:
    """One metric or a list of them."""
    inside = replace(frame, slot=Slot.METRICS)
    terms = []
    for item in items_of(expression):
        value = read(item, inside)
        if isinstance(value, Watched):
            head = heads.get((value.prediction.node, value.prediction.port), value.metric.name)
            terms.append(MetricTerm(head, value.metric, value.prediction, value.target, item.span))
        elif not is_unknown(value):
            frame.session.tell(_no_metric(value, item), frame)
    return tuple(terms)


def items_of(expression: ast.Expression) -> tuple[ast.Expression, ...]:
    """One thing or a list of them."""
    return expression.items if isinstance(expression, ast.ListOf) else (expression,)


def _no_metric(value: Datum, item: ast.Expression) -> Failed:
    help = "write `[prediction, target] -> accuracy`"
    return refuse("E0317", f"needs a metric, got {describe(value)}", item.span, help=help)
