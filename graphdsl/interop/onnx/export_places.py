"""How operators on places are said in ONNX: where the largest stands, taking and putting; running sums; boxes."""

from __future__ import annotations

import numpy as np

from graphdsl.interop.onnx.export_rules import says
from graphdsl.interop.onnx.export_sheet import Sheet, place_of
from graphdsl.interop.onnx.export_sizes import shape_tensor
from graphdsl.interop.onnx.functions import NMS, NMS_TOGETHER, qualified
from graphdsl.ir import DType, Value
from graphdsl.ops import Cast, CumulativeSum, Nms, PutWinners, TakeWinners, TopPlaces


@says(Cast)
def write_cast(sheet: Sheet, value: Value) -> None:
    """ONNX cuts floats off towards 0 as well."""
    (x,) = sheet.operands(value)
    order = sheet.order([x])
    sheet.bind(value, sheet.write("Cast", [sheet.tensor(x, order)], settings={"to": value.type.dtype}), order)


@says(CumulativeSum)
def write_cumulative_sum(sheet: Sheet, value: Value) -> None:
    """In the order in which x lies."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, CumulativeSum)
    order = sheet.order([x])
    axis = sheet.store(np.array(place_of(op.axis, x.type.rank, order), np.int64), "axis")
    settings = {word: 1 for word, wanted in (("reverse", op.reverse), ("exclusive", op.exclusive)) if wanted}
    sheet.bind(value, sheet.write("CumSum", [sheet.tensor(x, order), axis], settings=settings), order)


@says(TopPlaces)
def write_top_places(sheet: Sheet, value: Value) -> None:
    """ArgMax for one; TopK for several, which takes the first of equal ones."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, TopPlaces)
    order = sheet.order([x])
    axis = place_of(op.axis, x.type.rank, order)
    if op.count == 1:
        settings = {"axis": axis, **({"select_last_index": 1} if op.last else {})}
        places = sheet.write("ArgMax", [sheet.tensor(x, order)], "places", settings)
    elif op.last:
        raise sheet.refusal("it takes the last of equal numbers")
    else:
        count = sheet.whole([op.count], "count")
        _, places = sheet.write_all("TopK", [sheet.tensor(x, order), count], "largest", {"axis": axis}, outputs=2)
    sheet.bind(value, sheet.write("Cast", [places], settings={"to": DType.INT32}), order)


@says(TakeWinners)
def write_take_winners(sheet: Sheet, value: Value) -> None:
    """Number by number."""
    x, places = sheet.operands(value)
    sheet.bind(value, sheet.write("GatherElements", [sheet.tensor(x), sheet.tensor(places)], settings={"axis": 1}))


@says(PutWinners)
def write_put_winners(sheet: Sheet, value: Value) -> None:
    """Added up where several have one place."""
    y, places = sheet.operands(value)
    zero = sheet.store(np.array(0, y.type.dtype.numpy), "zero")
    zeros = sheet.write("Expand", [zero, shape_tensor(sheet, value.type.shape, "shape")], "zeros")
    settings = {"axis": 1, "reduction": "add"}
    made = sheet.write("ScatterElements", [zeros, sheet.tensor(places), sheet.tensor(y)], settings=settings)
    sheet.bind(value, made)


@says(Nms)
def write_nms(sheet: Sheet, value: Value) -> None:
    """A function of ours around ONNX's NonMaxSuppression. Soft suppression would be a loop."""
    (x,), op = sheet.operands(value), sheet.operation(value)
    assert isinstance(op, Nms)
    if op.soft:
        raise sheet.refusal(f"it has no suppression that is `soft={op.soft}`")
    settings = {"score": op.score, "iou": op.overlap, "most": op.most, "several": int(op.several)}
    name = qualified(NMS_TOGETHER if op.together else NMS)
    sheet.bind(value, sheet.write(name, [sheet.tensor(x)], settings=settings))
