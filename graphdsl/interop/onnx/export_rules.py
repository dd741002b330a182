"""How each of our operators is said in ONNX: a table of rules, one for each class, and those of plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod

import numpy as np

from graphdsl.interop.onnx.export_formula import write_formula
from graphdsl.interop.onnx.export_sheet import FIRST, LAST, Sheet, place_of
from graphdsl.interop.onnx.export_sizes import polynomial, shape_tensor, size_tensor
from graphdsl.ir import Dim, DType, LengthOf, Operator, Symbolic, Value, Weight
from graphdsl.ops import (
    Broadcast,
    Candidates,
    Concat,
    DimNumber,
    Dropout,
    Elementwise,
    Gather,
    GaussianNoise,
    GlobalMaxPool,
    MatMul,
    Max,
    Pad,
    Reshape,
    SampleNormal,
    Slice,
    Softmax,
    StepMask,
    Sum,
    Transpose,
    WindowMap,
)
from graphdsl.ops.expression import Apply, Literal, Operand

Rule = Callable[[Sheet, Value], None]
"""(sheet, first result of a node) -> writes it and binds the node's results."""

RULES: dict[type[Operator], Rule] = {}


def says(*operators: type[Operator]) -> Callable[[Rule], Rule]:
    """Decorator: the rule of these operators."""

    def register(rule: Rule) -> Rule:
        RULES.update(dict.fromkeys(operators, rule))
        return rule

    return register


def write_node(sheet: Sheet, name: str, rules: Mapping[type[Operator], Rule]) -> None:
    """Writes one node of the graph by its rule. Raises Failed E0901 where ONNX has no word for it."""
    value = sheet.graph.value(name)
    if sheet.is_bound(value):
        return
    sheet.begin(name)
    rule = rules.get(type(sheet.operation(value)))
    if rule is None:
        raise sheet.refusal(f"it has no operator like our `{sheet.operation(value).name}`")
    rule(sheet, value)


def bias_after(sheet: Sheet, value: Value) -> tuple[Value, str] | None:
    """Where value is only read to add one number a feature to it: that sum, and the name of those numbers."""
    readers = sheet.readers(value)
    if len(readers) != 1 or readers[0] not in sheet.graph:
        return None
    total = sheet.graph.value(readers[0])
    op, operands = sheet.operation(total), sheet.operands(total)
    added = isinstance(op, Elementwise) and op.tree == Operand(0) + Operand(1) and operands[0] == value
    bias = operands[1] if added else value
    if not added or not isinstance(sheet.operation(bias), Weight) or bias.type.shape != value.type.shape[-1:]:
        return None
    return total, sheet.tensor(bias)


# --- shapes ----------------------------------------------------------------------------------------------------------


@says(Reshape)
def write_reshape(sheet: Sheet, value: Value) -> None:
    """Reshape, or what the reshapes around another operator stand for."""
    (x,) = sheet.operands(value)
    if _upsampled(sheet, value, x) or _product_of_rows(sheet, value, x) or _largest_of_places(sheet, value, x):
        return
    alone = prod(s for s in x.type.spatial if isinstance(s, int)) == 1 and not _free(x.type.spatial)
    order = FIRST if x.type.rank > 2 and alone and not sheet.lies(x, LAST) else LAST
    shape = x.type.shape if order is LAST else (x.type.shape[0], x.type.channels, *x.type.spatial)
    source = sheet.tensor(x, order)
    if value.type.rank == 2 and value.type.shape[0] == shape[0] and x.type.rank > 2:
        sheet.bind(value, sheet.write("Flatten", [source], settings={"axis": 1}))
        return
    target = _target(shape, value.type.shape)
    name = sheet.whole(target, "shape") if target else shape_tensor(sheet, value.type.shape, "shape")
    sheet.bind(value, sheet.write("Reshape", [source, name]))


def _free(sizes: Sequence[Dim]) -> list[Symbolic]:
    return [size for size in sizes if isinstance(size, Symbolic)]


def _target(old: Sequence[Dim], new: Sequence[Dim]) -> list[int]:
    """The new shape as Reshape takes it: 0 keeps the size at that place, one -1 is what is left. Empty: not so."""
    kept = [i < len(old) and isinstance(size, Symbolic) and size == old[i] for i, size in enumerate(new)]
    sizes = [0 if stays else size if isinstance(size, int) else -1 for stays, size in zip(kept, new, strict=True)]
    return sizes if sizes.count(-1) < 2 and (0 not in new or -1 not in sizes) else []


