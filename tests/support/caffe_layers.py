"""Layers of Caffe in NumPy, written after the loops of its own C++ files: channels first, no cleverness.

x is [batch, channels, height, width] where nothing else is said.
"""

from __future__ import annotations

from itertools import product
from math import ceil, floor
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Pair = tuple[int, int]


def convolution(
    x: Array,
    w: Array,
    b: Array | None,
    stride: Pair = (1, 1),
    pad: Pair = (0, 0),
    dilation: Pair = (1, 1),
    group: int = 1,
) -> Array:
    """conv_layer.cpp; w [filters, channels / group, height, width]"""
    n, _, h, width = x.shape
    filters, part, kh, kw = w.shape
    oh = (h + 2 * pad[0] - (dilation[0] * (kh - 1) + 1)) // stride[0] + 1
    ow = (width + 2 * pad[1] - (dilation[1] * (kw - 1) + 1)) // stride[1] + 1
    room = np.pad(x, ((0, 0), (0, 0), (pad[0],) * 2, (pad[1],) * 2)).astype(np.float64)
    y = np.zeros((n, filters, oh, ow))
    each = filters // group
    for f, i, j in product(range(filters), range(oh), range(ow)):
        first = f // each * part
        rows = slice(i * stride[0], i * stride[0] + dilation[0] * (kh - 1) + 1, dilation[0])
        columns = slice(j * stride[1], j * stride[1] + dilation[1] * (kw - 1) + 1, dilation[1])
        y[:, f, i, j] = (room[:, first : first + part, rows, columns] * w[f]).sum((1, 2, 3))
    return y + (0 if b is None else b[:, None, None])


def deconvolution(x: Array, w: Array, b: Array, stride: Pair, pad: Pair, group: int = 1) -> Array:
    """deconv_layer.cpp: each number paints the kernel; w [channels, filters / group, height, width]"""
    n, channels, h, width = x.shape
    _, part, kh, kw = w.shape
    room = np.zeros((n, part * group, (h - 1) * stride[0] + kh, (width - 1) * stride[1] + kw))
    each = channels // group
    for c, i, j in product(range(channels), range(h), range(width)):
        first = c // each * part
        rows, columns = slice(i * stride[0], i * stride[0] + kh), slice(j * stride[1], j * stride[1] + kw)
        room[:, first : first + part, rows, columns] += x[:, c, i, j][:, None, None, None] * w[c]
    edge = room[:, :, pad[0] : room.shape[2] - pad[0], pad[1] : room.shape[3] - pad[1]]
    return edge + b[:, None, None]


def pooling(x: Array, size: Pair, stride: Pair, pad: Pair, *, mean: bool = False, up: bool = True) -> Array:
    """pooling_layer.cpp, with its sizes rounded up and windows that are clipped"""
    n, channels, h, width = x.shape
    sizes = []
    for s, k, step, p in zip((h, width), size, stride, pad, strict=True):
        rounded = ceil if up else floor
        out = int(rounded((s + 2 * p - k) / step)) + 1
        sizes.append(out)
    if any(pad):
        sizes = [
            o - 1 if (o - 1) * step >= s + p else o
            for o, s, step, p in zip(sizes, (h, width), stride, pad, strict=True)
        ]
    y = np.zeros((n, channels, *sizes))
    for i, j in product(*map(range, sizes)):
        top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
        bottom, right = min(top + size[0], h + pad[0]), min(left + size[1], width + pad[1])
        count = (bottom - top) * (right - left)
        window = x[:, :, max(top, 0) : min(bottom, h), max(left, 0) : min(right, width)]
        y[:, :, i, j] = window.sum((2, 3)) / count if mean else window.max((2, 3))
    return y


def lrn(x: Array, size: int, alpha: float, beta: float, k: float = 1.0) -> Array:
    """lrn_layer.cpp, across channels"""
    half = (size - 1) // 2
    y = np.zeros(x.shape)
    for c in range(x.shape[1]):
        near = x[:, max(c - half, 0) : c + half + 1].astype(np.float64)
        y[:, c] = x[:, c] * (k + alpha / size * (near**2).sum(1)) ** -beta
    return y


def lrn_within(x: Array, size: int, alpha: float, beta: float) -> Array:
    """lrn_layer.cpp, within a channel: its own composition of a pool and powers"""
    mean = pooling(x.astype(np.float64) ** 2, (size, size), (1, 1), ((size - 1) // 2,) * 2, mean=True)
    return x * (1 + alpha * mean) ** -beta


def batch_norm(x: Array, blobs: list[Array], eps: float = 1e-5) -> Array:
    """batch_norm_layer.cpp in use: sums of means and variances, and what they are divided by"""
    by = 0.0 if blobs[2][0] == 0 else 1.0 / float(blobs[2][0])
    mean, variance = (b.astype(np.float64) * by for b in blobs[:2])
    return (x - mean[:, None, None]) / np.sqrt(variance[:, None, None] + eps)


def inner_product(x: Array, w: Array, b: Array) -> Array:
    """inner_product_layer.cpp; w [units, everything of a sample]"""
    return x.reshape(len(x), -1).astype(np.float64) @ w.T + b


def softmax(x: Array) -> Array:
    """softmax_layer.cpp, over channels"""
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)
