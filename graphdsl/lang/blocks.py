"""Uses of blocks and of shared layers."""

from __future__ import annotations

from graphdsl.lang import ast
from graphdsl.lang.definitions import assign, define
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.names import Names, Scope
from graphdsl.lang.pipes import apply, run
from graphdsl.lang.refusal import refuse
from graphdsl.lang.settings import match
from graphdsl.lang.values import UNKNOWN, BlockWord, Datum, Flow, SharedWord, is_unknown
from graphdsl.report import Failed


@apply.register
def use_block(word: BlockWord, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """The recipe, followed once more with weights of its own."""
    block, name = word.definition, word.definition.name.name
    formals = block.formals
    required = [f.name.name for f in formals if f.default is None]
    arguments = match(f"block `{name}`", [f.name.name for f in formals], required, call, frame)
    given = {n: read(a.value, frame) for n, a in arguments.given.items()}
    frame.session.count_layer(call.span, frame)
    if not arguments.complete:
        return UNKNOWN
    scope = frame.scope.numbered(name)
    frame.session.blocks.setdefault(name, []).append(scope.path)
    inside = frame.used(name, call.span, scope, _table(word))
    inside.names.bind("in", flow.data, call.span)
    for formal in formals:
        _bind(formal, given, inside)
    return _body(block, inside)


def _table(word: BlockWord) -> Names:
    """Names as the block's text sees them: its own, then those defined before it."""
    block = word.definition
    planned = [n for local in block.body if not isinstance(local, ast.Assert) for n in _defined(local)]
    return Names(word.home.names, planned=planned)


def _defined(local: ast.Define | ast.Shared | ast.Weight) -> tuple[ast.NameDef, ...]:
    return local.names if isinstance(local, ast.Define) else (local.name,)


def _bind(formal: ast.Formal, given: dict[str, Datum], inside: Frame) -> None:
    name = formal.name
    default = formal.default
    value = given[name.name] if name.name in given or default is None else read(default, inside)
    try:
        inside.names.define(name, value)
    except Failed as failed:
        inside.session.tell(failed, inside)


def _body(block: ast.Block, inside: Frame) -> Datum:
    for local in block.body:
        if isinstance(local, ast.Define) and local.names[0].name == "out":
            assign(local, inside, inside)
        else:
            define(local, inside)
    made = inside.names.find("out")
    if made is None:
        help = "a block gives what its `out` is: `out = …`"
        raise refuse("E0221", f"block `{block.name.name}` has no `out`", block.name.span, help=help)
    return made.value


@apply.register
def use_shared(word: SharedWord, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """The recipe, followed once more with the same weights."""
    name = word.definition.name.name
    match(f"shared `{name}`", (), (), call, frame)
    if is_unknown(flow.data):
        return UNKNOWN
    scope = Scope(frame.scope.numbered(name).path, word.weights)
    inside = frame.used(name, call.span, scope, word.home.names, reuse=word.uses > 0)
    word.uses += 1
    return run(word.definition.recipe.stages, flow, inside)