def _upsampled(sheet: Sheet, value: Value, x: Value) -> bool:
    """[n, h, 1, w, 1, c], stretched and put together again: what nearest-neighbour upsampling is made of."""
    if not isinstance(sheet.operation(x), Broadcast) or not isinstance(sheet.operation(sheet.operands(x)[0]), Reshape):
        return False
    (thin,) = sheet.operands(x)
    (source,) = sheet.operands(thin)
    batch, *spatial, channels = source.type.shape
    factors = x.type.shape[2:-1:2]
    spread = tuple(s for size in spatial for s in (size, 1))
    larger = tuple(size * f for size, f in zip(spatial, factors, strict=False))
    if thin.type.shape != (batch, *spread, channels) or value.type.shape != (batch, *larger, channels):
        return False
    write_resize(sheet, value, source, [f for f in factors if isinstance(f, int)], "nearest")
    return True


def write_resize(sheet: Sheet, value: Value, x: Value, factors: Sequence[int], mode: str) -> None:
    """x with so many times as many places along each axis of time or space."""
    scales = sheet.store(np.array([1, 1, *factors], np.float32), "scales")
    linear = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    plain = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    settings = linear if mode == "linear" else plain
    sheet.bind(value, sheet.write("Resize", [sheet.tensor(x, FIRST), "", scales], settings=settings), FIRST)


def _product_of_rows(sheet: Sheet, value: Value, x: Value) -> bool:
    """[n, t, k] as rows [n t, k], times a matrix, and back: ONNX multiplies the last axis whatever is before it."""
    product = sheet.operation(x)
    if product != MatMul() or len(sheet.readers(x)) > 1:
        return False
    rows, kernel = sheet.operands(x)
    if not isinstance(sheet.operation(rows), Reshape) or not isinstance(sheet.operation(kernel), Weight):
        return False
    (source,) = sheet.operands(rows)
    if value.type.shape != (*source.type.shape[:-1], kernel.type.channels):
        return False
    made = sheet.write("MatMul", [sheet.tensor(source), sheet.tensor(kernel)])
    sheet.bind(value, made)
    return True


def _largest_of_places(sheet: Sheet, value: Value, x: Value) -> bool:
    """All of time or space as rows, their maximum, and the axis of rows left out: global_max_pool."""
    rows = sheet.operands(x)[0] if isinstance(sheet.operation(x), GlobalMaxPool) else x
    if rows == x or not isinstance(sheet.operation(rows), Reshape):
        return False
    (source,) = sheet.operands(rows)
    short = (source.type.shape[0], source.type.channels)
    if rows.type.shape != (short[0], prod(source.type.spatial, start=1), short[1]) or value.type.shape != short:
        return False
    pooled = sheet.write("GlobalMaxPool", [sheet.tensor(source, FIRST)], "pooled")
    sheet.bind(value, sheet.write("Flatten", [pooled], settings={"axis": 1}))
    return True


@says(Transpose)
def write_transpose(sheet: Sheet, value: Value) -> None:
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Transpose)
    sheet.bind(value, sheet.write("Transpose", [sheet.tensor(x)], settings={"perm": op.axes}))


@says(Broadcast)
def write_broadcast(sheet: Sheet, value: Value) -> None:
    (x,) = sheet.operands(value)
    shape = shape_tensor(sheet, value.type.shape, "shape")
    sheet.bind(value, sheet.write("Expand", [sheet.tensor(x), shape]))


@says(Concat)
def write_concat(sheet: Sheet, value: Value) -> None:
    """In the order in which some operand lies already."""
    op, operands = sheet.operation(value), sheet.operands(value)
    assert isinstance(op, Concat)
    order = sheet.order(operands)
    axis = place_of(op.axis, value.type.rank, order)
    made = sheet.write("Concat", [sheet.tensor(x, order) for x in operands], settings={"axis": axis})
    sheet.bind(value, made, order)


