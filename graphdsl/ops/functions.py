"""The functions of mathematics, element by element, as layers. Where they are not defined they give NaN or infinity."""

from __future__ import annotations

from graphdsl.ir import Number
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import elementwise
from graphdsl.ops.expression import Expression, Scalar


@elementwise("abs", torch=lambda torch, x: x.abs())
def absolute(x: Expression) -> Scalar:
    """|x|. At 0 the gradient is 0."""
    return abs(x)


@elementwise(torch=lambda torch, x: x.exp())
def exp(x: Expression) -> Scalar:
    """e to the power of x."""
    return e.exp(x)


@elementwise(low=0.1, torch=lambda torch, x: x.log())
def log(x: Expression) -> Scalar:
    """The natural logarithm: minus infinity at 0, NaN below."""
    return e.log(x)


@elementwise(torch=lambda torch, x: x.expm1())
def expm1(x: Expression) -> Scalar:
    """exp(x) - 1, exact where x is close to 0."""
    return e.expm1(x)


@elementwise(low=-0.9, torch=lambda torch, x: x.log1p())
def log1p(x: Expression) -> Scalar:
    """log(1 + x), exact where x is close to 0."""
    return e.log1p(x)


@elementwise(low=0.1, torch=lambda torch, x: x.sqrt())
def sqrt(x: Expression) -> Scalar:
    """The square root: NaN below 0, and an infinite gradient at 0."""
    return e.sqrt(x)


@elementwise(torch=lambda torch, x: x.square())
def square(x: Expression) -> Scalar:
    """x²."""
    return x * x


@elementwise(low=0.2, torch=lambda torch, x: x.reciprocal())
def reciprocal(x: Expression) -> Scalar:
    """1 / x."""
    return 1 / x


@elementwise(
    low=0.2,
    torch=lambda torch, x, exponent: x.pow(exponent),
    examples=tuple({"exponent": n} for n in (0.5, 2.0, 3.0, -1.7, 0.0)),
)
def power(x: Expression, *, exponent: Number) -> Scalar:
    """x to the power of a number, the same as `x ** exponent`. Of numbers below 0 only whole powers are defined."""
    return x**exponent if exponent else x * 0 + 1


@elementwise(
    torch=lambda torch, x, low=None, high=None: x.clamp(low, high),
    examples=({"low": -1.0, "high": 2.0}, {"low": 0.5}, {"high": 0.5}),
)
def clip(x: Expression, *, low: Number | None = None, high: Number | None = None) -> Scalar:
    """x, at least low and at most high; none: no bound. Where low is above high the result is high.

    Outside of the bounds and on them the gradient is 0.
    """
    cut: Scalar = x if low is None else e.maximum(x, low)
    return cut if high is None else e.minimum(cut, high)


@elementwise(torch=lambda torch, x: x.sign())
def sign(x: Expression) -> Scalar:
    """1 above 0, -1 below, 0 at 0. Its gradient is 0."""
    return e.sign(x)


@elementwise(torch=lambda torch, x: x.floor())
def floor(x: Expression) -> Scalar:
    """The largest whole number that is at most x. Its gradient is 0."""
    return e.floor(x)


@elementwise(torch=lambda torch, x: x.ceil())
def ceil(x: Expression) -> Scalar:
    """The smallest whole number that is at least x. Its gradient is 0."""
    return -e.floor(-x)


@elementwise("round", torch=lambda torch, x: x.round())
def nearest(x: Expression) -> Scalar:
    """The nearest whole number; in the middle between two the even one. Its gradient is 0."""
    return e.nearest(x)


@elementwise(torch=lambda torch, x: x.erf())
def erf(x: Expression) -> Scalar:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t²) from 0 to x."""
    return e.erf(x)


@elementwise(torch=lambda torch, x: x.sin())
def sin(x: Expression) -> Scalar:
    """The sine of an angle in radians."""
    return e.sin(x)


@elementwise(torch=lambda torch, x: x.cos())
def cos(x: Expression) -> Scalar:
    """The cosine of an angle in radians."""
    return e.cos(x)


@elementwise(low=-1.4, high=1.4, torch=lambda torch, x: x.tan())
def tan(x: Expression) -> Scalar:
    """The tangent of an angle in radians."""
    return e.tan(x)


@elementwise(low=-0.95, high=0.95, torch=lambda torch, x: x.asin())
def asin(x: Expression) -> Scalar:
    """The angle from -pi/2 to pi/2 whose sine is x. Outside of [-1, 1] NaN."""
    return e.asin(x)


@elementwise(low=-0.95, high=0.95, torch=lambda torch, x: x.acos())
def acos(x: Expression) -> Scalar:
    """The angle from 0 to pi whose cosine is x. Outside of [-1, 1] NaN."""
    return e.acos(x)


@elementwise(torch=lambda torch, x: x.atan())
def atan(x: Expression) -> Scalar:
    """The angle from -pi/2 to pi/2 whose tangent is x."""
    return e.atan(x)


@elementwise(torch=lambda torch, x: x.sinh())
def sinh(x: Expression) -> Scalar:
    """The hyperbolic sine, (exp(x) - exp(-x)) / 2."""
    return e.sinh(x)


@elementwise(torch=lambda torch, x: x.cosh())
def cosh(x: Expression) -> Scalar:
    """The hyperbolic cosine, (exp(x) + exp(-x)) / 2."""
    return e.cosh(x)


@elementwise(torch=lambda torch, x: x.asinh())
def asinh(x: Expression) -> Scalar:
    """The number whose hyperbolic sine is x."""
    return e.asinh(x)


@elementwise(low=1.1, high=5.0, torch=lambda torch, x: x.acosh())
def acosh(x: Expression) -> Scalar:
    """The positive number whose hyperbolic cosine is x. Below 1 NaN."""
    return e.acosh(x)


@elementwise(low=-0.95, high=0.95, torch=lambda torch, x: x.atanh())
def atanh(x: Expression) -> Scalar:
    """The number whose hyperbolic tangent is x. Outside of [-1, 1] NaN."""
    return e.atanh(x)
