"""Formulas in C: made loops and the interpreter, on every instruction set, however operands are stretched."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends.cpu import generate
from graphdsl.backends.cpu.elementwise import elementwise_task
from graphdsl.backends.cpu.formula import epilogue
from graphdsl.backends.cpu.library import load
from graphdsl.backends.formula_text import RESULTS, SUMS, Parameter, canonical, read
from graphdsl.ir import Array, Call
from graphdsl.ops import Elementwise, Formulas
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from tests.support.kernels import check, compute, every_isa, machine

A, B, C, D = (Operand(i) for i in range(4))
NUMBERS = [n for n, f in e.FUNCTIONS.items() if not f.truth and n not in ("where", "power")]
TRUTHS = [n for n, f in e.FUNCTIONS.items() if f.truth and n != "both"]
SIZES = [1, 2, 3, 5, 8, 16, 17, 33, 70]


def number(rng: np.random.Generator, depth: int, arity: int) -> Expression:
    """A random formula whose value is a number of moderate size."""
    if depth == 0 or rng.random() < 0.15:
        return Operand(int(rng.integers(arity))) if rng.random() < 0.8 else Literal(float(rng.choice([2, 0.5, -0.7])))
    if rng.random() < 0.2:
        return Apply("where", (truth(rng, depth - 1, arity), number(rng, depth - 1, arity), number(rng, 0, arity)))
    function = str(rng.choice(NUMBERS))
    arguments = [number(rng, depth - 1, arity) for _ in e.FUNCTIONS[function].derivatives]
    if function in ("exp", "expm1"):
        arguments = [Apply("minimum", (arguments[0], Literal(3.0)))]
    return Apply(function, tuple(arguments))


def truth(rng: np.random.Generator, depth: int, arity: int) -> Expression:
    if depth and rng.random() < 0.3:
        return Apply("both", (truth(rng, depth - 1, arity), truth(rng, depth - 1, arity)))
    return Apply(str(rng.choice(TRUTHS)), (number(rng, 0, arity), number(rng, 0, arity)))


def operands(rng: np.random.Generator, arity: int) -> list[Array]:
    """Floats that broadcast to a common shape; some hold what is no number."""
    shape = [int(rng.choice(SIZES)) for _ in range(int(rng.integers(0, 4)))]
    found = []
    for _ in range(arity):
        own = [1 if rng.random() < 0.3 else s for s in shape][int(rng.integers(0, 2)) * len(shape) // 2 :]
        array = np.array(rng.normal(size=own) * rng.choice([0.5, 3]), np.float32)
        if rng.random() < 0.2:
            array.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
        found.append(array)
    return found


def agree(found: Array, op: Elementwise, arrays: list[Array]) -> None:
    """As close to float64 as float32 can be asked to be: rounding of what is in between may be amplified."""
    with np.errstate(all="ignore"):
        wide = op.reference(*(a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays))
        narrow = op.reference(*arrays)
    if found.dtype == np.bool_:
        np.testing.assert_array_equal(found, narrow, err_msg=str(op.tree))
        return
    with np.errstate(all="ignore"):
        off = np.abs(found.astype(np.float64) - wide)
        fine = off <= 1e-5 + 1e-4 * np.abs(wide) + 20 * np.abs(narrow.astype(np.float64) - wide)
    fine |= ~np.isfinite(narrow) & ~np.isfinite(found)
    assert fine.all(), (str(op.tree), [a.shape for a in arrays], found[~fine][:4], wide[~fine][:4])


@every_isa
@pytest.mark.parametrize("seed", range(80))
def test_random_formulas(isa: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arity = int(rng.integers(1, 5))
    tree = truth(rng, 2, arity) if seed % 5 == 0 else number(rng, int(rng.integers(1, 5)), arity)
    arrays, op = operands(rng, arity), Elementwise(tree, arity)
    agree(compute(isa, op, *arrays)[0], op, arrays)


def loops() -> list[str]:
    return [t for t in generate.FORMULAS.read_text().splitlines() if SUMS not in t]


def operator(tree: Expression, arity: int) -> Elementwise | Formulas:
    if isinstance(tree, Apply) and tree.function == RESULTS:
        return Formulas(tree.arguments, arity)
    return Elementwise(tree, arity)


@every_isa
@pytest.mark.parametrize("text", loops())
def test_made_loops(isa: str, text: str) -> None:
    tree, letters = read(text)
    given = [Literal(v) for v in (0.9, 0.1, 0.25, 0.75, 0.3, 0.6)]
    new: dict[Expression, Expression] = {}
    for part in e.parts(tree):
        new[part] = given[part.index] if isinstance(part, Parameter) else part
        if isinstance(part, Apply):
            new[part] = Apply(part.function, tuple(new[a] for a in part.arguments))
    op = operator(new[tree], len(letters) - 1)
    rng = np.random.default_rng(len(text))
    for shape in ((3, 5, 40), (2, 300), (37, 16), (70, 10), (7,)):
        arrays = []
        for place, letter in enumerate(letters[:-1]):
            own = () if letter in "sjt" else shape[-1:] if place and rng.random() < 0.3 else shape
            array = np.array(np.abs(rng.normal(size=own)) + 0.1, np.float32)
            kinds = {"b": np.bool_, "t": np.bool_, "i": np.int32, "j": np.int32}
            arrays.append(np.round(array).astype(kinds[letter]) if letter in kinds else array)
        assert load(isa).loop(canonical(new[tree], letters).name), "the text names its own loop"
        trees = op.trees if isinstance(op, Formulas) else (op.tree,)
        for found, each in zip(compute(isa, op, *arrays), trees, strict=True):
            agree(found, Elementwise(each, op.arity), arrays)


@every_isa
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (300, 17), (4096,)])
def test_in_place(isa: str, shape: tuple[int, ...]) -> None:
    backend, rng = machine(isa), np.random.default_rng(0)
    for tree in (e.maximum(A + B, 0), e.where(e.tanh(A) > B, B * A + e.sin(A), A - 0.3 * B)):
        x, y = (np.array(rng.normal(size=shape), np.float32) for _ in range(2))
        op = Elementwise(tree, 2)
        wanted = op.reference(x, y)
        backend.sequence([backend.kernel(Call("f", op, (0, 1), (0,)), [x, y], [x])])()
        np.testing.assert_allclose(x, wanted, rtol=1e-5, atol=1e-6)


@every_isa
@pytest.mark.parametrize("seed", range(30))
def test_several_results(isa: str, seed: int) -> None:
    """Also where results lie where operands lay, in another order."""
    rng = np.random.default_rng(seed)
    shape, arity = (int(rng.choice(SIZES)), int(rng.choice(SIZES)), 24)[int(rng.integers(2)) :], 3
    trees = tuple(number(rng, int(rng.integers(0, 4)), arity) for _ in range(arity))
    op = Formulas(trees, arity)
    arrays = [np.array(rng.normal(size=shape), np.float32) for _ in range(arity)]
    backend = machine(isa)
    for places in ((0, 1, 2), (2, 0, 1), ()):
        given = [a.copy() for a in arrays]
        ends = [given[p] for p in places] or [np.empty(shape, np.float32) for _ in trees]
        backend.sequence([backend.kernel(Call("f", op, (), ()), given, ends)])()
        for tree, end in zip(trees, ends, strict=True):
            agree(end, Elementwise(tree, arity), arrays)


@every_isa
def test_whole_numbers_and_truth(isa: str) -> None:
    labels = np.arange(33, dtype=np.int32) % 7
    x = np.linspace(-1, 8, 33 * 5, dtype=np.float32).reshape(33, 5)
    check(isa, Elementwise(e.where(e.equal(e.floor(A), B), 1.0, C), 3), x, labels[:, None], x[:1])
    check(isa, Elementwise(A > B, 2), x, x[:, :1])
    check(isa, Elementwise(e.where(A, B, -B), 2), x > 2, x)
    check(isa, Elementwise(e.where(A, B, 0.0), 2), np.array(True), x)
    check(isa, Elementwise(A, 1), x[:, :1] > 2)


@every_isa
@pytest.mark.parametrize("other", [(4, 6, 24), (24,), (4, 1, 24), (1, 6, 24), (4, 6, 1), ()])
def test_rows_of_a_kernel(isa: str, other: tuple[int, ...]) -> None:
    """formula_block: pieces of rows and columns, in place and from a tile."""
    rng, library = np.random.default_rng(1), load(isa)
    y, x = (np.array(rng.normal(size=s), np.float32) for s in ((4, 6, 24), other))
    op = Elementwise(e.maximum(A * B, -0.1) + B, 2)
    wanted = op.reference(x, y)
    for tiled in (False, True):
        result = y.copy()
        task = epilogue(library, op, [x, result], result, 1)
        assert task is not None
        block = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 4, ctypes.c_void_p, ctypes.c_int64)(
            ("formula_block", library.c)
        )
        flat = y.reshape(24, 24)
        for row, rows in ((0, 5), (5, 1), (6, 11), (17, 7)):
            for column, columns in ((0, 16), (16, 8)):
                tile = np.ascontiguousarray(flat[row : row + rows, column : column + columns])
                place = tile.ctypes.data if tiled else 0
                block(ctypes.addressof(task), row, rows, column, columns, place, columns * 4)
        np.testing.assert_allclose(result, wanted, rtol=1e-6, atol=1e-6)


def test_loops_are_those_of_the_list() -> None:
    """kernels/formulas_*.c are what generate.py makes of formulas.txt."""
    made = generate.files(generate.FORMULAS.read_text().splitlines())
    there = {path.name: path.read_text() for path in Path(generate.KERNELS).glob("formulas_*.c")}
    assert there == made, "run python -m graphdsl.backends.cpu.generate"


def test_the_struct_is_a_task() -> None:
    assert ctypes.sizeof(elementwise_task) == 8 * len(elementwise_task._fields_)
