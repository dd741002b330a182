"""Fourier transforms: products with matrices of sines and cosines."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.registry import reads
from graphdsl.interop.onnx.sheet import Mixed, Sheet
from graphdsl.ir import Array


@reads("DFT")
def read_dft(sheet: Sheet, step: Step) -> Value:
    """Along one axis; the last axis holds real and imaginary parts, or real ones only."""
    x = sheet.plain(sheet.flow(0))
    length = sheet.optional(1, "its length")
    axis = _axis(sheet, step, x)
    if axis in (x.batch, x.rank - 1):
        raise Mixed
    old, parts = x.shape[axis], x.shape[-1]
    size = old if length is None else int(np.ravel(length)[0])
    bins = size // 2 + 1 if step.get("onesided", 0) else size
    sheet.demand_small(old * size * 4, "its matrix")
    sheet.demand_small(size * size, "its matrix")
    matrix = fourier(old, size, bins, parts, bool(step.get("inverse", 0)))
    order = (*(a for a in x.axes if a not in (axis, x.rank - 1)), axis, x.rank - 1)
    x = sheet.arranged(replace(x, port=""), order)
    rest = [x.shape[a] for a in order[:-2]]
    (rows,) = sheet.put("reshape", (x.name,), {"shape": sheet.sizes([prod(rest), old * parts])})
    (made,) = sheet.put("dense", (rows,), {"units": bins * 2, "bias": False}, {"kernel": matrix})
    (made,) = sheet.put("reshape", (made,), {"shape": sheet.sizes([*rest, bins, 2])})
    shape = tuple(bins if a == axis else s for a, s in enumerate(x.shape[:-1]))
    return Flow(made, (*shape, 2), order, x.batch)


def _axis(sheet: Sheet, step: Step, x: Flow) -> int:
    """An attribute until version 20, an input since."""
    if sheet.model.opset < 20:
        return x.axis(int(step.get("axis", 1)))
    given = sheet.optional(2, "the axis")
    return x.axis(-2 if given is None else int(np.ravel(given)[0]))


def fourier(old: int, size: int, bins: int, parts: int, inverse: bool) -> Array:
    """[old * parts, bins * 2]: numbers as real and imaginary parts, cut or filled with zeros to size."""
    basis = np.eye(old, size) @ (np.fft.ifft(np.eye(size)) if inverse else np.fft.fft(np.eye(size)))
    basis = basis[:, :bins]
    real = np.stack([basis.real, basis.imag], axis=-1)
    turned = np.stack([-basis.imag, basis.real], axis=-1)
    whole = np.stack([real, turned][:parts], axis=1)
    return whole.reshape(old * parts, bins * 2).astype(np.float32)


@reads("STFT")
def read_stft(sheet: Sheet, step: Step) -> Value:
    """A convolution whose filters are sines and cosines under a window."""
    x = sheet.plain(sheet.flow(0))
    stride = int(np.ravel(sheet.fixed(1, "its step"))[0])
    window, length = sheet.optional(2, "its window"), sheet.optional(3, "its length")
    if x.batch not in (0, NONE) or x.shape[-1] != 1 or (window is None and length is None):
        raise sheet.refused("it reads complex signals, or has neither window nor length")
    size = len(window) if window is not None else int(np.ravel(length)[0]) if length is not None else 0
    bins = size // 2 + 1 if step.get("onesided", 1) else size
    sheet.demand_small(size * size * 2, "its matrix")
    basis = fourier(size, size, bins, 1, False)
    kernel = (basis if window is None else basis * window[:, None]).reshape(size, 1, bins * 2)
    x = sheet.arranged(x, (1, 2))
    given = {"filters": bins * 2, "size": size, "stride": stride, "bias": False}
    (name,) = sheet.put("conv", (x.name,), given, {"kernel": kernel})
    frames = (x.shape[1] - size) // stride + 1
    (name,) = sheet.put("reshape", (name,), {"shape": sheet.sizes([frames, bins, 2])})
    return Flow(name, (x.shape[0], frames, bins, 2), (1, 2, 3), x.batch)
