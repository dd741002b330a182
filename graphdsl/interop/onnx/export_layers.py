"""How operators with kernels of their own are said in ONNX: convolutions, pools, normalisation, recurrences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from graphdsl.interop.onnx.export_rules import bias_after, says, write_resize
from graphdsl.interop.onnx.export_sheet import FIRST, LAST, Sheet, place_of
from graphdsl.interop.onnx.functions import S_CELLS, qualified
from graphdsl.ir import Array, DType, Value
from graphdsl.ops import (
    AvgPool,
    BatchNorm,
    Conv,
    ConvInputGradient,
    Elementwise,
    GlobalMaxPool,
    Gru,
    Lstm,
    MaxPool,
    Pads,
    SCells,
    Sizes,
    Standardize,
    Taps,
    resize,
)
from graphdsl.ops.expression import Operand


def _pads(pad: Pads) -> tuple[int, ...]:
    """Before on every axis, then behind: ONNX's order."""
    return (*(lo for lo, _ in pad), *(hi for _, hi in pad))


def _sliding(size: Sizes, stride: Sizes, pad: Pads) -> dict[str, tuple[int, ...]]:
    settings = {"kernel_shape": size, "strides": stride}
    return settings | ({"pads": _pads(pad)} if any(map(any, pad)) else {})


def _kernel(sheet: Sheet, kernel: Value) -> str:
    """[window..., in, out] as [out, in, window...]; for a transposed convolution these are in and out as well."""
    array = sheet.numbers(kernel)
    axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    return sheet.keep(kernel.node, np.ascontiguousarray(array.transpose(axes)), axes)


@says(Conv)
def write_conv(sheet: Sheet, value: Value) -> None:
    (x, kernel), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Conv)
    size = tuple(int(s) for s in sheet.numbers(kernel).shape[:-2])
    settings = {**_sliding(size, op.stride, op.pad), **_spread(op)}
    _with_bias(sheet, value, "Conv", [sheet.tensor(x, FIRST), _kernel(sheet, kernel)], settings)


def _spread(op: Conv | ConvInputGradient) -> dict[str, int | tuple[int, ...]]:
    found: dict[str, int | tuple[int, ...]] = {"dilations": op.dilation} if any(d > 1 for d in op.dilation) else {}
    return found | ({"group": op.groups} if op.groups > 1 else {})


def _with_bias(sheet: Sheet, value: Value, word: str, inputs: Sequence[str], settings: Mapping[str, object]) -> None:
    """Writes a convolution together with the bias that follows it, where one does."""
    found = bias_after(sheet, value)
    total, bias = found or (value, "")
    sheet.begin(total.node)
    sheet.bind(total, sheet.write(word, [*inputs, *([bias] if bias else [])], settings=settings), FIRST)


@says(SCells)
def write_s_cells(sheet: Sheet, value: Value) -> None:
    """A function of ours, since ONNX has no such cells."""
    (x, patterns, strength), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, SCells)
    size = tuple(int(s) for s in sheet.numbers(patterns).shape[:-2])
    one_each = sheet.numbers(strength).reshape(-1, *(1,) * len(size))
    inputs = [sheet.tensor(x, FIRST), _kernel(sheet, patterns), sheet.keep(strength.node, one_each)]
    r = op.selectivity
    settings = {"selectivity": r, "share": r / (1 + r), "speed": op.speed, "area": op.area or (0,) * len(size)}
    settings |= {"kernel_shape": size, "pads": _pads(op.pad)}
    sheet.bind(value, sheet.write(qualified(S_CELLS), inputs, settings=settings), FIRST)


@says(ConvInputGradient)
def write_conv_transpose(sheet: Sheet, value: Value) -> None:
    """ONNX cuts off and adds as we do; what it calls output_padding is what our result has beyond that."""
    (x, kernel), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, ConvInputGradient)
    size = tuple(int(s) for s in sheet.numbers(kernel).shape[:-2])
    parts = zip(x.type.spatial, op.size, op.stride, size, op.dilation, op.pad, strict=True)
    more = [made - ((n - 1) * s + (k - 1) * d + 1 - lo - hi) for n, made, s, k, d, (lo, hi) in parts]
    known = tuple(m for m in more if isinstance(m, int))
    if len(known) < len(more):
        raise sheet.refusal("how far its result extends depends on the length")
    settings = {**_sliding(size, op.stride, op.pad), **_spread(op)}
    settings |= {"output_padding": known} if any(known) else {}
    _with_bias(sheet, value, "ConvTranspose", [sheet.tensor(x, FIRST), _kernel(sheet, kernel)], settings)


