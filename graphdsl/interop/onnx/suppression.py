"""Non-maximum suppression: ours, a function that our files bring along; and why ONNX's own cannot be read."""

from __future__ import annotations

from graphdsl.interop.onnx.elementwise import shortest
from graphdsl.interop.onnx.flow import Flow
from graphdsl.interop.onnx.functions import NMS, NMS_TOGETHER, qualified
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Sheet

USUAL = {"score": 0.25, "iou": 0.45}
ROW = 6


@reads(qualified(NMS))
def read_nms(sheet: Sheet, step: Step) -> Flow:
    return _suppressed(sheet, step, {"several": True} if step.get("several") else {})


@reads(qualified(NMS_TOGETHER))
def read_nms_together(sheet: Sheet, step: Step) -> Flow:
    return _suppressed(sheet, step, {"together": True})


def _suppressed(sheet: Sheet, step: Step, more: dict[str, bool]) -> Flow:
    """Numbers that were candidates are such again."""
    x = sheet.plain(sheet.flow(0))
    most = int(step.get("most"))
    settings = {name: shortest(step.get(name)) for name in USUAL}
    rows = sheet.then(x, "candidates")
    (name,) = sheet.put("nms", (rows,), {**settings, "max": most, **more})
    return Flow(name, (x.shape[0], most, ROW), x.order, x.batch)


@reads("NonMaxSuppression")
def refuse_places(sheet: Sheet, step: Step) -> Flow:
    """What it gives is as long as there are boxes that stay."""
    help = (
        "cut the file before it (onnx.utils.extract_model), and write `rows -> candidates -> nms` behind what it says"
    )
    raise sheet.refused("it gives places of boxes, as many as stay; our `nms` gives the boxes themselves", help)