@says(Slice)
def write_slice(sheet: Sheet, value: Value) -> None:
    """The axes that are cut, and only those."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Slice)
    order = sheet.order([x])
    cut = [a for a, size in enumerate(op.size) if size != x.type.shape[a]]
    if not cut:
        sheet.bind(value, sheet.tensor(x, order), order)
        return
    axes = sheet.whole([place_of(a, x.type.rank, order) for a in cut], "axes")
    starts = shape_tensor(sheet, [op.start[a] for a in cut], "starts")
    ends = shape_tensor(sheet, [op.start[a] + op.size[a] for a in cut], "ends")
    sheet.bind(value, sheet.write("Slice", [sheet.tensor(x, order), starts, ends, axes]), order)


@says(Pad)
def write_pad(sheet: Sheet, value: Value) -> None:
    """ONNX counts paddings before all axes, then behind them."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Pad)
    order = sheet.order([x])
    axes = sorted(range(x.type.rank), key=lambda a: place_of(a, x.type.rank, order))
    pads = shape_tensor(sheet, [side[a] for side in (op.before, op.after) for a in axes], "pads")
    sheet.bind(value, sheet.write("Pad", [sheet.tensor(x, order), pads]), order)


# --- numbers ---------------------------------------------------------------------------------------------------------


@says(Elementwise)
def write_elementwise(sheet: Sheet, value: Value) -> None:
    if not (_mean_of_places(sheet, value) or _mean_over_axes(sheet, value)):
        write_formula(sheet, value)


def _mean_of_places(sheet: Sheet, value: Value) -> bool:
    """A sum over all of time or space, divided by how many they are: global_avg_pool."""
    op, x = sheet.operation(value), sheet.operands(value)[0]
    total = sheet.operands(x)[0] if isinstance(sheet.operation(x), Reshape) else x
    summed = sheet.operation(total)
    if not isinstance(op, Elementwise) or op.arity != 1 or not isinstance(summed, Sum):
        return False
    (source,) = sheet.operands(total)
    count = prod((s for s in source.type.spatial if isinstance(s, int)), start=1)
    every = summed.axes == tuple(range(1, source.type.rank - 1)) and not _free(source.type.spatial)
    short = value.type.shape == (source.type.shape[0], source.type.channels)
    if not every or not short or op.tree != Apply("divide", (Operand(0), Literal(float(count)))):
        return False
    if sheet.lies(source, FIRST):
        pooled = sheet.write("GlobalAveragePool", [sheet.tensor(source, FIRST)], "pooled")
        sheet.bind(value, sheet.write("Flatten", [pooled], settings={"axis": 1}))
    else:
        settings = {"axes": summed.axes, "keepdims": 0}
        sheet.bind(value, sheet.write("ReduceMean", [sheet.tensor(source)], settings=settings))
    return True


def _mean_over_axes(sheet: Sheet, value: Value) -> bool:
    """A sum, divided by how many numbers were summed: reduce_mean."""
    op, operands = sheet.operation(value), sheet.operands(value)
    assert isinstance(op, Elementwise)
    summed = sheet.operation(operands[0])
    tree = Apply("divide", (Operand(0), Apply("maximum", (Operand(1), Literal(1.0)))))
    if op.tree != tree or not isinstance(summed, Sum) or not isinstance(sheet.operation(operands[1]), DimNumber):
        return False
    (source,) = sheet.operands(operands[0])
    number = sheet.operation(operands[1])
    count = prod((source.type.shape[a] for a in summed.axes), start=1)
    if not isinstance(number, DimNumber) or number.size != count:
        return False
    order = sheet.order([source])
    axes = tuple(place_of(a, source.type.rank, order) for a in summed.axes)
    sheet.bind(value, sheet.write("ReduceMean", [sheet.tensor(source, order)], settings={"axes": axes}), order)
    return True


