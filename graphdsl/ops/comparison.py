"""Comparisons, logic, and choosing by them. Truth is a float: 1 where it holds, 0 elsewhere; anything but 0 is true.

So what is compared can be added, averaged and multiplied like every other tensor. Nothing here has a gradient, but for
what `where` chooses.
"""

from __future__ import annotations

from graphdsl.ir import Number
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import elementwise
from graphdsl.ops.expression import Expression, Scalar


def _truth(condition: Scalar) -> Expression:
    return e.where(condition, 1, 0)


def _if(x: Scalar, yes: Scalar, no: Scalar) -> Expression:
    return e.where(e.equal(x, 0), no, yes)


@elementwise(torch=lambda torch, x, y: (x > y).to(x.dtype))
def greater(x: Expression, y: Expression) -> Scalar:
    """1 where x is above y, else 0: `[x, y] -> greater`. With a NaN 0."""
    return _truth(x > y)


@elementwise(torch=lambda torch, x, y: (x >= y).to(x.dtype))
def greater_equal(x: Expression, y: Expression) -> Scalar:
    """1 where x is at least y, else 0: `[x, y] -> greater_equal`. With a NaN 0."""
    return _truth(x >= y)


@elementwise(torch=lambda torch, x, y: (x < y).to(x.dtype))
def less(x: Expression, y: Expression) -> Scalar:
    """1 where x is below y, else 0: `[x, y] -> less`. With a NaN 0."""
    return _truth(x < y)


@elementwise(torch=lambda torch, x, y: (x <= y).to(x.dtype))
def less_equal(x: Expression, y: Expression) -> Scalar:
    """1 where x is at most y, else 0: `[x, y] -> less_equal`. With a NaN 0."""
    return _truth(x <= y)


@elementwise(torch=lambda torch, x, y: (x == y).to(x.dtype))
def equal(x: Expression, y: Expression) -> Scalar:
    """1 where x equals y, else 0: `[x, y] -> equal`. A NaN equals nothing."""
    return _truth(e.equal(x, y))


@elementwise(torch=lambda torch, x, limit=0.0: (x > limit).to(x.dtype), examples=({}, {"limit": -1.0}))
def threshold(x: Expression, *, limit: Number = 0.0) -> Scalar:
    """1 where x is above limit, else 0. (Caffe's Threshold.)"""
    return _truth(x > limit)


@elementwise(torch=lambda torch, x, y: torch.logical_and(x, y).to(x.dtype))
def logical_and(x: Expression, y: Expression) -> Scalar:
    """1 where both x and y are true, that is, not 0: `[x, y] -> logical_and`."""
    return _if(x, _if(y, 1, 0), 0)


@elementwise(torch=lambda torch, x, y: torch.logical_or(x, y).to(x.dtype))
def logical_or(x: Expression, y: Expression) -> Scalar:
    """1 where x or y is true, that is, not 0: `[x, y] -> logical_or`."""
    return _if(x, 1, _if(y, 1, 0))


@elementwise(torch=lambda torch, x, y: torch.logical_xor(x, y).to(x.dtype))
def logical_xor(x: Expression, y: Expression) -> Scalar:
    """1 where just one of x and y is true, that is, not 0: `[x, y] -> logical_xor`."""
    return _if(x, _if(y, 0, 1), _if(y, 1, 0))


@elementwise(torch=lambda torch, x: torch.logical_not(x).to(x.dtype))
def logical_not(x: Expression) -> Scalar:
    """1 where x is 0, else 0."""
    return _if(x, 0, 1)


@elementwise("where", torch=lambda torch, condition, x, y: torch.where(condition != 0, x, y))
def choice(condition: Expression, x: Expression, y: Expression) -> Scalar:
    """x where the condition is true, that is, not 0, else y: `[condition, x, y] -> where`.

    What is not chosen does not matter at all, not even NaN, and gets the gradient 0.
    """
    return _if(condition, x, y)
