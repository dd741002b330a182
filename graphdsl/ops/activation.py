"""Activations: formulas of one tensor."""

from __future__ import annotations

from graphdsl.ir import PROBABILITY, Flag, Number, Positive
from graphdsl.ops.elementwise import elementwise
from graphdsl.ops.expression import Expression, Scalar, erf, expm1, logistic, maximum, minimum, where
from graphdsl.ops.expression import softplus as smooth_maximum
from graphdsl.ops.expression import tanh as hyperbolic_tangent


@elementwise(torch=lambda torch, x: torch.relu(x))
def relu(x: Expression) -> Scalar:
    """x where positive, else 0. At 0 the gradient is 0.

    Source: Nair and Hinton 2010.
    """
    return maximum(x, 0)


@elementwise(torch=lambda torch, x, slope=0.01: torch.nn.functional.leaky_relu(x, slope), examples=({}, {"slope": 0.3}))
def leaky_relu(x: Expression, *, slope: Number = 0.01) -> Scalar:
    """x where positive, else slope * x.

    Source: Maas et al. 2013. Keras' default slope is 0.3, Darknet's 0.1, PyTorch's 0.01 (ours).
    """
    return where(x > 0, x, slope * x)


@elementwise(high=8.0, torch=lambda torch, x: torch.nn.functional.relu6(x))
def relu6(x: Expression) -> Scalar:
    """x between 0 and 6.

    Source: Krizhevsky 2010 (CIFAR-10 report).
    """
    return minimum(maximum(x, 0), 6)


@elementwise(torch=lambda torch, x, alpha=1.0: torch.nn.functional.elu(x, alpha), examples=({}, {"alpha": 2.0}))
def elu(x: Expression, *, alpha: Number = 1.0) -> Scalar:
    """x where positive, else alpha * (exp(x) - 1). At 0 the gradient is alpha.

    Source: Clevert et al. 2015.
    """
    return where(x > 0, x, alpha * expm1(minimum(0, x)))


@elementwise(torch=lambda torch, x, alpha=1.0: torch.nn.functional.celu(x, alpha), examples=({}, {"alpha": 2.0}))
def celu(x: Expression, *, alpha: Positive = 1.0) -> Scalar:
    """x where positive, else alpha * (exp(x / alpha) - 1): an elu whose gradient at 0 is 1 for every alpha.

    Source: Barron 2017.
    """
    return where(x > 0, x, alpha * expm1(minimum(0, x) / alpha))


@elementwise(torch=lambda torch, x: torch.selu(x))
def selu(x: Expression) -> Scalar:
    """The self-normalising elu: 1.0507 * elu(x, 1.67326).

    Source: Klambauer et al. 2017.
    """
    return 1.0507009873554805 * where(x > 0, x, 1.6732632423543772 * expm1(minimum(0, x)))


