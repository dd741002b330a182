"""Sizes that may be known only at run time.

A Dim is an int, or a Symbolic: a polynomial with whole coefficients over names and floor divisions, `(T - 4) // 5`.
Polynomials have one normal form, so equal sizes are equal values: a capital that is repeated in a spec means one size.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from graphdsl.report import dataclass


@dataclass(frozen=True)
class FloorDivision:
    """numerator // denominator, where that cannot be written as a polynomial."""

    numerator: Symbolic
    denominator: int

    def __str__(self) -> str:
        return f"({self.numerator}) // {self.denominator}"


Atom = str | FloorDivision
Monomial = tuple[Atom, ...]


@dataclass(frozen=True)
class Symbolic:
    """A sum of coefficient × product of atoms; terms are sorted, none is zero, the empty product is the constant."""

    terms: tuple[tuple[Monomial, int], ...]

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for monomial, coefficient in _terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _normal(total)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __rsub__(self, other: Dim) -> Dim:
        return self * -1 + other

    def __mul__(self, other: Dim) -> Dim:
        total: dict[Monomial, int] = {}
        for a, x in self.terms:
            for b, y in _terms(other):
                product = tuple(sorted(a + b, key=str))
                total[product] = total.get(product, 0) + x * y
        return _normal(total)

    __rmul__ = __mul__

    def __floordiv__(self, divisor: int) -> Dim:
        """Exact parts are taken out: (5T + 7) // 5 is T + 1 + 2 // 5 = T + 1."""
        whole = {m: c // divisor for m, c in self.terms if m == () or c % divisor == 0}
        rest = {m: (c % divisor if m == () else c) for m, c in self.terms if m == () or c % divisor}
        remainder = _normal(rest)
        if isinstance(remainder, int):
            return _normal(whole)
        return _normal(whole) + Symbolic((((FloorDivision(remainder, divisor),), 1),))

    @cached_property
    def names(self) -> frozenset[str]:
        """The free names it depends on."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.numerator.names
        return frozenset(found)

    def __str__(self) -> str:
        text = " + ".join(_term_text(m, c) for m, c in sorted(self.terms, key=lambda t: (t[0] == (), str(t[0]))))
        return text.replace("+ -", "- ")

    def __hash__(self) -> int:
        known = self.__dict__.get("_hash")
        if known is None:
            known = self.__dict__["_hash"] = hash(self.terms)
        return known


Dim = int | Symbolic


def symbol(name: str) -> Symbolic:
    """The size called name."""
    return Symbolic((((name,), 1),))


BATCH = symbol("batch")
"""How many samples there are. A spec cannot write it: names of free dimensions begin with a capital."""


def evaluate(dim: Dim, binding: Mapping[str, Any]) -> Any:
    """The value of dim where every name stands for binding[name]: an int, or a NumPy array of sizes element by element.

    Raises KeyError for a name without a value.
    """
    if isinstance(dim, int):
        return dim
    total: Any = 0
    for monomial, coefficient in dim.terms:
        product: Any = coefficient
        for atom in monomial:
            product = product * _atom(atom, binding)
        total = total + product
    return total


def names_of(dim: Dim) -> frozenset[str]:
    """The free names in dim."""
    return frozenset() if isinstance(dim, int) else dim.names


def _atom(atom: Atom, binding: Mapping[str, Any]) -> Any:
    if isinstance(atom, str):
        return binding[atom]
    return evaluate(atom.numerator, binding) // atom.denominator


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return dim.terms if isinstance(dim, Symbolic) else (((), dim),)


def _normal(terms: dict[Monomial, int]) -> Dim:
    kept = {m: c for m, c in terms.items() if c}
    if not kept.keys() - {()}:
        return kept.get((), 0)
    return Symbolic(tuple(sorted(kept.items(), key=lambda t: str(t[0]))))


def _term_text(monomial: Monomial, coefficient: int) -> str:
    product = " * ".join(str(a) for a in monomial)
    if not monomial:
        return str(coefficient)
    return product if coefficient == 1 else f"-{product}" if coefficient == -1 else f"{coefficient} * {product}"
