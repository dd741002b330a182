"""Sizes as programs for a stack: how a kernel works out a size from a length that is known only when it runs."""

from __future__ import annotations

from graphdsl.ir import Dim

PUSH, LENGTH, ADD, MULTIPLY, DIVIDE = range(5)
MOST_CODE = 64
"""The stacks of kernels are as deep as this; no more than every instruction can push."""


def postfix(dim: Dim) -> list[tuple[int, int]]:
    """What a machine does to work out a size from the one length it depends on: pairs of what to do and a number."""
    if isinstance(dim, int):
        return [(PUSH, dim)]
    code = [(PUSH, 0)]
    for monomial, coefficient in dim.terms:
        code.append((PUSH, coefficient))
        for atom in monomial:
            code += [(LENGTH, 0)] if isinstance(atom, str) else [*postfix(atom.numerator), (DIVIDE, atom.denominator)]
            code.append((MULTIPLY, 0))
        code.append((ADD, 0))
    return code
