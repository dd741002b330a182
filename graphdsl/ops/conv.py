"""Convolution and its two gradients.

The three are one sum, y[o] += x[o * stride + k * dilation - pad] * kernel[k], read for y, for x and for the kernel:

    conv                  x, kernel -> y
    conv_input_gradient   y, kernel -> x     (a transposed convolution)
    conv_kernel_gradient  x, y -> kernel

The sum is linear in each, so the gradients of all three are again among the three.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    Moving,
    Operator,
    Sample,
    Stepper,
    Streamed,
    TensorType,
    TypeRuleError,
    Value,
    operator,
)
from graphdsl.ops.concat import Concat, sliced_axis
from graphdsl.ops.window import Pads, Sizes, blocks, cropped, numbers, out_sizes, padded, places, reach, unfolded
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Sliding(Operator):
    """What the three share: how the window slides. A number, or a pair, for every axis of time or space."""

    stride: Sizes
    pad: Pads
    dilation: Sizes
    groups: int

    @abstractmethod
    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        """One more of the three for each operand."""

    def forward(self) -> Conv:
        return Conv(self.stride, self.pad, self.dilation, self.groups)

    def for_input(self, size: tuple[Dim, ...]) -> ConvInputGradient:
        return ConvInputGradient(self.stride, self.pad, self.dilation, self.groups, size)

    def for_kernel(self, size: Sizes) -> ConvKernelGradient:
        return ConvKernelGradient(self.stride, self.pad, self.dilation, self.groups, size)

    def matrices(self, kernel: Array) -> Array:
        """The kernel as a matrix a group: [groups, window * in, out]."""
        return kernel.reshape(-1, self.groups, kernel.shape[-1] // self.groups).transpose(1, 0, 2)

    def by_group(self, y: Array) -> Array:
        """[samples, ..., out] as a matrix a group: [groups, samples * ..., out]."""
        return y.reshape(-1, self.groups, y.shape[-1] // self.groups).transpose(1, 0, 2)

    def windows(self, x: Array, size: Sizes) -> Array:
        """Padded x as a matrix a group, one window a row."""
        return unfolded(x, size, self.stride, self.dilation, self.groups)

    def outs(self, spatial: Sequence[Dim], size: Sizes) -> tuple[Dim, ...]:
        return out_sizes(spatial, reach(size, self.dilation), self.stride, self.pad)


@operator("conv")
@dataclass(frozen=True)
class Conv(Sliding):
    """Convolution as networks mean it: the window is not flipped.

    x        [batch, in..., channels], over one axis (time) or more (space)
    kernel   [window..., channels / groups, filters]
    returns  [batch, out..., filters], out = (in + before + after - reach) // stride + 1,
             reach = (window - 1) * dilation + 1

    groups   channels and filters are cut into as many parts; each part of the filters sees its part of the channels
    """

    def type(self, x: TensorType, kernel: TensorType) -> TensorType:  # type: ignore[override]
        size = window_of(kernel)
        if x.rank != len(size) + 2 or x.rank != len(self.stride) + 2:
            raise TypeRuleError(f"a window over {len(size)} axes does not fit {x.describe()}", operand=0)
        demand_groups(x.channels, kernel.shape[-1], self.groups)
        if kernel.shape[-2] * self.groups != x.channels:
            raise TypeRuleError(f"the kernel {kernel} reads {kernel.shape[-2]} channels, got {x.describe()}", operand=1)
        return TensorType((x.shape[0], *self.outs(x.spatial, size), kernel.shape[-1]), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        x, kernel = inputs
        (dy,) = d
        if dy is None:
            return None, None
        return (
            b.emit(self.for_input(x.type.spatial), dy, kernel),
            b.emit(self.for_kernel(window_of(kernel.type)), x, dy),
        )

    def reference(self, x: Array, kernel: Array) -> Array:  # type: ignore[override]
        size = kernel.shape[:-2]
        out = numbers(self.outs(x.shape[1:-1], size))
        y = np.empty((len(x), *out, kernel.shape[-1]), x.dtype)
        matrices = self.matrices(kernel)
        for part in blocks(len(x), prod(out) * matrices[..., 0].size):
            product = self.windows(padded(x[part], self.pad), size) @ matrices
            y[part] = product.transpose(1, 0, 2).reshape(y[part].shape)
        return y

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        """The window over the last inputs, which are remembered; zeros stand before the first."""
        x, kernel = operands
        if x.axis is None or not 0 < x.axis < x.whole.rank - 1:
            raise TypeRuleError("its kernel changes from step to step")
        over = x.axis - 1
        behind = reach(window_of(kernel.whole), self.dilation)[over] - 1
        if self.stride[over] != 1 or self.pad[over] != (behind, 0):
            raise TypeRuleError("its window reaches later steps", operand=0, help="write `pad=causal` and no stride")
        op = replace(self, pad=(*self.pad[:over], (0, 0), *self.pad[over + 1 :]))
        return ((s.b.emit(op, _last(s, x, behind), kernel.value), x.axis),)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return outputs[0].count * (2 * prod(numbers(inputs[1].shape[:-1])))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        return [
            Sample(op, (x, kernel), torch=_torch_conv(op))
            for op, x, kernel in ((cls(*settings), x, kernel) for settings, x, kernel in _cases())
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x = TensorType((2, 5, 5, 3))
        plain = cls((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
        return [
            BadSample(plain, (x, TensorType((6, 6, 3, 4)))),
            BadSample(plain, (x, TensorType((3, 3, 2, 4)))),
            BadSample(plain, (x, TensorType((3, 3, 4)))),
            BadSample(cls((1, 1), ((0, 0), (0, 0)), (1, 1), 2), (x, TensorType((3, 3, 1, 4)))),
        ]


def _last(s: Stepper, x: Moving, count: int) -> Value:
    """So many inputs before this one, and this one, along the axis of the steps."""
    if count == 0:
        return x.value
    assert x.axis is not None
    shape = x.value.type.shape
    before = s.state("last", (*shape[: x.axis], count, *shape[x.axis + 1 :]), x.value.type.dtype)
    seen = s.b.emit(Concat(x.axis), before, x.value)
    s.carry(before, sliced_axis(s.b, seen, x.axis, 1, count))
    return seen


@operator("conv_input_gradient")
@dataclass(frozen=True)
class ConvInputGradient(Sliding):
    """What the results y send back to the input: each number of y, times the kernel, added up where the window stood.

    y        [batch, out..., filters]
    kernel   [window..., channels / groups, filters]
    returns  [batch, size..., channels]

    With stride 1 it equals the full convolution of y with the flipped kernel.
    """

    size: tuple[Dim, ...]

    def type(self, y: TensorType, kernel: TensorType) -> TensorType:  # type: ignore[override]
        demand_groups(kernel.shape[-2] * self.groups, kernel.shape[-1], self.groups)
        expected = self.outs(self.size, window_of(kernel))
        if y.spatial != expected or y.channels != kernel.shape[-1]:
            wanted = TensorType((*expected, kernel.shape[-1])).describe()
            raise TypeRuleError(f"the input gradient needs {wanted}, got {y.describe()}", operand=0)
        return TensorType((y.shape[0], *self.size, kernel.shape[-2] * self.groups), y.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        y, kernel = inputs
        (dx,) = d
        if dx is None:
            return None, None
        return b.emit(self.forward(), dx, kernel), b.emit(self.for_kernel(window_of(kernel.type)), dx, y)

    def reference(self, y: Array, kernel: Array) -> Array:  # type: ignore[override]
        size, out = kernel.shape[:-2], y.shape[1:-1]
        matrices = self.matrices(kernel).transpose(0, 2, 1)
        room = [s + lo + hi for s, (lo, hi) in zip(numbers(self.size), self.pad, strict=True)]
        x = np.zeros((len(y), *room, self.groups, kernel.shape[-2]), y.dtype)
        for part in blocks(len(y), prod(out) * matrices[:, 0].size):
            sent = (self.by_group(y[part]) @ matrices).reshape(self.groups, -1, *out, *size, kernel.shape[-2])
            for element, met in places(size, self.stride, self.dilation, out):
                at: Any = (..., *element, slice(None))
                x[part][met] += np.moveaxis(sent[at], 0, -2)
        return cropped(x.reshape(len(y), *room, -1), self.pad)

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * (2 * prod(numbers(inputs[1].shape[:-1])))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for settings, x, kernel in _cases():
            forward = Conv(*settings)
            y = np.cos(forward.reference(x, kernel))
            found.append(Sample(cls(*settings, x.shape[1:-1]), (y, kernel), torch=_torch_input(forward, x.shape)))
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op = cls((2,), ((0, 0),), (1,), 1, (9,))
        return [BadSample(op, (TensorType((2, 5, 4)), TensorType((3, 2, 4))))]


@operator("conv_kernel_gradient")
@dataclass(frozen=True)
class ConvKernelGradient(Sliding):
    """What the results y send back to the kernel: every window of x, times what came of it, added up.

    x        [batch, in..., channels]
    y        [batch, out..., filters]
    returns  [size..., channels / groups, filters]
    """

    size: Sizes

    def type(self, x: TensorType, y: TensorType) -> TensorType:  # type: ignore[override]
        demand_groups(x.channels, y.channels, self.groups)
        expected = (x.shape[0], *self.outs(x.spatial, self.size))
        if y.shape[:-1] != expected:
            raise TypeRuleError(f"the kernel gradient needs {expected} before the filters, got {y.shape}", operand=1)
        return TensorType((*self.size, x.channels // self.groups, y.channels), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        x, y = inputs
        (dkernel,) = d
        if dkernel is None:
            return None, None
        return b.emit(self.for_input(x.type.spatial), y, dkernel), b.emit(self.forward(), x, dkernel)

    def reference(self, x: Array, y: Array) -> Array:  # type: ignore[override]
        part_in, part_out = x.shape[-1] // self.groups, y.shape[-1] // self.groups
        total = np.zeros((self.groups, prod(self.size) * part_in, part_out), x.dtype)
        for part in blocks(len(x), prod(y.shape[1:-1]) * prod(self.size) * x.shape[-1]):
            windows = self.windows(padded(x[part], self.pad), self.size)
            total += windows.transpose(0, 2, 1) @ self.by_group(y[part])
        return total.transpose(1, 0, 2).reshape(*self.size, part_in, y.shape[-1])

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[1].count * (2 * prod(numbers(outputs[0].shape[:-1])))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        found = []
        for settings, x, kernel in _cases():
            forward = Conv(*settings)
            y = np.cos(forward.reference(x, kernel))
            op = cls(*settings, kernel.shape[:-2])
            found.append(Sample(op, (x, y), torch=_torch_kernel(forward, kernel.shape)))
        return found

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        op = cls((1,), ((0, 0),), (1,), 1, (3,))
        return [BadSample(op, (TensorType((2, 9, 2)), TensorType((2, 8, 4))))]


def window_of(kernel: TensorType) -> Sizes:
    """The window's size, from [window..., in, out]. Kernels are weights, and the sizes of weights are known."""
    return numbers(kernel.shape[:-2])


