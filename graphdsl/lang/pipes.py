"""Pipes: what flows through the stages, one after the other. What a stage does depends on what its word is."""

from __future__ import annotations

from functools import singledispatch
from itertools import chain

from graphdsl.ir import Slot, Symbolic, Value
from graphdsl.lang import ast
from graphdsl.lang.evaluate import evaluate, read, read_flow
from graphdsl.lang.frame import Frame
from graphdsl.lang.limits import MAX_REPEATS
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.values import (
    UNKNOWN,
    WHOLE_SPECS,
    BlockWord,
    Datum,
    Flow,
    SharedWord,
    TargetTensor,
    article,
    describe,
    is_unknown,
)
from graphdsl.report import Failed, Label, Span

OTHER_NAMES = {
    "batchnorm": "batch_norm",
    "cat": "concat",
    "concatenate": "concat",
    "fc": "dense",
    "fully_connected": "dense",
    "mean": "average",
    "mul": "multiply",
    "sum": "add",
}
"""What other systems call our layers, where the letters do not tell."""

PLACES = {
    "loss": "the `loss` of a section",
    "metric": "the `metrics` of a section",
    "augment": "`augment`",
    "preprocess": "`preprocess`",
}
"""Where words stand that are no layers, by their kind."""


@singledispatch
def apply(word: Datum, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """What comes out of one use of word. Everything about the call is checked even where flow is Unknown.

    Raises Failed.
    """
    raise AssertionError(f"no rule for {type(word).__name__}")


@evaluate.register
def _pipe(expression: ast.Pipe, frame: Frame) -> Datum:
    if expression.source is None:
        help = "write the tensor before the arrow: `x -> …`"
        raise refuse("E0310", "nothing flows into this", expression.span, help=help)
    return run(expression.stages, read_flow(expression.source, frame), frame)


def run(stages: tuple[ast.Stage, ...], flow: Flow, frame: Frame) -> Datum:
    """What comes out of the stages. A stage that fails lets Unknown through, so that the next ones are checked."""
    for stage in stages:
        try:
            flow = _stage(stage, flow, frame)
        except Failed as failed:
            frame.session.tell(failed, frame)
            flow = Flow(UNKNOWN, (stage.call.span,))
    return flow.data


def _stage(stage: ast.Stage, flow: Flow, frame: Frame) -> Flow:
    word = find_word(stage.call, frame)
    times = 1 if stage.repeat is None else repeats(stage.repeat, frame)
    if is_unknown(flow.data):
        times = min(times, 1)
    for _ in range(times):
        flow = Flow(apply(word, stage.call, flow, frame), (stage.call.span,))
    return flow


def repeats(expression: ast.Expression, frame: Frame) -> int:
    """How often a stage is repeated. Raises E0310, E0401, E0402."""
    count = read(expression, frame)
    if count is UNKNOWN:
        raise told()
    if isinstance(count, Symbolic):
        raise refuse("E0401", f"repeating {count} times is known only at run time", expression.span)
    whole = int(count) if isinstance(count, float) and count.is_integer() else count
    if isinstance(whole, bool) or not isinstance(whole, int) or whole < 0:
        raise refuse("E0310", f"`*` needs a whole number of at least 0, got {describe(count)}", expression.span)
    if whole > MAX_REPEATS:
        raise refuse("E0402", f"repeated {whole:,} times; at most {MAX_REPEATS:,} are built", expression.span)
    return whole


# --- the word after an arrow -----------------------------------------------------------------------------------------


def find_word(call: ast.Call, frame: Frame) -> Datum:
    """What may follow an arrow: a block or shared layer of the text, `model`, a registered word.

    Raises E0202 (no such thing), E0204 (too early), E0213 (a tensor), E0223 (a word for elsewhere).
    """
    binding = frame.names.find(call.name)
    if binding is not None and isinstance(binding.value, BlockWord | SharedWord):
        return binding.value
    if call.name in WHOLE_SPECS:
        return WHOLE_SPECS[call.name]
    entry = frame.session.vocabulary.find(call.name, *_kinds(frame))
    if entry is not None:
        return entry
    if binding is not None and binding.value is UNKNOWN:
        raise told()
    if binding is not None:
        raise _no_word(call, binding.value, binding.span)
    raise _unknown(call, frame)


def _kinds(frame: Frame) -> tuple[str, ...]:
    if frame.slot is Slot.METRICS:
        return ("layer", "metric")
    return ("layer", "loss") if frame.section else ("layer",)


def _no_word(call: ast.Call, value: Datum, span: Span) -> Failed:
    is_tensor = isinstance(value, Value | TargetTensor)
    message = f"`{call.name}` is {'a tensor' if is_tensor else describe(value)}, and no layer"
    help = "only layers, blocks and shared layers follow `->`"
    return refuse("E0213", message, call.name_span, labels=[Label(span, "defined here")], help=help)


def _unknown(call: ast.Call, frame: Frame) -> Failed:
    name, session = call.name, frame.session
    planned = frame.names.planned(name)
    if planned is not None:
        help = "a block is defined before it is used, and never uses itself"
        label = Label(planned, "defined here")
        return refuse("E0204", f"`{name}` is used before it is defined", call.name_span, labels=[label], help=help)
    if session.is_lost(name, call.name_span):
        return told()
    entry = session.vocabulary.find(name)
    if entry is not None:
        help = f"it belongs into {PLACES[entry.kind]}" if entry.kind in PLACES else ""
        return refuse("E0223", f"`{name}` is {article(entry.kind)}, and no layer", call.name_span, help=help)
    known = (n for kind in _kinds(frame) for n in session.vocabulary.entries(kind))
    mine = (n for n, b in frame.names.visible() if isinstance(b.value, BlockWord | SharedWord))
    other = OTHER_NAMES.get(name.lower())
    help = f"did you mean `{other}`?" if other else session.suggest(name, chain(known, mine, WHOLE_SPECS))
    return refuse("E0202", f"no layer or block is called `{name}`", call.name_span, help=help)
