"""Pooling and what is made of pools: SPP, and LRN within a channel.

Caffe rounds sizes up: a last window may begin inside the picture and reach over its padded end,

    out = ceil((in + 2 pad - size) / stride) + 1, one less where the last window would begin behind in + pad

and the mean divides by what lies before in + pad, so by padding too but not by what is beyond. `round_mode: FLOOR`, in
versions of somebody's own `ceil_mode: false`, rounds down.
"""

from __future__ import annotations

from math import ceil
from typing import Any

from graphdsl.interop.caffe.call import Blobs, Call, translates
from graphdsl.interop.caffe.convolutions import WINDOW, one_or_all, per_axis, unless
from graphdsl.interop.caffe.plan import Blob, features_last
from graphdsl.report import dataclass

WORDS = {"MAX": "max_pool", "0": "max_pool", "AVE": "avg_pool", "1": "avg_pool"}
MOST_LEVELS = 8


@dataclass(frozen=True)
class Window:
    """A pool's settings, every one written out for every axis."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]


@translates("Pooling", param="pooling_param", fields=f"pool global_pooling round_mode ceil_mode {WINDOW}")
def pooling(call: Call) -> Blobs:
    """max_pool or avg_pool; global_max_pool or global_avg_pool where one window covers everything."""
    call.demand_inputs(1)
    p, spatial = call.param, call.blob.shape[1:]
    if len(call.step.tops) > 1:
        raise call.refused("it also gives where the largest stood", "leave its second `top` out")
    if len(spatial) not in (1, 2):
        raise call.refused(f"its input has {len(spatial)} axes of time or space, and there are pools over one or two")
    word = WORDS.get(p.text("pool", "MAX"))
    if word is None:
        raise call.refused(f"there is no pool `{p.text('pool')}`")
    if p.flag("global_pooling", False):
        window = Window(spatial, (1,) * len(spatial), (0,) * len(spatial))
    else:
        names = (("kernel_size", 0), ("stride", 1), ("pad", 0))
        window = Window(*(per_axis(call, p, name, default, len(spatial)) for name, default in names))
    up = p.text("round_mode", "CEIL") in ("CEIL", "0") and p.flag("ceil_mode", True)
    return (pooled(call, call.blob, word, window, up=up),)


def pooled(call: Call, x: Blob, word: str, window: Window, *, up: bool = True, aside: str = "") -> Blob:
    """A pool over x by Caffe's rules for sizes; up: whether sizes are rounded up."""
    channels, spatial = x.shape[0], x.shape[1:]
    if any(p >= k for p, k in zip(window.pad, window.size, strict=True)):
        raise call.refused(f"its padding {window.pad} is not below its window {window.size}")
    out = _sizes(call, spatial, window, up)
    if set(out) == {1} and not any(window.pad) and all(k >= n for k, n in zip(window.size, spatial, strict=True)):
        tensor = call.emit(f"global_{word}", [call.plan.arranged(x, features_last(len(x.shape)))], aside=aside)
        return Blob(tensor, (channels, *out), (0,))
    settings: dict[str, Any] = {"size": one_or_all(window.size)}
    settings["stride"] = unless(window.size, window.stride) and one_or_all(window.stride)
    settings["pad"] = unless(0, one_or_all(window.pad))
    settings["ceil"] = unless(False, out != _sizes(call, spatial, window, False))
    if word == "avg_pool":
        settings["count_padding"] = unless(False, any(window.pad))
    last = features_last(len(x.shape))
    return Blob(call.emit(word, [call.plan.arranged(x, last)], settings, aside=aside), (channels, *out), last)


def _sizes(call: Call, spatial: tuple[int, ...], window: Window, up: bool) -> tuple[int, ...]:
    """The sizes of the result. Windows that begin behind the padding are cut off, but only if there is padding."""
    rooms = [n + 2 * p - k for n, k, p in zip(spatial, window.size, window.pad, strict=True)]
    out = [(ceil(r / s) if up else r // s) + 1 for r, s in zip(rooms, window.stride, strict=True)]
    behind = [(o - 1) * s >= n + p for o, s, n, p in zip(out, window.stride, spatial, window.pad, strict=True)]
    if any(behind) and not any(window.pad):
        raise call.refused("its last window lies behind its input, where there are no numbers")
    out = [o - b for o, b in zip(out, behind, strict=True)]
    if any(n < 1 for n in out):
        raise call.refused(f"its window of {window.size} is larger than its input of {spatial}")
    return tuple(out)


@translates("SPP", param="spp_param", fields="pyramid_height pool")
def spatial_pyramid(call: Call) -> Blobs:
    """Pools over 1, 4, 16 … parts of a picture, made flat and put one after another."""
    call.demand_inputs(1)
    levels, spatial = call.param.count("pyramid_height", 0), call.blob.shape[1:]
    word = WORDS.get(call.param.text("pool", "MAX"))
    if word is None or not 1 <= levels <= MOST_LEVELS or len(spatial) != 2:
        raise call.refused(f"there is no pyramid of {levels} levels over {spatial}")
    flat: list[Blob] = []
    for level in range(levels):
        size = tuple(ceil(n / 2**level) for n in spatial)
        pad = tuple((k * 2**level - n + 1) // 2 for k, n in zip(size, spatial, strict=True))
        pool = pooled(call, call.blob, word, Window(size, size, pad), aside=f"{2**level}")
        flat.append(call.plan.in_order(call.plan.flat(pool)))
    if len(flat) == 1:
        return (flat[0],)
    return (Blob(call.emit("concat", flat), (sum(f.shape[0] for f in flat),), (0,)),)
