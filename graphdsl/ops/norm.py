"""Normalisation: numbers shifted and scaled so that over some axes their mean is 0 and their variance 1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import (
    Array,
    BadSample,
    Builder,
    Cotangents,
    Dim,
    DType,
    Flag,
    ModalOperator,
    Moving,
    Operator,
    Positive,
    Rate,
    Sample,
    Stepper,
    Streamed,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
    layer,
    operator,
)
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import maximum, sqrt
from graphdsl.ops.initializers import Ones
from graphdsl.ops.mask import StepMask
from graphdsl.ops.moments import Moments, counted
from graphdsl.ops.reduce import broadcast_to, sum_over
from graphdsl.ops.shape import reshape, written_axis
from graphdsl.ops.window import demand_float
from graphdsl.report import dataclass

ONES, ZEROS = Ones(), Zeros()


@operator("standardize")
@dataclass(frozen=True)
class Standardize(Operator):
    """(x - mean) / sqrt(variance + eps), with mean and variance over the given axes.

    x         [batch, ...]
    lengths   int32 [batch] for each axis in steps: what lies on it from there on does not count and becomes 0
    returns   y, the shape of x; mean and variance, which have 1 in place of each axis; count, a scalar: over how many
              numbers each mean was taken

    The variance is the biased one, divided by count. Where nothing counts, mean and variance are 0.
    """

    axes: tuple[int, ...]
    eps: float
    steps: tuple[int, ...] = ()

    def type(self, x: TensorType, *lengths: TensorType) -> tuple[TensorType, ...]:  # type: ignore[override]
        if not self.axes or any(not 0 <= a < x.rank for a in self.axes):
            raise TypeRuleError(f"statistics over axes {self.axes} of {x}", operand=0)
        if len(lengths) != len(self.steps) or any(n.shape != x.shape[:1] or n.dtype.is_float for n in lengths):
            raise TypeRuleError(f"lengths are whole numbers, one a sample, for the axes {self.steps}", operand=1)
        if self.steps and not {0, *self.steps} <= {*self.axes}:
            raise TypeRuleError(f"lengths are for statistics over the batch and the axes {self.steps}", operand=0)
        kept = TensorType(tuple(1 if a in self.axes else s for a, s in enumerate(x.shape)), x.dtype)
        return x.with_kind(kept.kind), kept, kept, TensorType((), x.dtype)

    def gradient(self, b: Builder, inputs: tuple[Value, ...], outputs: tuple[Value, ...], d: Cotangents) -> Cotangents:
        x, *lengths = inputs
        y, mean, variance, count = outputs
        dy, dmean, dvariance, _ = d
        parts: list[Value] = []
        if dy is not None:
            parts.append(self._through_y(b, self._real(b, dy, lengths), y, variance, count))
        if dmean is not None:
            share = formula(b, lambda dm, n: dm / n, dmean, count, title="share")
            parts.append(broadcast_to(b, share, x.type.shape))
        if dvariance is not None:
            slope = formula(b, lambda v, m, dv, n: 2 * (v - m) * dv / n, x, mean, dvariance, count, title="slope")
            parts.append(slope)
        if not parts:
            return (None,) * len(inputs)
        total = formula(b, lambda *p: sum(p[1:], p[0]), *parts, title="sum")
        return (self._real(b, total, lengths), *(None for _ in lengths))

    def _through_y(self, b: Builder, dy: Value, y: Value, variance: Value, count: Value) -> Value:
        """(dy - mean(dy) - y mean(y dy)) / sqrt(variance + eps): y answers to no shift and to no scaling of x."""
        shift = sum_over(b, dy, self.axes, keep=True)
        scale = sum_over(b, formula(b, lambda d, v: d * v, dy, y, title="product"), self.axes, keep=True)
        return formula(
            b,
            lambda d, v, s, t, n, w: (d - (s + v * t) / n) / sqrt(w + self.eps),
            *(dy, y, shift, scale, count, variance),
            title="standardize_gradient",
        )

    def _real(self, b: Builder, x: Value, lengths: Sequence[Value]) -> Value:
        for axis, own in zip(self.steps, lengths, strict=True):
            x = b.emit(StepMask(axis), x, own)
        return x

    def reference(self, x: Array, *lengths: Array) -> tuple[Array, ...]:  # type: ignore[override]
        real = self._real_steps(x, lengths)
        count = np.asarray(prod(x.shape[a] for a in self.axes), x.dtype)
        if lengths:
            others = prod(x.shape[a] for a in self.axes if a not in (0, *self.steps))
            count = np.asarray(max(int(real.sum()) * others, 1), x.dtype)
        mean = (np.where(real, x, 0) if lengths else x).sum(self.axes, keepdims=True) / count
        centred = np.where(real, x - mean, 0) if lengths else x - mean
        variance = (centred * centred).sum(self.axes, keepdims=True) / count
        y = centred / np.sqrt(variance + x.dtype.type(self.eps))
        return tuple(np.asarray(a, x.dtype) for a in (y, mean, variance, count))

    def _real_steps(self, x: Array, lengths: tuple[Array, ...]) -> Array:
        """Which places count: [batch, ...], with 1 in place of the axes that are not in steps."""
        real = np.ones((len(x), *(1,) * (x.ndim - 1)), bool)
        for axis, own in zip(self.steps, lengths, strict=True):
            exist = np.arange(x.shape[axis]) < own[:, None]
            real = real & exist.reshape(len(x), *(1,) * (axis - 1), -1, *(1,) * (x.ndim - axis - 1))
        return real

    def stream(self, s: Stepper, *operands: Moving) -> Streamed:
        (x,) = operands[:1]
        s.demand_apart(x, self.axes, "mean and variance are over")
        return tuple((value, None if value.type.rank == 0 else x.axis) for value, _ in s.apart(self, x, axis=x.axis))

    def flops(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Dim:
        return inputs[0].count * 7

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x = np.sin(1.7 * np.arange(60.0)).reshape(3, 5, 4)
        batch, features = cls((0, 1), 1e-3), cls((2,), 1e-3)
        return [
            Sample(batch, (x,), torch=_torch(batch)),
            Sample(features, (x,), torch=_torch(features)),
            Sample(cls((0, 1), 1e-3, (1,)), (x, np.array([5, 0, 2], np.int32))),
            Sample(cls((0, 1, 2), 1e-3, (2,)), (x[..., None], np.array([4, 0, 2], np.int32))),
            Sample(cls((0, 1, 2), 1e-3, (1, 2)), (x[..., None], *np.array([[5, 1, 2], [4, 0, 2]], np.int32))),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        x, lengths = TensorType((3, 5, 4)), TensorType((3,), DType.INT32)
        return [
            BadSample(cls((), 1e-3), (x,)),
            BadSample(cls((3,), 1e-3), (x,)),
            BadSample(cls((2,), 1e-3, (1,)), (x, lengths)),
            BadSample(cls((0, 1), 1e-3), (x, lengths)),
        ]


def _torch(op: Standardize) -> Callable[..., Any]:
    def run(torch: Any, x: Any) -> Any:
        variance, mean = torch.var_mean(x, op.axes, correction=0, keepdim=True)
        count = torch.tensor(float(prod(x.shape[a] for a in op.axes)), dtype=x.dtype)
        return (x - mean) / torch.sqrt(variance + op.eps), mean, variance, count

    return run


@operator("batch_norm")
@dataclass(frozen=True)
class BatchNorm(ModalOperator):
    """Batch normalisation before it is decided whether the model trains or serves.

    x         [batch, ..., features]
    gamma     [features], only where scale
    beta      [features], only where center
    mean, variance   running averages, [features]
    lengths   int32 [batch] for each axis in steps: how many steps along it are real
    returns   the shape of x
    """

    momentum: float
    eps: float
    scale: bool
    center: bool
    frozen: bool = False
    steps: tuple[int, ...] = ()

    def type(self, x: TensorType, *rest: TensorType) -> TensorType:  # type: ignore[override]
        weights = rest[: 2 + self.scale + self.center]
        if len(rest) - len(weights) != len(self.steps) or any(w.shape != x.shape[-1:] for w in weights):
            raise TypeRuleError(f"batch_norm of {x.describe()} needs one number a feature", operand=0)
        return x.with_kind(TensorType(()).kind)

    def training(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """With this batch's statistics, which also move the running ones. A frozen layer serves even in training."""
        if self.frozen:
            return self.inference(b, inputs)
        x, gamma, beta, mean, variance, lengths = self._named(inputs)
        axes = tuple(range(x.type.rank - 1))
        if lengths:
            y, batch_mean, batch_variance, count = b.emit_all(Standardize(axes, self.eps, self.steps), x, *lengths)
            y = affine(b, y, gamma, beta)
        else:
            batch_mean, batch_variance = b.emit_all(Moments(axes), x)
            count = counted(b, x, axes)
            factor = self._factor(b, batch_variance, gamma)
            y = _standardized(b, x, batch_mean, factor, beta)
        self._follow(b, mean, reshape(b, batch_mean, mean.type.shape))
        unbiased = formula(b, lambda v, n: v * n / maximum(n - 1, 1), batch_variance, count, title="unbiased")
        self._follow(b, variance, reshape(b, unbiased, variance.type.shape))
        return (y,)

    def inference(self, b: Builder, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
        """x times one number a feature, plus another: what a layer before it can take over."""
        x, gamma, beta, mean, variance, _ = self._named(inputs)
        factor = self._factor(b, variance, gamma)
        shift = formula(b, lambda m, f: -m * f, mean, factor, title="shift")
        if beta is not None:
            shift = formula(b, lambda s, c: s + c, shift, beta, title="shift")
        return (formula(b, lambda v, f, s: v * f + s, x, factor, shift, title="batch_norm"),)

    def _factor(self, b: Builder, variance: Value, gamma: Value | None) -> Value:
        """What a feature is multiplied by: one number each."""
        factor = formula(b, lambda v: 1 / sqrt(v + self.eps), variance, title="factor")
        return factor if gamma is None else formula(b, lambda f, g: f * g, factor, gamma, title="factor")

    def _named(
        self, inputs: tuple[Value, ...]
    ) -> tuple[Value, Value | None, Value | None, Value, Value, tuple[Value, ...]]:
        waiting = list(inputs)
        x = waiting.pop(0)
        gamma = waiting.pop(0) if self.scale else None
        beta = waiting.pop(0) if self.center else None
        mean, variance, *lengths = waiting
        return x, gamma, beta, mean, variance, tuple(lengths)

    def _follow(self, b: Builder, average: Value, now: Value) -> None:
        keep = self.momentum
        before = b.latest(average)
        b.update(average, formula(b, lambda a, n: keep * a + (1 - keep) * n, before, now, title="moving_average"))

    @classmethod
    def samples(cls) -> Sequence[Sample]:
        x, half = np.sin(1.7 * np.arange(60.0)).reshape(3, 5, 4), np.linspace(0.5, 1.5, 4)
        return [
            Sample(cls(0.9, 1e-3, True, True), (x, half, half - 1, half / 2, half)),
            Sample(cls(0.9, 1e-3, False, False, steps=(1,)), (x, half / 2, half, np.array([5, 0, 2], np.int32))),
            Sample(cls(0.9, 1e-3, True, False, frozen=True), (x, half, half / 2, half)),
        ]

    @classmethod
    def bad_samples(cls) -> Sequence[BadSample]:
        three, four = TensorType((3,)), TensorType((4,))
        return [BadSample(cls(0.9, 1e-5, False, False), (TensorType((2, 3)), three, four))]


def _standardized(b: Builder, x: Value, mean: Value, factor: Value, beta: Value | None) -> Value:
    """(x - mean) * factor + beta. mean is taken from x first, so that what is added up backward is small."""
    if beta is None:
        return formula(b, lambda v, m, f: (v - m) * f, x, mean, factor, title="batch_norm")
    return formula(b, lambda v, m, f, c: (v - m) * f + c, x, mean, factor, beta, title="batch_norm")


def affine(b: Builder, y: Value, gamma: Value | None, beta: Value | None) -> Value:
    """y * gamma + beta, of what there is."""
    if gamma is not None and beta is not None:
        return formula(b, lambda v, g, c: v * g + c, y, gamma, beta, title="scale_and_shift")
    if gamma is not None:
        return formula(b, lambda v, g: v * g, y, gamma, title="scale")
    return formula(b, lambda v, c: v + c, y, beta, title="shift") if beta is not None else y


def parameters(b: Builder, x: Value, scale: bool, center: bool) -> tuple[Value | None, Value | None]:
    """The weights gamma and beta, a number a feature each, where they are wanted."""
    features = (x.type.channels,)
    gamma = b.weight("gamma", features, ONES) if scale else None
    beta = b.weight("beta", features, ZEROS) if center else None
    return gamma, beta


@layer()
def batch_norm(
    b: Builder, x: Value, *, momentum: Rate = 0.9, eps: Positive = 1e-5, scale: Flag = True, center: Flag = True
) -> Value:
    """Gives every feature mean 0 and variance 1 over the batch, then learns the mean and the spread that suit.

    x        [features], [time, features] or [height, width, channels]
    returns  the same shape: (x - mean) / sqrt(variance + eps) * gamma + beta, feature by feature

    momentum  how much of the running averages a step keeps: new = momentum * old + (1 - momentum) * batch
    eps       keeps the division possible
    scale     whether there is a gamma
    center    whether there is a beta

    Training takes mean and variance of the batch, over everything but the features; steps behind a sequence's end do
    not count and give beta. Otherwise the running averages are taken. The batch is divided by the biased variance, the
    running one is unbiased (PyTorch's rule). A frozen layer uses its running averages in training too, and keeps them
    (Keras's rule).

    The defaults are PyTorch's, whose momentum of 0.1 is our 0.9; Keras's are momentum 0.99 and eps 1e-3.

    Weights: gamma and beta [features], which learn; mean and variance [features], which do not.

    E0301  x has no features, or holds whole numbers
    E0401  the number of features is known only at run time

    Source: Ioffe and Szegedy 2015.
    """
    demand_features("batch_norm", x.type)
    gamma, beta = parameters(b, x, scale, center)
    mean = b.weight("mean", (x.type.channels,), ZEROS, trainable=False)
    variance = b.weight("variance", (x.type.channels,), ONES, trainable=False)
    found = {axis: b.lengths(size) for axis, size in enumerate(x.type.spatial, 1)}
    lengths = {axis: own for axis, own in found.items() if own is not None}
    op = BatchNorm(momentum, eps, scale, center, b.place.frozen, tuple(lengths))
    given = (x, gamma, beta, mean, variance, *lengths.values())
    return b.emit(op, *(v for v in given if v is not None))


@layer()
def layer_norm(
    b: Builder, x: Value, *, axis: int = -1, eps: Positive = 1e-5, scale: Flag = True, center: Flag = True
) -> Value:
    """Gives the features of every sample, at every place, mean 0 and variance 1, then scales and shifts each.

    x        [features], [time, features] or [height, width, channels]
    returns  the same shape: (x - mean) / sqrt(variance + eps) * gamma + beta, mean and variance over the features

    axis     the first of the axes that mean and variance are taken over, counted without the batch axis; -1: only the
             features; 0: all of a sample
    eps      keeps the division possible
    scale    whether there is a gamma
    center   whether there is a beta

    The variance is the biased one. Training and use are the same.

    Weights: gamma and beta [features], in general of the shape that is left from axis on.

    E0301  x has no features, or holds whole numbers
    E0401  the number of features, or another size from axis on, is known only at run time

    Source: Ba et al. 2016.
    """
    demand_features("layer_norm", x.type)
    first = written_axis(x.type, axis)
    shape = x.type.shape[first:]
    gamma = b.weight("gamma", shape, ONES) if scale else None
    beta = b.weight("beta", shape, ZEROS) if center else None
    y, *_ = b.emit_all(Standardize(tuple(range(first, x.type.rank)), eps), x)
    return affine(b, y, gamma, beta)


def demand_features(name: str, x: TensorType) -> None:
    """Refuses what has no features, or a number of them that is known only at run time."""
    demand_float(name, x)
    if x.rank < 2:
        raise TypeRuleError(f"{name} needs float[features] at least, got {x.describe()}", operand=0)
    if isinstance(x.channels, Symbolic):
        raise TypeRuleError(
            f"{name} needs as many features in every sample, got {x.describe()}",
            code="E0401",
            operand=0,
            help="give the last dimension a number in the input's type",
        )
