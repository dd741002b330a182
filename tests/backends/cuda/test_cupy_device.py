"""The device by CuPy, on a machine that runs everything as late and in as wild an order as CUDA allows.

The recorder's proof is here: what is called while a program is recorded is legal then, and every step finds what it
waits for, whatever the order in which the GPU takes the branches.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence

import numpy as np
import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.cupy_device import CupyDevice, streams
from graphdsl.backends.cuda.device import DeviceMemory
from graphdsl.backends.cuda.launch import Launch, Step
from graphdsl.backends.cuda.probe import probe_args
from graphdsl.backends.cuda.staging import PLACES, SMALL
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.ir import Call, DType
from graphdsl.ops import Softmax
from tests.support.cuda.fake_driver import FakeDriver
from tests.support.cuda.simulated import compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the simulated device")
SEEDS = range(6)
ALLOWED = {"launchKernel", "eventRecord", "streamWaitEvent"}
"""What may be called while a program is recorded."""

MIX = """
struct mix_args { const u32 *a, *b; u32 *y; i32 by; };
KERNEL(32) mix(const mix_args a) {
    if (threadIdx.x == 0) *a.y = (*a.a * 31 + *a.b) * 17 + a.by;
}
"""


class mix_args(Arguments):
    _fields_ = (("a", address), ("b", address), ("y", address), ("by", i32))


UNIT = Unit("probe", "mix", mix_args, code=MIX)
SHARING = Unit("probe", "probe", probe_args)


def numbers(device: CupyDevice, memory: DeviceMemory, count: int, dtype: str = "uint32") -> np.ndarray:
    got = np.empty(count, dtype)
    device.read(memory.address, got)
    return got


def mixing(memory: DeviceMemory, a: int, b: int, y: int, by: int) -> Launch:
    at = memory.address
    return Launch(UNIT, (1, 1, 1), 32, mix_args(at + 4 * a, at + 4 * b, at + 4 * y, by), keeps=(memory,))


def random_program(rng: random.Random, memory: DeviceMemory, cells: int) -> tuple[list[Step], list[tuple[int, ...]]]:
    """Steps that read and write a few cells of memory, with the waits that follow from it."""
    moves, steps = [], []
    for number in range(24):
        a, b, y = (rng.randrange(cells) for _ in range(3))
        clash = [n for n, (c, d, z, _) in enumerate(moves) if z in (a, b, y) or y in (c, d)]
        moves.append((a, b, y, number))
        steps.append(Step((mixing(memory, *moves[-1]),), tuple(clash)))
    return steps, moves


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("most", [1, 2, 8])
def test_recordings_keep_every_order_that_matters(seed: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHDSL_STREAMS", str(most))
    driver = FakeDriver(seed)
    device = CupyDevice(driver.api)
    memory, cells = device.alloc(4 * 12), np.arange(1, 13, dtype=np.uint32)
    device.write(memory.address, cells)
    steps, moves = random_program(random.Random(seed), memory, len(cells))
    run = device.record(steps)
    for _ in range(2):
        run()
        for a, b, y, by in moves:
            cells[y] = (int(cells[a]) * 31 + int(cells[b])) * 17 + by & 0xFFFFFFFF
    np.testing.assert_array_equal(numbers(device, memory, len(cells)), cells)


def test_a_missing_wait_shows() -> None:
    """That the machine of the tests is wild enough: without its waits a program goes wrong."""
    wrong = 0
    for seed in SEEDS:
        device = CupyDevice(FakeDriver(seed).api)
        memory = device.alloc(4 * 8)
        device.write(memory.address, np.arange(8, dtype=np.uint32))
        steps, _ = random_program(random.Random(seed), memory, 8)
        orders = []
        for some in (steps, [Step(step.launches, ()) for step in steps]):
            device.write(memory.address, np.arange(8, dtype=np.uint32))
            device.record(some)()
            orders.append(numbers(device, memory, 8))
        wrong += not np.array_equal(*orders)
    assert wrong >= len(SEEDS) - 1


def test_only_legal_calls_while_a_program_is_recorded() -> None:
    driver = FakeDriver(3)
    device = CupyDevice(driver.api)
    memory = device.alloc(64)
    steps, _ = random_program(random.Random(3), memory, 12)
    device.record(steps)
    (recording,) = driver.captures
    assert set(recording) == ALLOWED
    assert [x.arguments.by for x in driver.recorded] == [x.arguments.by for step in steps for x in step.launches]


def test_the_machine_of_the_tests_refuses_what_cuda_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = FakeDriver()
    device = CupyDevice(driver.api)
    memory = device.alloc(64)
    begin = CupyDevice._begin
    for wrong in (
        lambda: device.alloc(4),
        lambda: device.write(memory.address, np.zeros(1, np.uint32)),
        lambda: device.read(memory.address, np.zeros(1, np.uint32)),
        lambda: device.compile([SHARING]),
    ):
        monkeypatch.setattr(CupyDevice, "_begin", lambda self, *given, wrong=wrong: (wrong(), begin(self, *given)))
        with pytest.raises(RuntimeError, match="while a stream is captured"):
            device.record([Step((mixing(memory, 0, 1, 2, 3),), ())])
    monkeypatch.setattr(CupyDevice, "_begin", begin)
    device.record([Step((mixing(memory, 0, 1, 2, 3),), ())])()


def test_a_stream_that_does_not_come_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphdsl.backends.cuda import cupy_device

    made = cupy_device.schedule
    monkeypatch.setattr(cupy_device, "schedule", lambda *given: _without_joins(made(*given)))
    device = CupyDevice(FakeDriver().api)
    memory = device.alloc(64)
    with pytest.raises(RuntimeError, match="Unjoined"):
        device.record([Step((mixing(memory, 0, 0, i, i),), ()) for i in range(2)])


def _without_joins(made):
    from dataclasses import replace

    return replace(made, joins=())


def test_a_program_of_nothing() -> None:
    device = CupyDevice(FakeDriver().api)
    device.record([])()
    device.synchronize()


# --- copies ----------------------------------------------------------------------------------------------------------

SIZES = (1, SMALL // 4, SMALL // 4 + 1, (1 << 18) + 5)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", SIZES)
def test_arrays_arrive_in_order_though_the_host_goes_on(seed: int, size: int) -> None:
    """Each step reads what was written for it, although arrays change right after they were written."""
    device = CupyDevice(FakeDriver(seed).api)
    given, sums = device.alloc(4 * size), device.alloc(8)
    run = device.record(
        [Step((Launch(UNIT, (1, 1, 1), 32, mix_args(given.address, sums.address, sums.address, 1)),), ())]
    )
    array, expected = np.empty(size, np.uint32), 0
    for number in range(3 * max(PLACES.values())):
        array[:] = number * 1000003
        device.write(given.address, array)
        array[:] = 99
        run()
        expected = (number * 1000003 * 31 + expected) * 17 + 1 & 0xFFFFFFFF
    assert numbers(device, sums, 1)[0] == expected


def test_arrays_longer_than_a_place_go_in_pieces() -> None:
    device = CupyDevice(FakeDriver(1).api)
    size = 2 * max(PLACES) + 12
    memory = device.alloc(size)
    array = np.random.default_rng(0).integers(0, 255, size, np.uint8)
    device.write(memory.address, array)
    np.testing.assert_array_equal(numbers(device, memory, size, "uint8"), array)


def test_empty_arrays_are_nothing() -> None:
    device = CupyDevice(FakeDriver().api)
    memory = device.alloc(0)
    device.write(memory.address, np.empty(0, np.float32))
    device.read(memory.address, np.empty(0, np.float32))


def test_reading_copies_back_all_that_was_begun() -> None:
    device = CupyDevice(FakeDriver(2).api)
    memory = device.alloc(128)
    assert not numbers(device, memory, 32).any()
    device.run([Launch(SHARING, (1, 1, 1), 32, probe_args(memory.address, 5))])
    np.testing.assert_array_equal(numbers(device, memory, 32), np.arange(5, 37))


# --- resources -------------------------------------------------------------------------------------------------------


def test_memory_goes_back_and_recordings_keep_theirs() -> None:
    driver = FakeDriver()
    device = CupyDevice(driver.api)
    before = device.spare()
    memory = device.alloc(1 << 20)
    assert device.spare() <= before - (1 << 20)
    run = device.record([Step((mixing(memory, 0, 1, 2, 3),), ())])
    del memory
    gc.collect()
    assert device.spare() < before
    run()
    del run
    gc.collect()
    assert device.spare() == before


def test_no_memory() -> None:
    device = CupyDevice(FakeDriver(memory=1 << 20).api)
    with pytest.raises(MemoryError, match="out of memory"):
        device.alloc(1 << 21)
    assert device.alloc(1 << 10).address


def test_more_shared_memory_than_usual_is_asked_for() -> None:
    driver = FakeDriver()
    device = CupyDevice(driver.api)
    memory = device.alloc(128)
    for shared in (1 << 10, 100 << 10, 64 << 10, 200 << 10):
        device.run([Launch(SHARING, (1, 1, 1), 32, probe_args(memory.address, 5), shared)])
    assert driver.calls.count("funcSetAttribute") == 2
    device.synchronize()


def test_kernels_are_loaded_once() -> None:
    driver = FakeDriver()
    device = CupyDevice(driver.api)
    memory = device.alloc(128)
    for _ in range(2):
        device.compile({UNIT, SHARING})
        device.run([mixing(memory, 0, 1, 2, 3)])
    assert driver.calls.count("moduleLoadData") == 2


def test_what_it_says_of_itself() -> None:
    driver = FakeDriver()
    facts = CupyDevice(driver.api).facts()
    assert facts == facts | {
        "name": "Fake GPU",
        "architecture": "sm_90a",
        "compute capability": "9.0",
        "driver": "13.0",
    }


@pytest.mark.parametrize(("given", "count"), [("", 8), ("3", 3), ("0", 8), ("many", 8)])
def test_the_number_of_streams(given: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHDSL_STREAMS", given)
    assert streams() == count


def test_a_backend_on_it() -> None:
    backend = CudaBackend(CupyDevice(FakeDriver(4).api))
    memory = backend.alloc(4096)
    views: Sequence = [backend.view(memory, 1024 * i, (5, 7), DType("float32")) for i in range(3)]
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    backend.upload(views[0], x)
    calls = [Call("", Softmax(), (i,), (i + 1,)) for i in range(2)]
    kernels = [backend.kernel(call, [views[i]], [views[i + 1]]) for i, call in enumerate(calls)]
    backend.sequence(kernels)()
    once = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
    np.testing.assert_allclose(
        backend.download(views[2]), np.exp(once) / np.exp(once).sum(-1, keepdims=True), rtol=1e-6
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_several_arrays_come_back_at_once(seed: int) -> None:
    """More than there are places for, of every size, empty ones among them; the GPU is waited for once."""
    driver = FakeDriver(seed)
    device = CupyDevice(driver.api)
    sizes = [1, 0, SMALL, SMALL + 1, 7] * 5
    memories = [device.alloc(size) for size in sizes]
    given = [np.random.default_rng(i).integers(0, 255, size, np.uint8) for i, size in enumerate(sizes)]
    for memory, array in zip(memories, given, strict=True):
        device.write(memory.address, array)
    for _ in range(2):
        got = [np.empty(size, np.uint8) for size in sizes]
        driver.calls.clear()
        device.read_all([(memory.address, array) for memory, array in zip(memories, got, strict=True)])
        assert driver.calls.count("streamSynchronize") == 1
        np.testing.assert_equal(got, given)
