"""What each definition of a file or block does. Sections, and other files, are in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

from graphdsl.ir import (
    Either,
    EntryOf,
    Initializer,
    Layer,
    Made,
    Place,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
)
from graphdsl.lang import ast
from graphdsl.lang.declared import read_type
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.params import read_param
from graphdsl.lang.pipes import find_word
from graphdsl.lang.recipes import PREPROCESS, read_recipes
from graphdsl.lang.refusal import refuse, refuse_rule, told
from graphdsl.lang.settings import build, read_for
from graphdsl.lang.sources import given
from graphdsl.lang.spec import Port
from graphdsl.lang.values import (
    UNKNOWN,
    WHOLE_SPECS,
    BlockWord,
    Datum,
    RecipeWord,
    SharedWord,
    TargetTensor,
    article,
    describe,
    is_number,
    is_unknown,
)
from graphdsl.report import Failed, Label


@singledispatch
def carry_out(definition: ast.Definition, frame: Frame) -> None:
    """Gives the definition's names their meaning; raises Failed."""
    raise AssertionError(f"no rule for {type(definition).__name__}")


def define(definition: ast.Definition, frame: Frame) -> None:
    """Gives the definition's names their meaning, Unknown after telling what is wrong."""
    try:
        carry_out(definition, frame)
    except Failed as failed:
        frame.session.tell(failed, frame)
        for name in [n for n in names_of(definition) if frame.names.find(n.name) is None]:
            frame.names.bind(name.name, UNKNOWN, name.span)


def names_of(definition: ast.Definition) -> tuple[ast.NameDef, ...]:
    """The names that a definition defines."""
    match definition:
        case ast.Input() | ast.Target() | ast.Define():
            return definition.names
        case ast.Param() | ast.Weight() | ast.Shared() | ast.Block():
            return (definition.name,)
    return ()


# --- tensors ---------------------------------------------------------------------------------------------------------


@carry_out.register
def _tensor(definition: ast.Define, frame: Frame) -> None:
    if [n.name for n in definition.names] == [PREPROCESS] and frame.names.outermost and not definition.output:
        _preprocess(definition, frame)
        return
    scope = frame.scope.named(definition.names[0].name)
    for name in definition.names:
        frame.module.scopes[frame.scope.path, name.name] = scope.path
    assign(definition, frame, frame.at(scope))


def _preprocess(definition: ast.Define, frame: Frame) -> None:
    """A file that is used as a layer takes what flows in as it is."""
    frame.names.define(definition.names[0], RecipeWord())
    if frame.module.operands is None:
        frame.module.preprocess.extend(read_recipes(definition.value, frame, PREPROCESS))


def assign(definition: ast.Define, frame: Frame, inside: Frame) -> None:
    """Defines names in frame as what the expression gives, with its layers named inside."""
    value = read(definition.value, inside)
    parts = unpack(definition.names, value)
    for name, part in zip(definition.names, parts, strict=True):
        frame.names.define(name, part)
        if isinstance(part, Value):
            frame.session.note(name, part, frame, parts)
        if definition.output:
            _output(name, part, definition, frame)


def unpack(names: Sequence[ast.NameDef], value: Datum) -> Sequence[Datum]:
    """A part of value for each name. Raises E0219."""
    if value is UNKNOWN:
        return [UNKNOWN] * len(names)
    if len(names) == 1:
        return [value]
    if not isinstance(value, tuple) or len(value) != len(names):
        got = len(value) if isinstance(value, tuple) else 1
        span = names[0].span.to(names[-1].span)
        message = f"{len(names)} names for {got} {'results' if got != 1 else 'result'}"
        raise refuse("E0219", message, span, help=_names_for(names, got))
    return value


def _names_for(names: Sequence[ast.NameDef], got: int) -> str:
    """What to write where there are so many results."""
    if got > len(names):
        return f"give each a name: {got} before `=`, with commas between"
    written = ", ".join(name.name for name in names[:got]) or "y"
    return f"write `{written} = …`" + (f", or take it apart: `-> split({len(names)})`" if got == 1 else "")


def _output(name: ast.NameDef, value: Datum, definition: ast.Define, frame: Frame) -> None:
    if isinstance(value, Value):
        frame.module.outputs[name.name] = value
    elif not is_unknown(value):
        help = "several outputs: `output a, b = …`" if isinstance(value, tuple) else ""
        raise refuse("E0310", f"an output is a tensor, got {describe(value)}", definition.value.span, help=help)


