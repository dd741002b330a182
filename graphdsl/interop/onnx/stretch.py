"""Bringing two tensors to one shape and one order. ONNX stretches axes of size 1 silently; a spec says so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value, thick
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.ir import Array


def widened(x: Flow, rank: int) -> Flow:
    """x with axes of size 1 in front, as NumPy counts them."""
    more = rank - x.rank
    if more <= 0:
        return x
    batch = x.batch if x.batch == NONE else x.batch + more
    return replace(x, shape=(1,) * more + x.shape, order=tuple(a + more for a in x.order), batch=batch, port="")


def together(sheet: Sheet, *values: Value) -> list[Flow]:
    """Tensors of one shape and one order; constants become weights. At least one is a Flow."""
    flows = [sheet.plain(v) for v in values if isinstance(v, Flow)]
    rank = max(v.ndim if isinstance(v, np.ndarray) else v.rank for v in values)
    wide = [widened(f, rank) for f in flows]
    if len({f.batch for f in wide}) > 1:
        raise Mixed
    arrays = [v.reshape((1,) * (rank - v.ndim) + v.shape) for v in values if isinstance(v, np.ndarray)]
    shape = np.broadcast_shapes(*(f.shape for f in wide), *(a.shape for a in arrays))
    shape = tuple(int(s) for s in shape)
    batch = wide[0].batch
    if batch != NONE and any(f.shape[batch] != shape[batch] for f in wide):
        raise Mixed
    order = _order(wide, shape, batch)
    given = iter(wide)
    made = []
    for value in values:
        if isinstance(value, Flow):
            made.append(stretched(sheet, sheet.arranged(next(given), order), shape))
        else:
            array = value.reshape((1,) * (rank - value.ndim) + value.shape)
            name = sheet.constant(np.broadcast_to(in_order(array, order, batch), tuple(shape[a] for a in order)))
            made.append(Flow(name, shape, order, batch, array.dtype.name))
    return made


def _order(flows: list[Flow], shape: tuple[int, ...], batch: int) -> tuple[int, ...]:
    """The order of the tensor with most axes, of those rather of one that is no input; ONNX's where it lacks some."""
    lead = max(flows, key=lambda f: (len(thick(f.shape, f.order)), not f.port))
    if all(shape[a] == 1 or a in lead.order for a in range(len(shape)) if a != batch):
        return lead.order
    return tuple(a for a in range(len(shape)) if a != batch)


def in_order(array: Array, order: tuple[int, ...], batch: int) -> Array:
    """A constant of ONNX's rank with our axes. Raises Mixed where it differs from sample to sample."""
    if batch != NONE and array.shape[batch] != 1:
        if not (array == np.take(array, [0], axis=batch)).all():
            raise Mixed
        array = np.take(array, [0], axis=batch)
    rest = [a for a in range(array.ndim) if a not in order]
    return array.transpose((*order, *rest)).reshape([array.shape[a] for a in order])


def stretched(sheet: Sheet, x: Flow, shape: tuple[int, ...]) -> Flow:
    """x repeated along axes of size 1 until it has this ONNX shape."""
    target = tuple(shape[a] for a in x.order)
    made = replace(x, shape=shape)
    return (
        made if x.written == target else replace(made, name=sheet.then(x, "stretch", None, shape=sheet.sizes(target)))
    )
