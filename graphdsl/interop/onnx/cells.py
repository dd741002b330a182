"""The Neocognitron's cells, which come as a function that our own files bring along."""

from __future__ import annotations

import numpy as np

from graphdsl.interop.onnx.elementwise import shortest
from graphdsl.interop.onnx.flow import Flow
from graphdsl.interop.onnx.functions import S_CELLS, qualified
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Sheet
from graphdsl.interop.onnx.windows import padding, picture, short, slide_of


@reads(qualified(S_CELLS))
def read_s_cells(sheet: Sheet, step: Step) -> Flow:
    """The patterns are [planes, channels, window...]; ours have the window first."""
    patterns, strength = sheet.fixed(1, "its patterns"), sheet.fixed(2, "its inhibition").reshape(-1)
    x = picture(sheet, sheet.flow(0))
    slide = slide_of(step, x, patterns.shape[2:])
    pad = padding(sheet, x, slide)
    settings = {name: shortest(step.get(name)) for name in ("selectivity", "speed")}
    area = [int(size) for size in step.get("area", [])]
    more = ({"area": short(area)} if any(area) else {}) | ({} if pad == "valid" else {"pad": pad})
    weights = {"excitatory": patterns.transpose((*range(2, patterns.ndim), 1, 0)), "inhibitory": strength}
    planes = patterns.shape[0]
    arrays = {part: np.ascontiguousarray(array, np.float32) for part, array in weights.items()}
    name = sheet.then(x, "s_cells", arrays, planes=planes, size=short(slide.size), **settings, **more)
    return Flow(name, (x.shape[0], planes, *slide.out(x.shape[2:])), x.order, x.batch)
