"""Calls whose purpose is not known from where they stand: `picture = photo("cat.jpg")`, `block f(init=he_normal())`."""

from __future__ import annotations

from graphdsl.lang import ast
from graphdsl.lang.evaluate import evaluate
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse
from graphdsl.lang.settings import make
from graphdsl.lang.sources import fixed
from graphdsl.lang.values import Datum


@evaluate.register
def _call(expression: ast.Call, frame: Frame) -> Datum:
    """A file is a tensor at once; other things wait as records until a setting takes them."""
    name, vocabulary = expression.name, frame.session.vocabulary
    entry = vocabulary.find(name)
    flowing = entry is not None and entry.kind in ("layer", "loss", "metric")
    if flowing or name == "model" or frame.names.find(name) is not None:
        help = f"is a `->` missing before it? `x -> {name}(…)`"
        raise refuse("E0213", f"nothing flows into `{name}`", expression.name_span, help=help)
    made = make(expression, tuple(vocabulary.registries), frame)
    return fixed(made, frame) if made.kind == "source" else made
