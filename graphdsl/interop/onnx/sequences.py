"""Recurrences. ONNX has time first, gates in rows and an axis of directions; ours reads [time, features]."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet, Turned
from graphdsl.ir import Array

ORDERS: Mapping[str, tuple[str, tuple[int, ...], list[str]]] = {
    "LSTM": ("lstm", (0, 2, 3, 1), ["Sigmoid", "Tanh", "Tanh"]),
    "GRU": ("gru", (0, 1, 2), ["Sigmoid", "Tanh"]),
    "RNN": ("rnn", (0,), ["Tanh"]),
}
"""Our word, where its gates stand among ONNX's, and the functions that it has inside."""


@reads("LSTM", "GRU", "RNN")
def read_recurrence(sheet: Sheet, step: Step) -> tuple[Value, ...]:
    """A layer for each direction; their results stand side by side."""
    word, order, functions = ORDERS[step.op]
    x = _sequence(sheet, step)
    _demand_plain(sheet, step, x)
    kernel, recurrent = sheet.fixed(1, "its weights"), sheet.fixed(2, "its recurrent weights")
    bias = sheet.optional(3, "its bias")
    units = recurrent.shape[-1]
    reverses = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}[
        step.get("direction", "forward")
    ]
    every, final = [], []
    for index, reverse in enumerate(reverses):
        weights = _weights(step, kernel[index], recurrent[index], None if bias is None else bias[index], order)
        given: dict[str, Any] = {"units": units} | ({"reverse": True} if reverse else {})
        given |= {"bias": False} if bias is None and step.op != "GRU" else {}
        given |= {"reset": "before"} if step.op == "GRU" and not step.get("linear_before_reset", 0) else {}
        given |= _functions(sheet, step, functions, index)
        if sheet.wants(0):
            every.append(sheet.then(x, word, weights, sequence=True, **given))
        if sheet.wants(1):
            final.append(sheet.then(x, word, weights, **given))
    return _results(sheet, step, x, units, every, final)


def _sequence(sheet: Sheet, step: Step) -> Flow:
    """x as [time, features], its batch apart."""
    x = sheet.plain(sheet.flow(0))
    time, batch = (1, 0) if step.get("layout", 0) else (0, 1)
    if x.batch == time and x.port:
        raise Turned(x.port, batch=batch)
    if x.batch not in (batch, NONE) or (x.batch == NONE and x.shape[batch] != 1):
        raise Mixed
    return sheet.arranged(x, (time, 2))


WORDS = {"tanh": "tanh", "sigmoid": "sigmoid", "relu": "relu", "softsign": "softsign", "hardsigmoid": "hard_sigmoid_2"}
"""What we call the functions inside a cell. A HardSigmoid has the slope 0.2 unless told otherwise."""


def _functions(sheet: Sheet, step: Step, usual: Sequence[str], direction: int) -> dict[str, Any]:
    """The functions of the gates and of the candidate, where they are not the usual ones."""
    told = step.get("activations") or []
    own = told[direction * len(usual) : (direction + 1) * len(usual)] or usual
    if (
        any(f.lower() not in WORDS for f in own)
        or (own[1:2] != own[2:] and len(own) == 3)
        or step.get("activation_alpha")
    ):
        raise sheet.refused(f"inside of it are {', '.join(own)}, which ours cannot have together")
    names = ["activation"] if len(usual) == 1 else ["gate", "activation"]
    return {n: WORDS[f.lower()] for n, f, u in zip(names, own, usual, strict=False) if f.lower() != u.lower()}


def _demand_plain(sheet: Sheet, step: Step, x: Flow) -> None:
    """Refuses what our cells do not have."""
    if step.get("clip") or step.get("input_forget", 0):
        raise sheet.refused("it cuts or couples its gates, and ours does not")
    if sheet.wants(2):
        raise sheet.refused("the state of its cells is read, and ours gives only what it says")
    time = 1 if step.get("layout", 0) else 0
    lengths = sheet.optional(4, "the lengths of its sequences")
    if lengths is not None and not (lengths == x.shape[time]).all():
        raise sheet.refused("its sequences have lengths of their own; feed them to a spec as `float[T, …]`")
    for index in (5, 6):
        state = sheet.optional(index, "its first state") if step.input(index) else None
        if state is not None and state.any():
            raise sheet.refused("it begins with a state of its own, and ours with zeros")
    if step.input(7):
        raise sheet.refused("its gates look at the cells (peepholes), and ours do not")


def _weights(step: Step, kernel: Array, recurrent: Array, bias: Array | None, order: Sequence[int]) -> dict[str, Array]:
    """Gates from rows to columns, in our order."""
    gates = len(order)

    def turned(array: Array) -> Array:
        parts = np.split(np.asarray(array, np.float32), gates, axis=0)
        return np.concatenate([parts[i] for i in order], axis=0).T

    made = {"kernel": turned(kernel), "recurrent": turned(recurrent)}
    if step.op == "GRU":
        both = np.zeros(2 * len(kernel), np.float32) if bias is None else bias
        own, heard = np.split(both, 2)
        if not step.get("linear_before_reset", 0):
            return made | {"bias": turned(own + heard)}
        return made | {"bias": turned(own), "recurrent_bias": turned(heard)}
    if bias is not None:
        own, heard = np.split(bias, 2)
        made["bias"] = turned(own + heard)
    return made


def _results(sheet: Sheet, step: Step, x: Flow, units: int, every: list[str], final: list[str]) -> tuple[Value, ...]:
    """Y [time, directions, batch, units], the last state [directions, batch, units]; layout 1 has the batch first."""
    first = bool(step.get("layout", 0))
    time, samples = (x.shape[1], x.shape[0]) if first else (x.shape[0], x.shape[1])
    many = len(every or final)
    shape = (samples, time, many, units) if first else (time, many, samples, units)
    last = (samples, many, units) if first else (many, samples, units)
    batches = (0, 0) if first else (2, 1)
    batch, batch_last = batches if x.batch != NONE else (NONE, NONE)
    results: list[Value] = []
    for names, whole, own, steps in ((every, shape, batch, True), (final, last, batch_last, False)):
        if not names:
            results.append(np.zeros(0, np.float32))
            continue
        places = ((1,) if first else (0,)) if steps else ()
        axis = (2 if first else 1) if steps else (1 if first else 0)
        name = names[0] if many == 1 else sheet.put("concat", names)[0]
        if many > 1:
            name = sheet.viewed(
                name, (*([time] if steps else []), many * units), (*([time] if steps else []), many, units)
            )
        order = (*places, *((axis,) if many > 1 else ()), len(whole) - 1)
        results.append(Flow(name, whole, order, own))
    return tuple(results)
