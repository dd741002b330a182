"""Non-maximum suppression of boxes, as an operator and as a function of its own: nms.c."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cpu.library import Library, chosen
from graphdsl.backends.cpu.program import table
from graphdsl.backends.cpu.task import (
    Arrays,
    Machine,
    Plan,
    Step,
    Task,
    address,
    all_float32,
    binds,
    f64,
    i64,
    pointer,
)
from graphdsl.ir import Array, Call
from graphdsl.ops import SOFT, Nms

HOW = (None, *SOFT)
"""In the order in which nms.c numbers them."""

MOST_CANDIDATES = 1 << 31
"""Their numbers share a word with their scores."""


class nms_task(Task):
    _fields_ = (
        *(("boxes", address), ("scores", address), ("classes", address), ("kept", address), ("count", address)),
        *(("n", i64), ("class_count", i64), ("most", i64), ("overlap", f64), ("score", f64)),
    )


class detections_task(Task):
    _fields_ = (
        *(("x", address), ("y", address)),
        *((name, i64) for name in ("batch", "n", "classes", "most", "several", "together", "soft")),
        *((name, f64) for name in ("overlap", "score", "sigma")),
    )


@binds(Nms)
def detections(call: Call, inputs: Arrays, outputs: Arrays, machine: Machine) -> Plan | None:
    """The candidates of every sample."""
    op, (x,), (y,) = call.op, inputs, outputs
    assert isinstance(op, Nms)
    batch, n, width = x.shape
    classes = width - 5
    candidates = n * classes if op.several else n
    if not all_float32(x) or n * classes >= MOST_CANDIDATES:
        return None
    numbers = (batch, n, classes, op.most, op.several, op.together, HOW.index(op.soft))
    task = detections_task(pointer(x), pointer(y), *numbers, op.overlap, op.score, op.sigma)
    own = 40 * candidates if op.soft else 16 * candidates + 24 * op.most
    return Plan((machine.step("detections", task, serial=batch == 1, own=own),))


def nms(
    boxes: Array,
    scores: Array,
    classes: Array | None = None,
    *,
    overlap: float = 0.5,
    score: float = 0.0,
    most: int | None = None,
    library: Library | None = None,
) -> Array:
    """Which boxes stay when of those that overlap much only the best does.

    boxes    [n, 4]: left, top, right, bottom, with left <= right and top <= bottom, in any unit
    scores   [n]
    classes  [n], whole numbers from 0; boxes of different classes leave each other alone. None: all are of one
    returns  int64 [at most `most`]: indices of boxes, the best score first

    overlap  a box goes when intersection / union with a better one that stays is above this
    score    boxes with a lower score, or with NaN, are left out
    most     how many stay at most; None: no limit
    library  the kernels to use; None: the best for this processor

    Equal scores: the box that stands first is the better one. Boxes without area, or with NaN, overlap nothing.
    """
    n = len(scores)
    boxes, scores = np.ascontiguousarray(boxes, np.float32), np.ascontiguousarray(scores, np.float32)
    kinds = np.zeros(0, np.int32) if classes is None else np.ascontiguousarray(classes, np.int32)
    assert boxes.shape == (n, 4) and scores.shape == (n,) and kinds.shape in ((0,), (n,))
    assert not kinds.size or kinds.min() >= 0
    limit = n if most is None else min(most, n)
    kept, count = np.empty(max(limit, 1), np.int64), np.zeros(1, np.int64)
    class_count = int(kinds.max(initial=0)) + 1
    task = nms_task(
        *(pointer(boxes), pointer(scores), pointer(kinds) if classes is not None else None),
        *(pointer(kept), pointer(count), n, class_count, limit, overlap, score),
    )
    used = library or chosen()
    scratch = 16 * n + 16 * (class_count + 1) + 20 * n
    arrays = (boxes, scores, kinds, kept, count)
    table(used, [Step(used.function("nms"), task, serial=True, own=scratch, keeps=arrays)])()
    return kept[: count[0]].copy()