@says(MaxPool)
def write_max_pool(sheet: Sheet, value: Value) -> None:
    """ONNX counts places through all samples and channels, we within one."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, MaxPool)
    settings = _sliding(op.size, op.stride, op.pad)
    made, places = sheet.write_all("MaxPool", [sheet.tensor(x, FIRST)], settings=settings, outputs=2)
    sheet.bind(value, made, FIRST)
    sizes = [s for s in x.type.spatial if isinstance(s, int)]
    if len(sizes) == len(x.type.spatial):
        count = sheet.store(np.array(prod(sizes), np.int64), "count")
        inside = sheet.write("Mod", [places, count], "place")
        whole = sheet.write("Cast", [inside], "places", {"to": DType.INT32})
        sheet.bind(sheet.graph.value(value.node, 1), whole, FIRST)


@says(AvgPool)
def write_avg_pool(sheet: Sheet, value: Value) -> None:
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, AvgPool)
    settings: dict[str, object] = {**_sliding(op.size, op.stride, op.pad)}
    settings |= {"count_include_pad": 1} if op.count_padding and "pads" in settings else {}
    sheet.bind(value, sheet.write("AveragePool", [sheet.tensor(x, FIRST)], settings=settings), FIRST)


@says(GlobalMaxPool)
def write_global_max_pool(sheet: Sheet, value: Value) -> None:
    (x,) = sheet.operands(value)
    sheet.bind(value, sheet.write("GlobalMaxPool", [sheet.tensor(x, FIRST)]), FIRST)


@says(Taps)
def write_taps(sheet: Sheet, value: Value) -> None:
    """Bilinear upsampling: one operator for all axes of ours. Elements as they are: Gather. Else a product."""
    op, x = sheet.operation(value), sheet.operands(value)[0]
    assert isinstance(op, Taps)
    factors = _factors(op)
    while factors and isinstance(inner := sheet.operation(x), Taps) and inner.axis not in factors and _factors(inner):
        factors |= _factors(inner)
        x = sheet.operands(x)[0]
    if factors:
        write_resize(sheet, value, x, [factors.get(a, 1) for a in range(1, x.type.rank - 1)], "linear")
    elif op.picks and all(op.pairs):
        order = sheet.order([x])
        places = sheet.whole([each[0][0] for each in op.pairs], "places")
        axis = place_of(op.axis, x.type.rank, order)
        sheet.bind(value, sheet.write("Gather", [sheet.tensor(x, order), places], settings={"axis": axis}), order)
    else:
        sheet.bind(value, _product_along(sheet, op, x))


def _factors(op: Taps) -> dict[int, int]:
    """How many times as long bilinear upsampling makes the axis; nothing where it is something else."""
    factor = len(op.pairs) // op.size
    return {op.axis: factor} if op.axis and factor > 1 and op.pairs == resize.enlarged(op.size, factor) else {}


def _product_along(sheet: Sheet, op: Taps, x: Value) -> str:
    shares = np.zeros((op.size, len(op.pairs)), np.float32)
    for result, each in enumerate(op.pairs):
        for place, weight in each:
            shares[place, result] += weight
    order = list(range(x.type.rank))
    order[op.axis], order[-1] = order[-1], order[op.axis]
    turn = op.axis != x.type.rank - 1
    first = sheet.write("Transpose", [sheet.tensor(x)], "turned", {"perm": tuple(order)}) if turn else sheet.tensor(x)
    made = sheet.write("MatMul", [first, sheet.store(shares, "shares")])
    return sheet.write("Transpose", [made], "turned", {"perm": tuple(order)}) if turn else made


# --- normalisation ---------------------------------------------------------------------------------------------------


@says(BatchNorm)
def write_batch_norm(sheet: Sheet, value: Value) -> None:
    """With the running averages, as in use. Steps behind a sequence's end need no mask then."""
    (x, *rest), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, BatchNorm)
    width = sheet.numbers(rest[op.scale + op.center]).shape
    gamma = sheet.tensor(rest.pop(0)) if op.scale else sheet.store(np.ones(width, np.float32), "gamma")
    beta = sheet.tensor(rest.pop(0)) if op.center else sheet.store(np.zeros(width, np.float32), "beta")
    inputs = [sheet.tensor(x, FIRST), gamma, beta, *(sheet.tensor(v) for v in rest[:2])]
    sheet.bind(value, sheet.write("BatchNormalization", inputs, settings={"epsilon": op.eps}), FIRST)


