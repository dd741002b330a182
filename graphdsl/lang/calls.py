"""Calls with nothing before them: `photo("cat.jpg")`, `random_normal(64)`, `block f(init=he_normal())`."""

from __future__ import annotations

from graphdsl.lang import ast
from graphdsl.lang.evaluate import evaluate
from graphdsl.lang.frame import Frame
from graphdsl.lang.pipes import apply
from graphdsl.lang.refusal import refuse
from graphdsl.lang.settings import make
from graphdsl.lang.sources import fixed
from graphdsl.lang.values import WHOLE_SPECS, Datum, Flow


@evaluate.register
def _call(expression: ast.Call, frame: Frame) -> Datum:
    """A file is a tensor at once, and so is a layer that takes none; other things wait as records until a setting takes
    them."""
    name, vocabulary = expression.name, frame.session.vocabulary
    entry = vocabulary.find(name)
    if entry is not None and entry.kind == "layer" and not entry.operands and frame.names.find(name) is None:
        return apply(entry, expression, Flow((), (expression.span,)), frame)
    flowing = entry is not None and entry.kind in ("layer", "loss", "metric")
    if flowing or name in WHOLE_SPECS or frame.names.find(name) is not None:
        help = f"is a `->` missing before it? `x -> {name}(…)`"
        raise refuse("E0213", f"nothing flows into `{name}`", expression.name_span, help=help)
    made = make(expression, tuple(vocabulary.registries), frame)
    return fixed(made, frame) if made.kind == "source" else made