@elementwise(
    torch=lambda torch, x, approximate=False: torch.nn.functional.gelu(
        x, approximate="tanh" if approximate else "none"
    ),
    examples=({}, {"approximate": True}),
)
def gelu(x: Expression, *, approximate: Flag = False) -> Scalar:
    """x times the probability that a standard normal number is below x.

    approximate  by 0.5 x (1 + tanh(0.79788456 (x + 0.044715 x³))), as the first GPT had it: off by up to 0.0005

    Source: Hendrycks and Gimpel 2016.
    """
    if approximate:
        return 0.5 * x * (1 + hyperbolic_tangent(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + erf(x * 0.7071067811865476))


@elementwise(torch=lambda torch, x: torch.nn.functional.silu(x))
def swish(x: Expression) -> Scalar:
    """x * sigmoid(x), also called silu.

    Source: Ramachandran et al. 2017.
    """
    return x * logistic(x)


@elementwise(torch=lambda torch, x: torch.nn.functional.mish(x))
def mish(x: Expression) -> Scalar:
    """x * tanh(softplus(x)).

    Source: Misra 2019.
    """
    return x * hyperbolic_tangent(smooth_maximum(x))


@elementwise(kind=PROBABILITY, torch=lambda torch, x: torch.sigmoid(x))
def sigmoid(x: Expression) -> Scalar:
    """1 / (1 + exp(-x)): each number for itself becomes a probability."""
    return logistic(x)


@elementwise(
    low=-4.1,
    high=3.9,
    torch=lambda torch, x, alpha=1 / 6, beta=0.5: (x * alpha + beta).clamp(0, 1),
    examples=({}, {"alpha": 0.2}),
)
def hard_sigmoid(x: Expression, *, alpha: Number = 1 / 6, beta: Number = 0.5) -> Scalar:
    """alpha * x + beta, cut to [0, 1]. alpha is 1/6 unless given (PyTorch, Keras 3), 0.2 in ONNX and Keras 2."""
    return minimum(maximum(alpha * x + beta, 0), 1)


@elementwise(low=-4.1, high=3.9, torch=lambda torch, x: torch.nn.functional.hardswish(x))
def hard_swish(x: Expression) -> Scalar:
    """x * hard_sigmoid(x).

    Source: Howard et al. 2019 (MobileNetV3).
    """
    return x * minimum(maximum(x / 6 + 0.5, 0), 1)


@elementwise(low=-2.1, high=2.3, torch=lambda torch, x: torch.nn.functional.hardtanh(x))
def hard_tanh(x: Expression) -> Scalar:
    """x, cut to [-1, 1]. For other bounds there is `clip`."""
    return minimum(maximum(x, -1), 1)


@elementwise(torch=lambda torch, x: torch.nn.functional.logsigmoid(x))
def log_sigmoid(x: Expression) -> Scalar:
    """log(sigmoid(x)). No overflow."""
    return -smooth_maximum(-x)


@elementwise(
    torch=lambda torch, x, alpha=1.0: torch.nn.functional.threshold(x, alpha, 0.0), examples=({}, {"alpha": 0.0})
)
def thresholded_relu(x: Expression, *, alpha: Number = 1.0) -> Scalar:
    """x where it is above alpha, else 0.

    Source: Konda et al. 2014.
    """
    return where(x > alpha, x, 0)


@elementwise(
    torch=lambda torch, x, limit=0.5, bias=0.0: (
        torch.nn.functional.softshrink(x, limit) if bias else torch.nn.functional.hardshrink(x, limit)
    ),
    examples=({}, {"limit": 0.7, "bias": 0.7}),
)
def shrink(x: Expression, *, limit: Number = 0.5, bias: Number = 0.0) -> Scalar:
    """0 between -limit and limit, both included; x - bias above, x + bias below.

    bias 0 is the hard shrinkage, bias = limit the soft one. (ONNX: lambd is limit.)
    """
    return where(x > limit, x - bias, where(x < -limit, x + bias, 0))


@elementwise(torch=lambda torch, x: torch.tanh(x))
def tanh(x: Expression) -> Scalar:
    """Hyperbolic tangent, between -1 and 1."""
    return hyperbolic_tangent(x)


@elementwise(torch=lambda torch, x: torch.nn.functional.softplus(x))
def softplus(x: Expression, *, beta: Positive = 1.0) -> Scalar:
    """Smooth maximum of x and 0: log(1 + exp(beta x)) / beta. No overflow.

    Source: Dugas et al. 2001.
    """
    return smooth_maximum(beta * x) / beta


@elementwise(torch=lambda torch, x: torch.nn.functional.softsign(x))
def softsign(x: Expression) -> Scalar:
    """x / (1 + |x|).

    Source: Bergstra et al. 2009.
    """
    return x / (1 + abs(x))


@elementwise(torch=lambda torch, x: x)
def linear(x: Expression) -> Scalar:
    """x itself: for writing down that there is no activation."""
    return x