def demand_groups(channels: Dim, filters: Dim, groups: int) -> None:
    """Refuses groups that do not divide both."""
    for what, count in (("channels", channels), ("filters", filters)):
        if isinstance(count, int) and count % groups:
            raise TypeRuleError(
                f"{groups} groups do not divide {count} {what}",
                operand=0 if what == "channels" else None,
                attribute="groups",
                help="channels and filters must both be multiples of `groups`",
            )


# --- samples ---------------------------------------------------------------------------------------------------------

Settings = tuple[Sizes, Pads, Sizes, int]


def _cases() -> list[tuple[Settings, Array, Array]]:
    """Settings, x and kernel: stride, dilation, groups, uneven padding, a left-over edge, time and space."""
    shapes: list[tuple[Settings, tuple[int, ...], tuple[int, ...]]] = [
        (((1, 1), ((0, 0), (0, 0)), (1, 1), 1), (2, 4, 5, 2), (3, 2, 2, 3)),
        (((2, 1), ((1, 1), (0, 1)), (1, 2), 1), (2, 5, 4, 1), (2, 2, 1, 2)),
        (((2, 2), ((0, 1), (0, 1)), (1, 1), 2), (1, 6, 4, 4), (3, 3, 2, 2)),
        (((1, 1), ((1, 1), (1, 1)), (1, 1), 3), (1, 3, 3, 3), (3, 3, 1, 6)),
        (((3, 3), ((0, 0), (0, 0)), (1, 1), 1), (1, 5, 5, 2), (1, 1, 2, 2)),
        (((1,), ((4, 0),), (2,), 1), (2, 6, 2), (3, 2, 3)),
        (((2,), ((1, 1),), (1,), 2), (2, 7, 4), (3, 2, 4)),
    ]
    return [(settings, _wave(x, 1.7), _wave(kernel, 2.3)) for settings, x, kernel in shapes]


