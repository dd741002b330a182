"""Products of matrices: dense layers where one factor is constant, matmul where neither is."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.interop.onnx.along import along_axis
from graphdsl.interop.onnx.flow import NONE, Flow, Value, moved, parted, rejoined
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.interop.onnx.stretch import stretched, together, widened
from graphdsl.ir import Array


def linear(sheet: Sheet, x: Flow, kernel: Array, bias: Array | None) -> Flow:
    """x times kernel [in, out] along ONNX's last axis, plus bias [out]. A picture that was flattened just before
    keeps its own order: the rows of the kernel are put into that order instead."""
    kernel = np.asarray(kernel, np.float32)
    axis = x.rank - 1
    if x.shape[axis] != kernel.shape[0]:
        raise ValueError(f"{x.shape} cannot be multiplied with {kernel.shape}")
    if axis == x.batch:
        raise Mixed
    if x.mix is not None and x.order == (axis,):
        kernel = kernel.reshape(*x.mix.sizes, -1).transpose(*x.mix.order, *_rest(x.mix.order, len(x.mix.sizes)))
        kernel = kernel.reshape(x.shape[axis], -1)
        x = replace(x, mix=None)
    x = sheet.plain(x)
    if x.order[-1:] != (axis,):
        x = sheet.arranged(replace(x, port=""), (*(a for a in x.order if a != axis), axis))
    weights = {"kernel": kernel} | ({} if bias is None else {"bias": np.asarray(bias, np.float32).reshape(-1)})
    more: dict[str, Any] = {} if bias is not None else {"bias": False}
    units, rank = int(kernel.shape[1]), len(x.order)
    if rank == 3:
        weights["kernel"] = kernel[None, None]
        name = sheet.then(x, "conv", weights, filters=units, size=1, **more)
    elif rank < 3:
        name = sheet.then(x, "dense", weights, units=units, **more)
    else:
        (flat,) = sheet.put("reshape", (x.name,), {"shape": sheet.sizes([prod(x.written[:-1]), x.written[-1]])})
        (name,) = sheet.put("dense", (flat,), {"units": units, **more}, weights)
        (name,) = sheet.put("reshape", (name,), {"shape": sheet.sizes([*x.written[:-1], units])})
    return Flow(name, (*x.shape[:-1], units), x.order, x.batch)


def _rest(order: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes of size 1 that an order leaves out, and the columns."""
    return (*(a for a in range(rank) if a not in order), rank)


@reads("Gemm")
def read_gemm(sheet: Sheet, step: Step) -> Value:
    """alpha * A' * B' + beta * C."""
    a, b = sheet.raw_flow(0), sheet.value(1)
    alpha, beta = float(step.get("alpha", 1.0)), float(step.get("beta", 1.0))
    a, counts = parted(a)
    if len(counts) < a.rank and (step.get("transA", 0) or counts[-1] != 1):
        raise Mixed
    if step.get("transA", 0):
        a = moved(sheet.plain(a), (1, 0))
    c = sheet.value(2)
    if isinstance(b, np.ndarray):
        kernel = (b.T if step.get("transB", 0) else b) * np.float32(alpha)
        row = _row(c, kernel.shape[1], beta)
        if len(counts) < a.rank and row is None and c is not None:
            raise Mixed
        y = rejoined(linear(sheet, a, kernel, row), counts)
        return y if row is not None or c is None else _plus(sheet, y, c, beta)
    if len(counts) < a.rank:
        raise Mixed
    assert b is not None
    b = moved(sheet.plain(b), (1, 0)) if step.get("transB", 0) else b
    y = sheet.scaled(product(sheet, a, b), "*", alpha)
    return y if c is None else _plus(sheet, y, c, beta)


def _row(c: Value | None, units: int, beta: float) -> Array | None:
    """C as a bias, one number a unit; None where it is none."""
    if not isinstance(c, np.ndarray) or c.ndim > 2 or (c.ndim == 2 and c.shape[0] != 1 and not (c == c[:1]).all()):
        return None
    row = c[0] if c.ndim == 2 else c
    return np.broadcast_to(np.asarray(row, np.float32) * np.float32(beta), (units,))