@carry_out.register
def _weight(definition: ast.Weight, frame: Frame) -> None:
    name, session = definition.name, frame.session
    frame.names.demand_new(name)
    sample = read_type(definition.type, frame)
    type = TensorType(sample.shape[1:], sample.dtype, sample.kind)
    if not type.dtype.is_float:
        raise refuse("E0310", f"a weight is of float, not {type.describe()}", definition.type.span)
    scope = frame.scope.named(name.name)
    init = _beginning(definition, type, frame)
    shared = scope.weights if scope.weights != scope.path else ""
    layer = Layer(scope.path, "weight", type.describe(), frame.blocks, shared)
    outer = frame.scope
    place = Place(outer.path, outer.weights, layer, (definition.span, *frame.spans), frame.reuse, frame.frozen)
    try:
        with session.builder.within(place):
            value = session.builder.weight(name.name, type.shape, init)
    except TypeRuleError as error:
        raise refuse_rule(error, definition.type.span) from None
    frame.names.define(name, value)
    session.note(name, value, frame)


def _beginning(definition: ast.Weight, type: TensorType, frame: Frame) -> Initializer:
    """Zeros unless written: an initialiser, a number, or what a file holds."""
    if definition.init is None:
        return Zeros()
    span = definition.init.span
    value = read_for(_STARTS, definition.init, frame)
    if is_unknown(value):
        raise told()
    if isinstance(value, Made) and value.kind == "source":
        start = given(value, frame)
        if start.shape != type.shape:
            got = TensorType(start.shape).describe()
            raise refuse("E0301", f"the weight is {type.describe()}, `{value.name}` gives {got}", span)
        return start
    if isinstance(value, Symbolic):
        raise refuse("E0401", f"the weight would begin as {value}, which is known only at run time", span)
    if is_number(value):
        value = Made("initializer", "constant", (("value", float(value)),), span)
    if not isinstance(value, Made) or value.kind != "initializer":
        help = 'a number, an initializer such as `normal(0, 0.1)`, or a file: `photo("cat.jpg")`'
        raise refuse("E0310", f"a weight cannot begin as {describe(value)}", span, help=help)
    start = build(value, frame)
    assert isinstance(start, Initializer)
    return start


_STARTS = Either((EntryOf("initializer"), EntryOf("source")))


# --- what data supplies ----------------------------------------------------------------------------------------------


@carry_out.register
def _input(definition: ast.Input, frame: Frame) -> None:
    for name in definition.names:
        frame.names.demand_new(name)
        if frame.module.operands is not None and not frame.module.apart:
            frame.names.define(name, _operand(name, definition.type, frame))
            continue
        type = read_type(definition.type, frame)
        place = Place(spans=(name.span,))
        with frame.session.builder.within(place):
            value = frame.session.builder.input(name.name, type)
        frame.module.inputs[name.name] = Port(name.name, type, name.span)
        frame.names.define(name, value)


def _operand(name: ast.NameDef, written: ast.TypeExpression, frame: Frame) -> Datum:
    """What flows into this input of a file that is used as a layer."""
    assert frame.module.operands is not None
    if name.name not in frame.module.operands:
        return UNKNOWN
    value, span = frame.module.operands[name.name]
    type = read_type(written, frame, value.type.shape[1:])
    if type.shape == value.type.shape and type.dtype == value.type.dtype:
        return value
    message = f"input `{name.name}` of {name.span.source.path} is {type.describe()}, got {value.type.describe()}"
    help = "make its sizes params of that file, or free dimensions (a name with a capital)"
    raise refuse("E0301", message, span, labels=[Label(name.span, "declared here")], help=help)


@carry_out.register
def _target(definition: ast.Target, frame: Frame) -> None:
    for name in definition.names:
        frame.names.demand_new(name)
        value = None
        if frame.module.operands is None:
            type = read_type(definition.type, frame, target=True)
            with frame.session.builder.within(Place(spans=(name.span,))):
                value = frame.session.builder.input(name.name, type, target=True)
            frame.module.targets[name.name] = Port(name.name, type, name.span)
        frame.names.define(name, TargetTensor(name.name, value))


# --- words and numbers -----------------------------------------------------------------------------------------------


@carry_out.register
def _param(definition: ast.Param, frame: Frame) -> None:
    frame.names.demand_new(definition.name)
    parameter = read_param(definition, frame)
    frame.module.params[definition.name.name] = parameter
    frame.names.define(definition.name, parameter.value)


@carry_out.register
def _block(definition: ast.Block, frame: Frame) -> None:
    _demand_own_word(definition.name, frame)
    frame.names.define(definition.name, BlockWord(definition, frame.now()))


@carry_out.register
def _shared(definition: ast.Shared, frame: Frame) -> None:
    _demand_own_word(definition.name, frame)
    home = frame.now()
    for stage in definition.recipe.stages:
        find_word(stage.call, home)
    scope = frame.scope.named(definition.name.name)
    word = SharedWord(definition, home, scope.weights)
    frame.session.shared.append(word)
    frame.names.define(definition.name, word)


def _demand_own_word(name: ast.NameDef, frame: Frame) -> None:
    entry = frame.session.vocabulary.find(name.name, "layer", "loss", "metric")
    if entry is not None or name.name in WHOLE_SPECS:
        kind = entry.kind if entry else "layer"
        help = "choose another name, so that every reader knows which is meant"
        raise refuse("E0203", f"`{name.name}` is {article(kind)} of the language", name.span, help=help)
