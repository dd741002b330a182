"""Losses that stand in a graph, and one-hot vectors, where a class that does not exist is nowhere 1."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.reduces import over_last, reduced
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.shapes import class_numbers
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.ir import Array


@reads("NegativeLogLikelihoodLoss")
def read_nll(sheet: Sheet, step: Step) -> Value:
    """Minus the score of the true class, weighed by class."""
    return _loss(sheet, step, sheet.plain(sheet.flow(0)))


@reads("SoftmaxCrossEntropyLoss")
def read_cross_entropy(sheet: Sheet, step: Step) -> tuple[Value, ...]:
    """The same of the logarithms of softmax, which are a result as well."""
    scores = over_last(sheet, "log_softmax", sheet.plain(sheet.flow(0)), 1)
    return _loss(sheet, step, scores), scores


def _loss(sheet: Sheet, step: Step, scores: Flow) -> Flow:
    classes = scores.shape[1]
    weights = _weights(sheet, step, classes)
    order = (*(a for a in scores.axes if a != 1), 1)
    scores = sheet.arranged(replace(scores, port=""), order)
    true = one_hot(sheet, sheet.raw_flow(1), classes)
    if weights is not None:
        true = replace(true, name=sheet.then(true, "scale", {"gamma": weights}, center=False))
    told = Flow(sheet.put("*", (true.name, scores.name))[0], scores.shape, order, scores.batch)
    loss = sheet.scaled(reduced(sheet, "reduce_sum", told, [1], False), "*", -1)
    reduction = step.get("reduction", "mean")
    if reduction == "none":
        return loss
    axes = list(range(loss.rank))
    if reduction == "mean" and weights is None:
        return reduced(sheet, "reduce_mean", loss, axes, False)
    total = reduced(sheet, "reduce_sum", loss, axes, False)
    if reduction == "sum":
        return total
    count = reduced(
        sheet, "reduce_sum", replace(true, shape=scores.shape, order=order), list(range(scores.rank)), False
    )
    return replace(total, name=sheet.put("/", (total.name, count.name))[0])


def _weights(sheet: Sheet, step: Step, classes: int) -> Array | None:
    """A number for each class, 0 for the one to be ignored; None where all are 1 and all count."""
    given = sheet.optional(2, "the weights of classes")
    ignored = step.get("ignore_index")
    if given is None and ignored is None:
        return None
    weights = np.ones(classes, np.float32) if given is None else np.array(given, np.float32)
    if ignored is not None and 0 <= ignored < classes:
        weights[ignored] = 0
    return weights


def one_hot(sheet: Sheet, x: Flow, classes: int) -> Flow:
    """x with an axis of classes behind, also in ONNX's order."""
    x = class_numbers(sheet, x, classes)
    if x.classes != classes:
        raise sheet.refused(f"it counts {classes} classes, and what it reads {x.classes}")
    return Flow(sheet.then(x, "one_hot"), (*x.shape, classes), (*x.order, x.rank), x.batch)


@reads("OneHot")
def read_one_hot(sheet: Sheet, step: Step) -> Value:
    """One value at the class and another elsewhere, on an axis of their own."""
    depth = int(np.ravel(sheet.fixed(1, "how many classes there are"))[0])
    off, on = (float(v) for v in np.ravel(sheet.fixed(2, "the two values")))
    x = one_hot(sheet, sheet.raw_flow(0), depth)
    axis = int(step.get("axis", -1)) % x.rank
    if NONE < axis <= x.batch:
        raise Mixed
    new = {old: at for at, old in enumerate([*range(axis), x.rank - 1, *range(axis, x.rank - 1)])}
    shape = [0] * x.rank
    for old, at in new.items():
        shape[at] = x.shape[old]
    made = replace(x, shape=tuple(shape), order=tuple(new[a] for a in x.order), batch=new.get(x.batch, NONE))
    return sheet.scaled(sheet.scaled(made, "*", on - off), "+", off)
