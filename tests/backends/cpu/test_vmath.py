"""Vector functions against float64: how many units of the last place they are off, and what they give at the edges."""

from __future__ import annotations

from collections.abc import Callable
from math import erf

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.ops import Elementwise
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.kernels import compute, every_isa

X = Operand(0)
EXACT: dict[str, tuple[Callable[[Array], Array], float]] = {
    "exp": (np.exp, 1.1),
    "expm1": (np.expm1, 2),
    "log": (np.log, 1.1),
    "log1p": (np.log1p, 1.1),
    "tanh": (np.tanh, 2.6),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), 2.6),
    "softplus": (lambda x: np.logaddexp(x, 0.0), 2),
    "erf": (np.vectorize(erf), 2),
    "sin": (np.sin, 2.5),
    "cos": (np.cos, 2.5),
    "tan": (np.tan, 2.5),
    "asin": (np.arcsin, 2.5),
    "acos": (np.arccos, 2.5),
    "atan": (np.arctan, 2.5),
    "sinh": (np.sinh, 2.5),
    "cosh": (np.cosh, 2.5),
    "asinh": (np.arcsinh, 2.5),
    "acosh": (np.arccosh, 2.5),
    "atanh": (np.arctanh, 2.5),
    "sqrt": (np.sqrt, 0.6),
    "sign": (np.sign, 0),
    "floor": (np.floor, 0),
    "nearest": (np.rint, 0),
}
"""Each function in float64 and how many units it may be off."""
EDGES = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 88.7, 88.8, -87.4, -104.1, 1e-45, 1.2e-38, 3.4e38, -3.4e38]


@every_isa
@pytest.mark.parametrize("name", EXACT)
def test_functions_are_exact_to_a_few_units(isa: str, name: str) -> None:
    exact, most = EXACT[name]
    every = np.arange(0, 2**32, 70_001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = np.linspace(-20, 20, 30_001, dtype=np.float32)
    x = np.concatenate([np.array(EDGES, np.float32), near, every])
    with np.errstate(all="ignore"):
        (found,) = compute(isa, Elementwise(e.call(name, X), 1), x)
        wanted = exact(x.astype(np.float64))
        narrow = wanted.astype(np.float32)
        unit = np.maximum(np.spacing(np.abs(narrow)), np.float32(1e-45)).astype(np.float64)
        off = np.abs(found.astype(np.float64) - wanted) / unit
    finite = np.isfinite(narrow) & np.isfinite(found)
    np.testing.assert_array_equal(found[~finite], narrow[~finite])
    assert off[finite].max() <= most, x[finite][off[finite].argmax()]


@every_isa
@pytest.mark.parametrize("exponent", [2.0, 3.0, -1.0, 0.5, 1.7])
def test_powers(isa: str, exponent: float) -> None:
    x = np.abs(np.concatenate([np.array(EDGES, np.float32), np.linspace(0, 9, 999, dtype=np.float32)]))
    with np.errstate(all="ignore"):
        (found,) = compute(isa, Elementwise(X**exponent, 1), x)
        wanted = (x.astype(np.float64) ** exponent).astype(np.float32)
    np.testing.assert_allclose(found, wanted, rtol=3e-7)
