"""Divisors that kernels are given: divider.cuh."""

from __future__ import annotations

from graphdsl.backends.cuda.unit import Arguments, u32


class divider(Arguments):
    _fields_ = (("divisor", u32), ("multiplier", u32), ("shift", u32))


def divider_of(number: int) -> divider:
    """For numbers below 2**31 that are divided by this one."""
    assert 1 <= number < 2**31
    if number == 1:
        return divider(1, 0, 0)
    digits = (number - 1).bit_length()
    return divider(number, -(-(1 << (31 + digits)) // number), digits - 1)
