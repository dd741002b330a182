"""Non-maximum suppression of boxes, entirely on the device, as an operator and as a function of its own: nms.cu."""

from __future__ import annotations

from math import ceil

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.device import Device
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu, blocks, in_turn, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, f32, i64
from graphdsl.ir import Array, Call
from graphdsl.ops import SOFT, Nms

TILE, BITS, SWEEPERS = 256, 64, 1024
BEFORE_CLASSES = 5
MOST_BOXES = 1 << 18
"""What is removed must fit the shared memory of a block; the masks of so many boxes are 8 GiB."""


_, GAUSSIAN = SOFT

MOST_CANDIDATES = 1 << 16
"""Of one sample, for the operator: their masks are half a GiB."""


class nms_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("boxes", "scores", "classes", "kept", "count", "ranked", "found", "masks")),
        *(("n", i64), ("words", i64), ("most", i64), ("overlap", f32), ("score", f32)),
    )


class detections_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("x", "boxes", "scores", "kinds", "kept", "count", "y")),
        *((name, i64) for name in ("batch", "n", "classes", "several", "most")),
    )


class soft_args(Arguments):
    _fields_ = (
        *((name, address) for name in ("boxes", "scores", "left", "kinds", "kept", "count")),
        *((name, i64) for name in ("rows", "most", "together", "gaussian")),
        *((name, f32) for name in ("overlap", "score", "sigma")),
    )


@launches(Nms)
def detections(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Boxes, scores and classes of all samples; the suppression of each; the rows that stay."""
    op, (x,), (y,) = call.op, inputs, outputs
    assert isinstance(op, Nms)
    batch, n, width = x.shape
    classes = width - BEFORE_CLASSES
    rows = n * classes if op.several else n
    if not all_of("float32", x) or not batch or rows > MOST_CANDIDATES or max(batch * rows, y.size) >= 1 << 31:
        return None
    found = (gpu.room(batch, rows, 4), gpu.room(batch, rows), gpu.room(batch, rows, dtype="int32"))
    left = (gpu.room(batch, op.most, dtype="int64"), gpu.room(batch, dtype="int64"))
    pointers = (x.address, *(a.address for a in (*found, *left)), y.address)
    arguments = detections_args(*pointers, batch, n, classes, op.several, op.most)

    def stage(name: str, count: int) -> Plan:
        unit = Unit("nms", name, detections_args)
        return Plan((Launch(unit, gpu.grid(count, TILE), TILE, arguments, keeps=(*found, *left)),))

    results = stage("nms_results", y.size // 6)
    if not rows:
        return results
    candidates = stage("nms_candidates", batch * rows)
    if op.soft:
        return in_turn(candidates, _softly(gpu, op, found, left), results)
    boxes, scores, kinds = found
    several = None if op.together else kinds
    each = (_of_sample(gpu, op, i, boxes, scores, several, left) for i in range(batch))
    return in_turn(candidates, *each, results)


def _softly(gpu: Gpu, op: Nms, found: tuple[DeviceArray, ...], left: tuple[DeviceArray, ...]) -> Plan:
    """A block a sample."""
    boxes, scores, kinds = found
    batch, rows = scores.shape
    lower = gpu.room(batch, rows)
    pointers = (a.address for a in (boxes, scores, lower, kinds, *left))
    numbers = (rows, op.most, op.together, op.soft == GAUSSIAN, op.overlap, op.score, op.sigma)
    unit = Unit("nms", "nms_soft", soft_args)
    kept = (*found, lower, *left)
    return Plan((Launch(unit, (batch, 1, 1), SWEEPERS, soft_args(*pointers, *numbers), keeps=kept),))


def _of_sample(
    gpu: Gpu,
    op: Nms,
    index: int,
    boxes: DeviceArray,
    scores: DeviceArray,
    kinds: DeviceArray | None,
    left: tuple[DeviceArray, ...],
) -> Plan:
    own = None if kinds is None else _sample(kinds, index)
    kept, count = (_sample(array, index) for array in left)
    given = (_sample(boxes, index), _sample(scores, index), own, kept, count)
    return suppression(gpu, *given, overlap=op.overlap, score=op.score)


def _sample(array: DeviceArray, index: int) -> DeviceArray:
    """What belongs to one sample; of one number a sample, an array of it."""
    shape = array.shape[1:] or (1,)
    size = array.nbytes // array.shape[0]
    return DeviceArray(array.memory, array.address + index * size, shape, array.dtype)


def suppression(
    gpu: Gpu,
    boxes: DeviceArray,
    scores: DeviceArray,
    classes: DeviceArray | None,
    kept: DeviceArray,
    count: DeviceArray,
    *,
    overlap: float,
    score: float,
) -> Plan:
    """What fills kept (int64 [most]) and count (int64 [1]) from boxes [n, 4], scores [n] and classes (int32 [n]).

    The numbers mean what they mean for `nms`.
    """
    n = scores.size
    assert 0 < n <= MOST_BOXES, f"{n} boxes; at most {MOST_BOXES} can be held against each other"
    words = ceil(n / BITS)
    room = (gpu.room(n, dtype="int32"), gpu.room(1, dtype="int32"), gpu.room(n, words, dtype="uint64"))
    pointers = (boxes.address, scores.address, classes.address if classes else None, kept.address, count.address)
    arguments = nms_args(*pointers, *(r.address for r in room), n, words, kept.size, overlap, score)
    stages = (
        ("nms_order", blocks(n, TILE), TILE, 0),
        ("nms_masks", (words, words, 1), BITS, 0),
        ("nms_sweep", (1, 1, 1), SWEEPERS, 8 * words),
    )
    return Plan(
        tuple(
            Launch(Unit("nms", name, nms_args), grid, threads, arguments, shared, keeps=room)
            for name, grid, threads, shared in stages
        )
    )


def nms(
    boxes: Array,
    scores: Array,
    classes: Array | None = None,
    *,
    overlap: float = 0.5,
    score: float = 0.0,
    most: int | None = None,
    device: Device,
) -> Array:
    """Which boxes stay when of those that overlap much only the best does.

    boxes    [n, 4]: left, top, right, bottom, with left <= right and top <= bottom, in any unit
    scores   [n]
    classes  [n], whole numbers from 0; boxes of different classes leave each other alone. None: all are of one
    returns  int64 [at most `most`]: indices of boxes, the best score first

    overlap  a box goes when intersection / union with a better one that stays is above this
    score    boxes with a lower score, or with NaN, are left out
    most     how many stay at most; None: no limit

    Equal scores: the box that stands first is the better one. Boxes without area, or with NaN, overlap nothing.
    """
    n = len(scores)
    limit = n if most is None else min(most, n)
    if not limit:
        return np.zeros(0, np.int64)
    gpu = Gpu(device)
    kept, count = gpu.room(limit, dtype="int64"), gpu.room(1, dtype="int64")
    kinds = None if classes is None else gpu.constant(np.asarray(classes, np.int32))
    given = (gpu.constant(np.asarray(boxes, np.float32)), gpu.constant(np.asarray(scores, np.float32)))
    device.run(suppression(gpu, *given, kinds, kept, count, overlap=overlap, score=score).launches)
    number, found = np.zeros(1, np.int64), np.zeros(limit, np.int64)
    device.read(count.address, number)
    device.read(kept.address, found)
    return found[: number[0]]
