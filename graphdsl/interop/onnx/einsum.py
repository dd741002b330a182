"""Einsum: sums of products by letters. Two tensors are a product of matrices once their axes are put in order."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value, moved
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.picks import picked_from
from graphdsl.interop.onnx.products import linear, product
from graphdsl.interop.onnx.reduces import reduced
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet

SPARE = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
"""Letters for the axes under an ellipsis."""


@reads("Einsum")
def read_einsum(sheet: Sheet, step: Step) -> Value:
    """Of one or two tensors."""
    values = [v for k in range(len(step.inputs)) if (v := sheet.value(k)) is not None]
    ranks = [v.ndim if isinstance(v, np.ndarray) else v.rank for v in values]
    terms, wanted = letters(str(step.attributes["equation"]), ranks)
    if len(values) > 2:
        raise sheet.refused("it multiplies more than two tensors; write it as several")
    if len(values) == 1:
        x, term = _single(sheet, sheet.plain(sheet.flow(0)), terms[0], wanted)
        return moved(x, [term.index(c) for c in wanted])
    return _pair(sheet, values, terms, wanted)


def letters(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """A letter for each axis of each tensor, and of the result."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    hidden = [rank - len(t.replace("...", "")) if "..." in t else 0 for t, rank in zip(terms, ranks, strict=True)]
    spare = [c for c in SPARE if c not in equation][: max(hidden)]
    terms = [t.replace("...", "".join(spare[len(spare) - n :])) for t, n in zip(terms, hidden, strict=True)]
    if any(len(t) != rank for t, rank in zip(terms, ranks, strict=True)):
        raise ValueError(f"{equation} does not fit tensors with {list(ranks)} axes")
    if arrow:
        return terms, right.replace("...", "".join(spare))
    every = "".join(terms)
    return terms, "".join(spare) + "".join(sorted(c for c in set(every) if every.count(c) == 1 and c not in spare))


def _single(sheet: Sheet, x: Flow, term: str, kept: str) -> tuple[Flow, str]:
    """x without the axes that nobody wants, which are summed up; a letter twice is a diagonal."""
    if len(set(term)) < len(term):
        x, term = _diagonal(sheet, x, term)
    gone = [a for a, c in enumerate(term) if c not in kept]
    if gone:
        x = reduced(sheet, "reduce_sum", x, gone, False)
    return x, "".join(c for c in term if c in kept)


def _diagonal(sheet: Sheet, x: Flow, term: str) -> tuple[Flow, str]:
    if x.batch != NONE:
        raise Mixed
    sheet.demand_small(prod(x.shape), "its list of places")
    places = np.arange(prod(x.shape)).reshape(x.shape)
    rest = "".join(dict.fromkeys(term))
    numbers = {c: at for at, c in enumerate(rest)}
    picked = np.einsum(places, [numbers[c] for c in term], list(range(len(rest))))
    return picked_from(sheet, x, picked), rest


def _pair(sheet: Sheet, values: Sequence[Value], terms: Sequence[str], wanted: str) -> Flow:
    """[both…, first…, summed] times [both…, summed, second…]."""
    flows = [v if isinstance(v, Flow) else sheet.weight(v) for v in values]
    if isinstance(values[1], np.ndarray) and not set(terms[0]) & set(terms[1]) & set(wanted):
        return _with_constant(sheet, flows[0], values[1], terms, wanted)
    found = [_single(sheet, sheet.plain(f), t, o + wanted) for f, t, o in zip(flows, terms, terms[::-1], strict=True)]
    (a, left), (b, right) = found
    both = [c for c in left if c in right and c in wanted]
    summed = [c for c in left if c in right and c not in wanted]
    first, second = [c for c in left if c not in right], [c for c in right if c not in left]
    sizes = dict(zip(left + right, a.shape + b.shape, strict=True))
    a = moved(a, [left.index(c) for c in (*both, *first, *summed)])
    b = moved(b, [right.index(c) for c in (*both, *summed, *second)])
    outer, rows, inner, columns = ([sizes[c] for c in group] for group in (both, first, summed, second))
    a = sheet.reshaped(a, (*outer, prod(rows), prod(inner)))
    b = sheet.reshaped(b, (*outer, prod(inner), prod(columns)))
    made = sheet.reshaped(product(sheet, a, b), (*outer, *rows, *columns))
    return moved(made, [[*both, *first, *second].index(c) for c in wanted])


def _with_constant(sheet: Sheet, x: Flow, array: np.ndarray, terms: Sequence[str], wanted: str) -> Flow:
    """A constant second factor without axes in common with the result of the first: a dense layer."""
    left, right = terms
    x, left = _single(sheet, sheet.plain(x), left, right + wanted)
    summed = [c for c in left if c in right]
    first, second = [c for c in left if c not in right], [c for c in right if c not in left]
    sizes = dict(zip(left + right, x.shape + array.shape, strict=True))
    x = moved(x, [left.index(c) for c in (*first, *summed)])
    inner, columns = ([sizes[c] for c in group] for group in (summed, second))
    kernel = array.transpose([right.index(c) for c in (*summed, *second)]).reshape(prod(inner), prod(columns))
    rows = [sizes[c] for c in first]
    y = linear(sheet, sheet.reshaped(x, (*rows, prod(inner))), kernel, None)
    made = sheet.reshaped(y, (*rows, *columns))
    return moved(made, [[*first, *second].index(c) for c in wanted])