def _plus(sheet: Sheet, y: Flow, c: Value, beta: float) -> Flow:
    if isinstance(c, np.ndarray):
        c = c * np.float32(beta)
    a, b = together(sheet, y, sheet.scaled(c, "*", beta) if isinstance(c, Flow) else c)
    return replace(a, name=sheet.put("+", (a.name, b.name))[0])


@reads("MatMul")
def read_matmul(sheet: Sheet, step: Step) -> Value:
    """A third input, if there is one, is a bias that a pattern has put there."""
    a, b = sheet.raw(0), sheet.raw(1)
    assert a is not None and b is not None
    bias = sheet.optional(2, "the bias")
    if isinstance(a, Flow) and a.groups:
        return _joined(sheet, a, b, bias)
    a, b = sheet.value(0), sheet.value(1)
    assert a is not None and b is not None
    if isinstance(a, Flow) and isinstance(b, np.ndarray) and b.ndim == 2:
        return linear(sheet, a, b, bias)
    if isinstance(a, Flow) and isinstance(b, np.ndarray) and b.ndim == 1:
        y = linear(sheet, a, b[:, None], None)
        return sheet.reshaped(y, y.shape[:-1])
    if isinstance(a, np.ndarray) and isinstance(b, Flow) and a.ndim == 2 and b.rank > 1:
        b = sheet.plain(b)
        if b.batch == b.rank - 2:
            raise Mixed
        b = b if b.rank - 2 in b.order else sheet.natural(b)
        return along_axis(sheet, b, b.rank - 2, np.ascontiguousarray(a.T, np.float32))
    return product(sheet, a, b)


def _joined(sheet: Sheet, a: Flow, b: Value, bias: Array | None) -> Flow:
    """A product where ONNX has joined the batch with other axes: these are apart meanwhile."""
    x, counts = parted(a)
    if counts[-1] != 1:
        raise Mixed
    if isinstance(b, np.ndarray) and b.ndim == 2:
        return rejoined(linear(sheet, x, b, bias), counts)
    if isinstance(b, np.ndarray):
        raise Mixed
    y, others = parted(b)
    if others != counts or counts[-2:] != (1, 1) or x.shape[:-2] != y.shape[:-2]:
        raise Mixed
    return rejoined(product(sheet, x, y), counts)


def product(sheet: Sheet, a: Value, b: Value) -> Flow:
    """[..., m, k] times [..., k, n], the axes before stretched to each other."""
    x, y = (v if isinstance(v, Flow) else sheet.weight(v) for v in (a, b))
    x, y = sheet.plain(x), sheet.plain(y)
    if x.rank < 2 or y.rank < 2:
        return _with_vector(sheet, x, y)
    rank = max(x.rank, y.rank)
    x, y = widened(x, rank), widened(y, rank)
    if x.batch != y.batch or x.batch >= rank - 2:
        raise Mixed
    outer = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    before = tuple(a for a in range(rank - 2) if a != x.batch)
    (x, turn_x), (y, turn_y) = (_matrix(sheet, v, before, (*outer, *v.shape[-2:])) for v in (x, y))
    turns = {name: True for name, turn in (("transpose_x", turn_x), ("transpose_y", turn_y)) if turn}
    name = sheet.put("matmul", (x.name, y.name), turns)[0]
    return Flow(name, (*outer, x.shape[-2], y.shape[-1]), (*before, rank - 2, rank - 1), x.batch)


def _matrix(sheet: Sheet, x: Flow, before: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Flow, bool]:
    """x stretched to a shape, with its last two axes in either order, and whether they are turned."""
    turned = (*before, x.rank - 1, x.rank - 2)
    order = turned if x.order == turned else (*before, x.rank - 2, x.rank - 1)
    return stretched(sheet, sheet.arranged(x, order), shape), order == turned


def _with_vector(sheet: Sheet, x: Flow, y: Flow) -> Flow:
    """A vector is a matrix of one row or one column."""
    if x.batch != NONE:
        raise Mixed
    left = sheet.reshaped(x, (1, *x.shape)) if x.rank == 1 else x
    right = sheet.reshaped(y, (*y.shape, 1)) if y.rank == 1 else y
    made = product(sheet, left, right)
    shape = [*made.shape[:-2], *([] if x.rank == 1 else [made.shape[-2]]), *([] if y.rank == 1 else [made.shape[-1]])]
    return sheet.reshaped(made, shape)
