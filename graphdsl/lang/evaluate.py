"""What an expression stands for. Each kind of expression has a rule; those for pipes and calls are in other files.

A rule raises what is wrong. `read` reports it and gives Unknown, so that reading goes on beside it.
"""

from __future__ import annotations

from functools import singledispatch

from graphdsl.ir import SizeValue, Value
from graphdsl.lang import ast
from graphdsl.lang.arithmetic import bounded, compute, negate
from graphdsl.lang.facts import fact
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.tensors import combine
from graphdsl.lang.values import (
    UNKNOWN,
    BlockWord,
    Datum,
    Flow,
    SharedWord,
    TargetTensor,
    describe,
    is_unknown,
)
from graphdsl.report import Failed, Label


def read(expression: ast.Expression, frame: Frame) -> Datum:
    """What expression stands for; Unknown after telling what is wrong with it."""
    session = frame.session
    try:
        session.descend(expression.span)
        return evaluate(expression, frame)
    except Failed as failed:
        session.tell(failed, frame)
        return UNKNOWN
    finally:
        session.ascend()


def read_flow(expression: ast.Expression, frame: Frame) -> Flow:
    """What flows out of expression, with the place of each item of a list."""
    items = expression.items if isinstance(expression, ast.ListOf) else (expression,)
    return Flow(read(expression, frame), tuple(i.span for i in items) or (expression.span,))


@singledispatch
def evaluate(expression: ast.Expression, frame: Frame) -> Datum:
    """What expression stands for; raises Failed."""
    raise AssertionError(f"no rule for {type(expression).__name__}")


@evaluate.register
def _number(expression: ast.Number, frame: Frame) -> Datum:
    return bounded(expression.value, expression.span)


@evaluate.register
def _size(expression: ast.SizeLiteral, frame: Frame) -> Datum:
    for number in expression.values:
        bounded(number, expression.span)
    return SizeValue(expression.values)


@evaluate.register
def _text(expression: ast.Text, frame: Frame) -> Datum:
    return expression.value


@evaluate.register
def _truth(expression: ast.Truth, frame: Frame) -> Datum:
    return expression.value


@evaluate.register
def _nothing(expression: ast.Nothing, frame: Frame) -> Datum:
    return None


@evaluate.register
def _name(expression: ast.Name, frame: Frame) -> Datum:
    binding = frame.names.find(expression.name)
    if binding is None:
        return _unbound(expression, frame)
    match binding.value:
        case BlockWord() | SharedWord() as word:
            help = f"a tensor flows into it: `x -> {expression.name}`"
            raise refuse("E0213", f"{describe(word)} stands where a value is needed", expression.span, help=help)
        case TargetTensor() as target:
            return _target(target, expression, frame)
        case value:
            return value


def _target(target: TargetTensor, expression: ast.Name, frame: Frame) -> Datum:
    if frame.section:
        return target.value
    help = "a model cannot know the truth when it is used; read it in `loss` and `metrics`, or declare it as an input"
    raise refuse("E0217", f"`{target.name}` is a target: only sections read it", expression.span, help=help)


def _unbound(expression: ast.Name, frame: Frame) -> Datum:
    name, session = expression.name, frame.session
    if name == "weights" and session.parameters is not None:
        return session.parameters
    planned = frame.names.planned(name)
    if planned is not None:
        help = "a name is defined once, before it is used; a graph has no cycles"
        label = Label(planned, "defined here")
        raise refuse("E0204", f"`{name}` is used before it is defined", expression.span, labels=[label], help=help)
    if name in session.words:
        return name
    entry = session.vocabulary.find(name)
    if entry is not None and entry.kind == "layer":
        help = f"a tensor flows into it: `x -> {name}`"
        raise refuse("E0213", f"`{name}` is a layer, and stands where a value is needed", expression.span, help=help)
    if entry is not None:
        return evaluate(ast.Call(name, expression.span, (), expression.span), frame)
    if session.is_lost(name, expression.span):
        return UNKNOWN
    if name == "in":
        raise refuse("E0201", "`in` is what flows into a block, and this is none", expression.span)
    values = (n for n, b in frame.names.visible() if not isinstance(b.value, BlockWord | SharedWord))
    raise refuse("E0201", f"nothing is called `{name}`", expression.span, help=session.suggest(name, values))


@evaluate.register
def _list(expression: ast.ListOf, frame: Frame) -> Datum:
    return tuple(read(item, frame) for item in expression.items)


@evaluate.register
def _fact(expression: ast.Fact, frame: Frame) -> Datum:
    value = read(expression.value, frame)
    return UNKNOWN if is_unknown(value) else fact(value, expression, frame.session.builder)


@evaluate.register
def _unary(expression: ast.Unary, frame: Frame) -> Datum:
    signs: list[ast.Unary] = []
    operand: ast.Expression = expression
    while isinstance(operand, ast.Unary):
        signs.append(operand)
        operand = operand.operand
    value = read(operand, frame)
    for sign in reversed(signs):
        value = UNKNOWN if is_unknown(value) else _signed(sign, value, frame)
    return value


def _signed(sign: ast.Unary, value: Datum, frame: Frame) -> Datum:
    if isinstance(value, Value):
        return combine(sign.operator, (value,), (sign.operand.span,), sign.span, frame)
    return negate(sign.operator, value, sign.span)


@evaluate.register
def _binary(expression: ast.Binary, frame: Frame) -> Datum:
    # A sum of ten thousand terms leans to the left: its spine is walked, not descended.
    spine: list[ast.Binary] = []
    operand: ast.Expression = expression
    while isinstance(operand, ast.Binary):
        spine.append(operand)
        operand = operand.left
    value = read(operand, frame)
    for part in reversed(spine):
        value = _joined(part, value, frame)
    return value


def _joined(part: ast.Binary, left: Datum, frame: Frame) -> Datum:
    if part.operator in ("and", "or"):
        return _logic(part, left, frame)
    right = read(part.right, frame)
    if is_unknown(left) or is_unknown(right):
        return UNKNOWN
    if isinstance(left, Value) or isinstance(right, Value):
        spans = (part.left.span, part.right.span)
        return combine(part.operator, (left, right), spans, part.operator_span, frame)
    return compute(part.operator, left, right, part.operator_span)


def _logic(part: ast.Binary, left: Datum, frame: Frame) -> Datum:
    """The right side is read only where it decides: `in.channels > 2 and …`."""
    decided = truth(left, part.left)
    if decided is UNKNOWN or decided == (part.operator == "or"):
        return decided
    return truth(read(part.right, frame), part.right)


def truth(value: Datum, expression: ast.Expression) -> Datum:
    """value where it is true, false or Unknown; raises E0310."""
    if isinstance(value, bool) or value is UNKNOWN:
        return value
    raise refuse("E0310", f"needs true or false, got {describe(value)}", expression.span)


@evaluate.register
def _conditional(expression: ast.Conditional, frame: Frame) -> Datum:
    return read(chosen(expression, frame), frame)


def chosen(expression: ast.Conditional, frame: Frame) -> ast.Expression:
    """The branch that is taken; a chain of `else if` is walked. Raises Failed where no condition decides."""
    branch: ast.Expression = expression
    while isinstance(branch, ast.Conditional):
        decided = truth(read(branch.condition, frame), branch.condition)
        if decided is UNKNOWN:
            raise told()
        branch = branch.then if decided else branch.otherwise
    return branch