def _wave(shape: tuple[int, ...], speed: float) -> Array:
    return np.asarray(np.sin(speed * np.arange(prod(shape)))).reshape(shape)


def _torch_conv(op: Conv) -> Callable[..., Any]:
    def run(torch: Any, x: Any, kernel: Any) -> Any:
        around = [p for pair in reversed(op.pad) for p in pair]
        first = torch.nn.functional.pad(x.movedim(-1, 1), around)
        turned = kernel.movedim((-1, -2), (0, 1))
        call = torch.nn.functional.conv1d if len(op.stride) == 1 else torch.nn.functional.conv2d
        return call(first, turned, None, op.stride, 0, op.dilation, op.groups).movedim(1, -1)

    return run


def _torch_input(op: Conv, shape: tuple[int, ...]) -> Callable[..., Any]:
    """PyTorch's own gradient of its convolution."""

    def run(torch: Any, y: Any, kernel: Any) -> Any:
        x = torch.zeros(shape, dtype=y.dtype, requires_grad=True)
        return torch.autograd.grad(_torch_conv(op)(torch, x, kernel), x, y)[0]

    return run


def _torch_kernel(op: Conv, shape: tuple[int, ...]) -> Callable[..., Any]:
    def run(torch: Any, x: Any, y: Any) -> Any:
        kernel = torch.zeros(shape, dtype=y.dtype, requires_grad=True)
        return torch.autograd.grad(_torch_conv(op)(torch, x, kernel), kernel, y)[0]

    return run