@says(Sum, Max)
def write_reduction(sheet: Sheet, value: Value) -> None:
    """The axes stay with size 1, as ours do."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Sum | Max)
    order = sheet.order([x])
    axes = tuple(place_of(a, x.type.rank, order) for a in op.axes)
    if isinstance(op, Sum):
        made = sheet.write("ReduceSum", [sheet.tensor(x, order), sheet.whole(axes, "axes")])
    else:
        made = sheet.write("ReduceMax", [sheet.tensor(x, order)], settings={"axes": axes})
    sheet.bind(value, made, order)


@says(Softmax)
def write_softmax(sheet: Sheet, value: Value) -> None:
    (x,) = sheet.operands(value)
    order = sheet.order([x])
    axis = 1 if order is FIRST else -1
    sheet.bind(value, sheet.write("Softmax", [sheet.tensor(x, order)], settings={"axis": axis}), order)


@says(MatMul)
def write_matmul(sheet: Sheet, value: Value) -> None:
    """Two axes: Gemm, with the bias that follows; more: MatMul."""
    (a, b), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, MatMul)
    if a.type.rank == 2:
        found = bias_after(sheet, value)
        total, bias = found or (value, "")
        settings = {"transA": int(op.transpose_a), "transB": int(op.transpose_b)}
        inputs = [sheet.tensor(a), sheet.tensor(b), *([bias] if bias else [])]
        sheet.begin(total.node)
        sheet.bind(total, sheet.write("Gemm", inputs, settings={k: v for k, v in settings.items() if v}))
        return
    left, right = (_matrix(sheet, v, turn) for v, turn in ((a, op.transpose_a), (b, op.transpose_b)))
    sheet.bind(value, sheet.write("MatMul", [left, right]))


def _matrix(sheet: Sheet, value: Value, turn: bool) -> str:
    """value with its last two axes exchanged where turn is true."""
    if turn and value.type.rank == 3 and sheet.lies(value, FIRST):
        return sheet.tensor(value, FIRST)
    name, rank = sheet.tensor(value), value.type.rank
    axes = (*range(rank - 2), rank - 1, rank - 2)
    return sheet.write("Transpose", [name], "turned", {"perm": axes}) if turn else name


@says(Gather)
def write_gather(sheet: Sheet, value: Value) -> None:
    sheet.bind(value, sheet.write("Gather", [sheet.tensor(v) for v in sheet.operands(value)]))


@says(Candidates, Dropout, GaussianNoise, SampleNormal, WindowMap)
def write_noise(sheet: Sheet, value: Value) -> None:
    """In use it gives what flows in first, the mean of what is drawn, so nothing is written."""
    x = sheet.operands(value)[0]
    order = sheet.order([x])
    sheet.bind(value, sheet.tensor(x, order), order)


@says(DimNumber)
def write_dim_number(sheet: Sheet, value: Value) -> None:
    """A number where it is known, else measured."""
    op = sheet.operation(value)
    assert isinstance(op, DimNumber)
    if isinstance(op.size, int):
        sheet.bind(value, sheet.store(np.array(op.size, op.dtype.numpy), "count"))
        return
    row = sheet.write("Cast", [size_tensor(sheet, op.size)], "cast", {"to": op.dtype})
    sheet.bind(value, sheet.write("Reshape", [row, sheet.whole([], "shape")]))


# --- sequences of different lengths ----------------------------------------------------------------------------------


@says(LengthOf)
def write_length(sheet: Sheet, value: Value) -> None:
    """The polynomial of the size, with lengths in place of the free dimension."""
    (lengths,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, LengthOf)
    given = sheet.write("Cast", [sheet.tensor(lengths)], "lengths", {"to": DType.INT64})
    found = polynomial(sheet, op.dim, lambda _: given)
    positive = sheet.write("Max", [found, sheet.whole([0], "least")], "positive")
    sheet.bind(value, sheet.write("Cast", [positive], settings={"to": DType.INT32}))


@says(StepMask)
def write_step_mask(sheet: Sheet, value: Value) -> None:
    """x where the step is real, else the number that fills."""
    (x, lengths), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, StepMask)
    order = sheet.order([x])
    zero, one = (sheet.store(np.array(n, np.int64), word) for n, word in ((0, "zero"), (1, "one")))
    row = size_tensor(sheet, x.type.shape[op.axis])
    count = sheet.write("Squeeze", [row], "count")
    steps = sheet.write("Range", [zero, count, one], "steps")
    own = sheet.write("Cast", [sheet.tensor(lengths)], "lengths", {"to": DType.INT64})
    column = sheet.write("Unsqueeze", [own, sheet.whole([1], "column")], "lengths")
    real = sheet.write("Less", [steps, column], "real")
    axes = [a for a in range(1, x.type.rank) if a != place_of(op.axis, x.type.rank, order)]
    wide = sheet.write("Unsqueeze", [real, sheet.whole(axes, "axes")], "real") if axes else real
    fill = sheet.store(np.array(op.fill, x.type.dtype.numpy), "fill")
    sheet.bind(value, sheet.write("Where", [wide, sheet.tensor(x, order), fill]), order)
