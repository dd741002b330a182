"""What every backend must do with memory, and the one that does nothing."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import BACKENDS, NullBackend, backend
from graphdsl.ir import DType
from graphdsl.report import Failed


def test_an_array_comes_back_as_it_was(backend_name: str) -> None:
    machine = backend(backend_name)
    memory = machine.alloc(256)
    view = machine.view(memory, 64, (3, 4), DType.FLOAT32)
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    machine.upload(view, array)
    found = machine.download(view)
    array[0, 0] = 99
    assert found[0, 0] == 0
    assert found.tolist()[1:] == array.tolist()[1:]


def test_views_share_memory(backend_name: str) -> None:
    machine = backend(backend_name)
    memory = machine.alloc(64)
    machine.upload(machine.view(memory, 0, (4, 4), DType.FLOAT32), np.ones((4, 4)))
    assert machine.download(machine.view(memory, 32, (8,), DType.FLOAT32)).tolist() == [1.0] * 8


def test_uploading_casts(backend_name: str) -> None:
    machine = backend(backend_name)
    view = machine.view(machine.alloc(64), 0, (2,), DType.INT32)
    machine.upload(view, np.array([1, 2], np.int64))
    assert machine.download(view).dtype == np.int32


def test_new_memory_is_zero_and_aligned() -> None:
    machine = backend("reference")
    memory = machine.alloc(1000)
    assert isinstance(memory, np.ndarray)
    assert not memory.any()
    assert memory.ctypes.data % 64 == 0
    assert machine.view(machine.alloc(0), 0, (0, 3), DType.FLOAT32).shape == (0, 3)


@pytest.mark.parametrize("name", sorted(BACKENDS.keys() - {"cuda"}))
def test_a_backend_is_made_once(name: str) -> None:
    assert backend(name) is backend(name)
    assert backend(name).name == name


@pytest.mark.triggers("E0803")
def test_a_backend_that_does_not_exist() -> None:
    with pytest.raises(Failed, match=r"E0803.*`abacus`.*`reference`"):
        backend("abacus")


def test_null_computes_nothing() -> None:
    machine = NullBackend()
    view = machine.view(machine.alloc(8), 0, (2,), DType.FLOAT32)
    machine.upload(view, np.ones(2))
    assert machine.download(view).tolist() == [0, 0]
    assert machine.allocated == [8]
