"""What rides on the results of another kernel: as text, and where no kernel takes it."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args, epilogue_of
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.unit import KERNELS, Arguments, Unit, address, i64
from graphdsl.ir import Array
from graphdsl.ops import Elementwise
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Operand
from tests.support.cuda.kernels import needs_compiler, wave
from tests.support.cuda.simulated import SimulatedDevice

A, B, C, D = (Operand(i) for i in range(4))
Y = (2, 3, 4, 5)
MACHINE = CudaBackend(SimulatedDevice())
pytestmark = needs_compiler


class stores_args(Arguments):
    _fields_ = (("x", address), ("y", address), ("rows", i64), ("columns", i64), ("epilogue", epilogue_args))


STORES = """
struct stores_args {
    const float *x;
    float *y;
    i64 rows, columns;
    epilogue_args epilogue;
};
KERNEL(32) stores(const stores_args a) {
    for (i64 i = threadIdx.x; i < a.rows * a.columns; i += 32)
        a.y[i] = epilogue::of(a.epilogue, a.x[i], i / a.columns, i % a.columns);
}
KERNEL(32) stores_four(const stores_args a) {
    for (i64 i = threadIdx.x; 4 * i < a.rows * a.columns; i += 32)
        ((quad *)a.y)[i] =
            epilogue::of_four(a.epilogue, ((const quad *)a.x)[i], 4 * i / a.columns, 4 * i % a.columns);
}
"""


def placed(array: Array, shift: int = 0) -> DeviceArray:
    memory = MACHINE.alloc(array.nbytes + shift)
    made = DeviceArray(memory, memory.address + shift, array.shape, array.dtype)
    MACHINE.upload(made, array)
    return made


def stored(x: Array, end: Epilogue, y: DeviceArray, monkeypatch: pytest.MonkeyPatch) -> Array:
    """What a kernel that has the values x stores, with this end to it."""
    monkeypatch.setattr("graphdsl.backends.cuda.unit._text", _with_stores)
    held = placed(x)
    arguments = stores_args(held.address, y.address, x.size // x.shape[-1], x.shape[-1], end.arguments)
    found = []
    for kernel in ("stores", "stores_four") if x.shape[-1] % 4 == 0 else ("stores",):
        unit = Unit("stores", kernel, stores_args, end.code)
        MACHINE.device.run([Launch(unit, (1, 1, 1), 32, arguments, keeps=(held,))])
        found.append(MACHINE.download(y))
    np.testing.assert_array_equal(found[0], found[-1])
    return found[-1]


def _with_stores(name: str) -> str:
    return f'#include "epilogue.cuh"\n{STORES}' if name == "stores.cu" else (KERNELS / name).read_text()


@pytest.mark.parametrize(("place", "columns"), [(0, 5), (1, 8)])
@pytest.mark.parametrize(
    "shapes",
    [
        ((0,), (2, 3, 4, 0)),
        ((), (2, 3, 4, 1)),
        ((2, 1, 1, 0), (1, 3, 4, 0)),
        ((2, 1, 1, 1), (1, 3, 4, 1)),
        ((4, 0), (3, 1, 1)),
    ],
)
def test_operands_lie_as_they_like(
    shapes: tuple[tuple[int, ...], ...], place: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 stands for the columns."""
    operands = [wave(*(size or columns for size in shape)) for shape in shapes]
    operands.insert(place, wave(*Y[:-1], columns))
    op = Elementwise(e.maximum(A * 0.3 + B, 0) - C * 0.7, 3)
    y = placed(np.zeros((*Y[:-1], columns), np.float32))
    there = [y if i == place else placed(a) for i, a in enumerate(operands)]
    end = epilogue_of(op, there, y, place)
    assert end is not None
    got = stored(operands[place], end, y, monkeypatch)
    np.testing.assert_allclose(got, op.reference(*operands), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("columns", [5, 8])
def test_truth_whole_numbers_and_no_formula(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x = wave(6, columns)
    keep, n, y = x > 0.3, np.arange(columns, dtype=np.int32), placed(np.zeros_like(x))
    op = Elementwise(e.where(B, A * C, 0), 3)
    for shift in (4, 16):
        end = epilogue_of(op, [y, placed(keep, shift), placed(n, shift)], y, 0)
        assert end is not None
        np.testing.assert_allclose(stored(x, end, y, monkeypatch), op.reference(x, keep, n), rtol=1e-6)
    np.testing.assert_array_equal(stored(x, PLAIN, y, monkeypatch), x)


def test_what_no_kernel_takes() -> None:
    y = placed(np.zeros(Y, np.float32))
    assert epilogue_of(Elementwise(A + B, 2), [y, placed(wave(2, 1, 4, 1))], y, 0) is None
    assert epilogue_of(Elementwise(A + B, 2), [y, placed(wave(5).astype(np.float64))], y, 0) is None
    assert epilogue_of(Elementwise(A > B, 2), [y, y], placed(np.zeros(Y, bool)), 0) is None
    many = [Operand(i) for i in range(8)]
    assert epilogue_of(Elementwise(sum(many[1:], many[0]), 8), [placed(wave(5)) for _ in many], y, 0) is None
