"""Formulas block by block give what the operator says, whatever the shapes, the types and the memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphdsl.backends.reference import elementwise
from graphdsl.backends.reference.elementwise import blocked, coalesced
from graphdsl.ir import Array
from graphdsl.ops import FORMULAS, Elementwise
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand

SHAPES = [
    [(4, 5, 6), (4, 5, 6)],
    [(4, 5, 6), (6,)],
    [(4, 5, 6), ()],
    [(4, 1, 6), (5, 1)],
    [(4, 5, 1), (4, 1, 6)],
    [(1, 1), (1,)],
    [(), ()],
    [(0, 3), (3,)],
    [(7, 1, 1), (1, 3, 1)],
]


def arrays(shapes: list[tuple[int, ...]], dtype: str = "float32") -> list[Array]:
    generator = np.random.default_rng(0)
    return [(generator.normal(size=s) * 3).astype(dtype) for s in shapes]


def check(op: Elementwise, given: list[Array]) -> None:
    expected = op.reference(*given)
    found = np.full(expected.shape, 99, expected.dtype)
    run = blocked(op, given, found)
    for _ in range(2):
        run()
        assert np.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("block", [1, 7, 16_384])
def test_shapes(shapes: list[tuple[int, ...]], block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elementwise, "BLOCK", block)
    tree = e.exp(-abs(Operand(0))) * Operand(1) + e.where(Operand(0) > Operand(1), Operand(0), 2.0)
    check(Elementwise(tree, 2), arrays(shapes))


@pytest.mark.parametrize("name", [name for name, function in e.FUNCTIONS.items() if not function.truth])
def test_a_function_of_numbers_is_a_number(name: str) -> None:
    numbers = [0.0] * len(e.FUNCTIONS[name].derivatives)
    assert isinstance(e.call(name, *numbers), e.Literal)


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_formula(name: str, dtype: str) -> None:
    for sample in FORMULAS[name].samples():
        assert isinstance(sample.operator, Elementwise)
        check(sample.operator, [a.astype(dtype) for a in sample.arrays])


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: x / y,
        lambda x, y: e.floor(x * 0.5) + y,
        lambda x, y: e.where(x > y, x, y),
        lambda x, y: x > y,
        lambda x, y: e.both(x > 0, y > 0),
    ],
)
@pytest.mark.parametrize(
    "dtypes", [("int32", "int32"), ("int64", "float32"), ("bool", "float32"), ("float32", "float64")]
)
def test_types(make: Callable[..., e.Expression], dtypes: tuple[str, str]) -> None:
    given = [a.astype(t) for a, t in zip(arrays([(3, 4), (3, 4)]), dtypes, strict=True)]
    given[1][given[1] == 0] = 1
    check(Elementwise(make(Operand(0), Operand(1)), 2), given)


@pytest.mark.parametrize("tree", [Operand(0), e.Literal(3.0), e.where(Operand(0) > 0, Operand(0), -Operand(0))])
def test_over_its_own_operand(tree: e.Expression) -> None:
    (x,) = arrays([(5, 6)])
    op = Elementwise(tree, 1)
    expected = op.reference(x)
    blocked(op, [x], x)()
    assert np.array_equal(x, expected)


def test_axes_that_go_together_are_one() -> None:
    (x, b), y = coalesced([np.zeros((32, 28, 28, 8)), np.zeros(8)], np.zeros((32, 28, 28, 8)))
    assert (x.shape, b.shape, y.shape) == ((25088, 8), (1, 8), (25088, 8))


def test_registers_are_shared_by_all_blocks() -> None:
    taken: list[tuple[int, ...]] = []

    class Counting(elementwise._Registers):
        def take(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
            free = len(self.free.get((shape, dtype), []))
            taken.extend([shape] * (not free))
            return elementwise._Registers.take(self, shape, dtype)

    x = np.zeros(1000)
    registers = Counting()
    op = Elementwise(e.exp(e.sqrt(e.exp(Operand(0)))), 1)
    for start in range(0, 1000, 100):
        elementwise._compile(op, [x[start : start + 100]], x[start : start + 100], registers)
    assert len(taken) <= 2