@says(Standardize)
def write_standardize(sheet: Sheet, value: Value) -> None:
    """Over the features: LayerNormalization, with the scale and shift that follow it; else by plain means."""
    x, op = sheet.operands(value)[0], sheet.operation(value)
    assert isinstance(op, Standardize)
    if op.steps:
        raise sheet.refusal("its averages are over a batch of sequences of different lengths")
    if op.axes == (x.type.rank - 1,):
        _layer_normalization(sheet, value, x, op.eps)
        return
    settings = {"axes": op.axes}
    mean = sheet.write("ReduceMean", [sheet.tensor(x)], "mean", settings)
    centred = sheet.write("Sub", [sheet.tensor(x), mean], "centred")
    squares = sheet.write("Mul", [centred, centred], "squares")
    variance = sheet.write("ReduceMean", [squares], "variance", settings)
    eps = sheet.store(np.array(op.eps, x.type.dtype.numpy), "eps")
    root = sheet.write("Sqrt", [sheet.write("Add", [variance, eps], "safe")], "deviation")
    sheet.bind(value, sheet.write("Div", [centred, root]))


def _layer_normalization(sheet: Sheet, value: Value, x: Value, eps: float) -> None:
    readers = sheet.readers(value)
    after = sheet.graph.value(readers[0]) if len(readers) == 1 and readers[0] in sheet.graph else value
    op, operands = sheet.operation(after), sheet.operands(after)
    both = Operand(0) * Operand(1) + Operand(2)
    width = sheet.graph.node(value.node).types[0].channels
    assert isinstance(width, int)
    scale = sheet.store(np.ones(width, x.type.dtype.numpy), "gamma")
    inputs = [sheet.tensor(x), scale]
    made = value
    if isinstance(op, Elementwise) and op.tree in (both, Operand(0) * Operand(1)) and operands[0] == value:
        made, inputs = after, [inputs[0], *(sheet.tensor(v) for v in operands[1:])]
    sheet.begin(made.node)
    settings = {"axis": -1, "epsilon": eps}
    sheet.bind(made, sheet.write("LayerNormalization", inputs, settings=settings))


# --- recurrences -----------------------------------------------------------------------------------------------------


@says(Lstm)
def write_lstm(sheet: Sheet, value: Value) -> None:
    """Ours has the gates in the order in, forget, candidate, out; ONNX: in, out, forget, candidate."""
    (_, kernel, recurrent, *rest), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Lstm)
    units = sheet.numbers(recurrent).shape[0]
    gates = (0, 3, 1, 2)
    matrices = [(w.node, _gates(sheet.numbers(w), gates)) for w in (kernel, recurrent)]
    name = rest[0].node if op.biased else f"{value.node}/bias"
    bias = _gates(sheet.numbers(rest.pop(0)), gates) if op.biased else np.zeros(4 * units, np.float32)
    weights = [*matrices, (name, np.concatenate([bias, np.zeros_like(bias)]))]
    _recurrence(sheet, value, "LSTM", weights, rest, {"hidden_size": units, **_direction(op.reverse)})


@says(Gru)
def write_gru(sheet: Sheet, value: Value) -> None:
    """The gates stand in ONNX's order already."""
    (_, kernel, recurrent, bias, heard, *rest), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Gru)
    both = np.concatenate([sheet.numbers(bias), sheet.numbers(heard)])
    weights = [*((w.node, np.asarray(sheet.numbers(w).T)) for w in (kernel, recurrent)), (bias.node, both)]
    settings = {"hidden_size": recurrent.type.shape[0], "linear_before_reset": 1, **_direction(op.reverse)}
    _recurrence(sheet, value, "GRU", weights, rest, settings)


def _gates(array: Array, order: Sequence[int]) -> Array:
    """The last axis cut into gates, these in another order, in front: [gates * units, in]."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1).T


def _direction(reverse: bool) -> dict[str, object]:
    return {"direction": "reverse"} if reverse else {}


def _recurrence(
    sheet: Sheet,
    value: Value,
    word: str,
    weights: Sequence[tuple[str, Array]],
    lengths: Sequence[Value],
    settings: Mapping[str, object],
) -> None:
    """x turned to [time, batch, features]; the states of all steps and the last, without the axis of directions."""
    x = sheet.operands(value)[0]
    order = LAST if sheet.lies(x, LAST) else FIRST
    turn = (1, 0, 2) if order is LAST else (2, 0, 1)
    steps = sheet.write("Transpose", [sheet.tensor(x, order)], "time_first", {"perm": turn})
    stored = [sheet.keep(name, np.ascontiguousarray(array[None])) for name, array in weights]
    inputs = [steps, *stored, *(sheet.tensor(v) for v in lengths)]
    every, final = sheet.write_all(word, inputs, "", settings, outputs=2)
    hidden = sheet.write("Squeeze", [every, sheet.whole([1], "direction")], "steps")
    hidden = sheet.write("Transpose", [hidden], "batch_first", {"perm": (1, 0, 2)})
    state = sheet.write("Squeeze", [final, sheet.whole([0], "direction")], "last")
    for result, name in zip(sheet.graph.values(value.node), (hidden, state), strict=False):
        sheet.bind(result, name)
