"""The loss of a section: scalars of the graph, each with the name of the head that it judges."""

from __future__ import annotations

from dataclasses import replace

from graphdsl.ir import Role, Slot, Value
from graphdsl.lang import ast
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.metrics import Heads, items_of
from graphdsl.lang.refusal import refuse
from graphdsl.lang.spec import LossTerm
from graphdsl.lang.values import Datum, describe, is_unknown
from graphdsl.report import Failed


def read_losses(expression: ast.Expression, heads: Heads, frame: Frame) -> tuple[LossTerm, ...]:
    """One loss or a list of them; each becomes a result of the graph."""
    inside = replace(frame, slot=Slot.LOSS)
    terms: list[LossTerm] = []
    taken: set[str] = set()
    for item in items_of(expression):
        value = read(item, inside)
        for part in value if isinstance(value, tuple) else (value,):
            terms += _term(part, item, heads, taken, frame)
    for term in terms:
        frame.session.builder.result(f"{frame.scope.path}/{term.name}", Role.LOSS, term.value)
    return tuple(terms)


def _term(value: Datum, item: ast.Expression, heads: Heads, taken: set[str], frame: Frame) -> list[LossTerm]:
    if is_unknown(value):
        return []
    if not isinstance(value, Value) or value.type.rank != 0:
        frame.session.tell(_no_loss(value, item), frame)
        return []
    use = frame.session.losses.get((value.node, value.port))
    if use is None:
        return [LossTerm(_free("loss", taken), "", value, 1.0, None, None, item.span)]
    named = heads.get((value.node, value.port)) or heads.get((use.prediction.node, use.prediction.port), use.loss)
    parts = _free(named, taken), use.loss
    if isinstance(use.weight, int | float):
        return [LossTerm(*parts, use.plain, use.weight, use.prediction, use.target, use.span, written=value)]
    changing = (use.plain, use.share, use.uncertain) if use.share is not None else (use.plain, None, "")
    return [LossTerm(*parts, value, 1.0, use.prediction, use.target, use.span, *changing)]


def _free(name: str, taken: set[str]) -> str:
    number = 1
    free = name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _no_loss(value: Datum, item: ast.Expression) -> Failed:
    help = "write `[prediction, target] -> mse`; a tensor becomes one number by a loss"
    return refuse("E0317", f"a loss is one number, got {describe(value)}", item.span, help=help)
