"""The simulated GPU itself: each word of the machine does what a GPU does, and mistakes end a kernel with a message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.ir import Array
from tests.support.cuda import simulated
from tests.support.cuda.kernels import every_schedule, needs_compiler, wave
from tests.support.cuda.simulated import KernelFailed, SimulatedDevice

pytestmark = needs_compiler

STEM = str(Path(simulated.HERE) / "tried")
NANS = 0xFFFFFFFF
LANES = np.arange(32)


class tried_args(Arguments):
    _fields_ = (("x", address), ("y", address), ("n", i32))


def ran(
    kernel: str,
    x: Array,
    y: Array,
    *,
    n: int = 0,
    threads: int = 32,
    grid: tuple[int, int, int] = (1, 1, 1),
    shared: int = 0,
    seed: int = 0,
) -> Array:
    """y as a kernel of tried.cu leaves it."""
    device = SimulatedDevice(seed=seed)
    given, made = device.alloc(x.nbytes), device.alloc(y.nbytes)
    device.write(given.address, x)
    device.write(made.address, y)
    arguments = tried_args(given.address, made.address, n)
    device.run([Launch(Unit(STEM, kernel, tried_args), grid, threads, arguments, shared)])
    result = np.empty_like(y)
    device.read(made.address, result)
    return result


def words(*shape: int) -> Array:
    """Numbers that are all different."""
    return (np.arange(np.prod(shape)) * 2654435761 % (1 << 32)).astype(np.uint32).reshape(shape)


@every_schedule
def test_threads_and_blocks_know_where_they_are(seed: int) -> None:
    found = ran("indices", words(1), np.zeros((4, 3, 2, 64, 11), np.int32), threads=64, grid=(2, 3, 4), seed=seed)
    z, y, x, t = np.indices((4, 3, 2, 64))
    assert (found[..., [0, 2, 3, 4]] == np.stack((t, x, y, z), -1)).all()
    assert (found[..., [1, 5, 6, 7, 8, 9]] == (0, 64, 1, 2, 3, 4)).all()
    assert (found[..., 10] == (z * 3 + y) * 2 + x).all()


@every_schedule
def test_a_barrier_waits_for_all(seed: int) -> None:
    x = wave(128)
    np.testing.assert_array_equal(ran("shifted_by_one<3>", x, x, n=9, threads=128, seed=seed), np.roll(x, -9))


@pytest.mark.parametrize("barriers", [0, 1, 2])
def test_a_barrier_that_is_missing_shows(barriers: int) -> None:
    x = wave(128)
    found = ran(f"shifted_by_one<{barriers}>", x, x, n=9, threads=128, seed=7)
    assert not np.array_equal(found, np.roll(x, -9))


def test_another_seed_is_another_schedule() -> None:
    x = wave(128)
    found = [ran("shifted_by_one<0>", x, x, n=1, threads=128, seed=seed).tobytes() for seed in (0, 1, 2, 1)]
    assert len(set(found)) == 3 and found[1] == found[3]


@every_schedule
@pytest.mark.parametrize("left", [128, 70, 1])
def test_votes_of_those_that_have_not_ended(left: int, seed: int) -> None:
    x = (np.arange(128) % 3 == 1).astype(np.int32)
    count, one = ran("votes_of_block", x, np.full((2, 128), 5, np.int32), n=left, threads=128, seed=seed)
    assert (count[:left] == x[:left].sum()).all() and (one[:left] == x[:left].any()).all()
    assert (count[left:] == 5).all()


@every_schedule
@pytest.mark.parametrize("by", [0, 1, 3, 16, 31])
def test_shuffles(by: int, seed: int) -> None:
    x = words(64).astype(np.uint64) << 13
    found = ran("shuffles", x, np.zeros((6, 4, 2, 32), np.uint64), n=by, threads=64, seed=seed)
    for width, made in zip((1, 2, 4, 8, 16, 32), found, strict=True):
        lane, first = LANES % width, LANES - LANES % width
        places = (np.full(32, by % width), lane ^ by, lane + by, lane - by)
        for place, got in zip(places, made, strict=True):
            from_lane = first + np.where((place >= 0) & (place < width), place, lane)
            np.testing.assert_array_equal(got, x.reshape(2, 32)[:, from_lane])


@every_schedule
@pytest.mark.parametrize("bits", [(0, NANS), (0x80000001, 0x00FF00FF)])
def test_votes_of_a_warp(bits: tuple[int, int], seed: int) -> None:
    x = np.array([[b >> lane & 1 for lane in range(32)] for b in bits], np.int32)
    found = ran("votes_of_warp", x, np.zeros((4, 2, 32), np.uint32), n=12, threads=64, seed=seed)
    for warp, ballot in enumerate(bits):
        assert (found[:, warp].T[:12] == (ballot, ballot != 0, ballot == NANS, ballot & 0xFFF)).all()
        assert (found[3, warp, 12:] == 0).all()


@every_schedule
@pytest.mark.parametrize("first", [0, 1])
def test_copies_come_when_they_are_waited_for(first: int, seed: int) -> None:
    x = words(32, 8)
    at_once, half, all = ran("copies", x, np.zeros((3, 32, 8), np.uint32), n=first, shared=1024, seed=seed)
    expected = np.where(x[:, :1] % 2 == 0, x, 0)
    early = slice(0, 4) if first == 0 else slice(4, 8)
    late = slice(4, 8) if first == 0 else slice(0, 4)
    assert (at_once == NANS).all() and (half[:, late] == NANS).all()
    np.testing.assert_array_equal(half[:, early], expected[:, early])
    np.testing.assert_array_equal(all, expected)


@every_schedule
def test_shared_memory_is_nan_in_every_block(seed: int) -> None:
    y = np.zeros((3, 128), np.uint32)
    found = ran("first_seen", words(1), y, threads=64, grid=(3, 1, 1), shared=256, seed=seed)
    assert (found == NANS).all()


@every_schedule
def test_matrices_spread_over_a_warp(seed: int) -> None:
    x = words(4, 8, 4).view(np.uint16)  # matrix, row, column
    found = ran("matrices", x, np.zeros((2, 4, 32), np.uint32), shared=512, seed=seed).view(np.uint16)
    row, column = LANES // 4, LANES % 4 * 2
    for which, matrix in enumerate((x, x.swapaxes(1, 2))):
        expected = np.stack((matrix[:, row, column], matrix[:, row, column + 1]), -1)
        np.testing.assert_array_equal(found[which].reshape(4, 32, 2), expected)


@every_schedule
@pytest.mark.parametrize(("kernel", "depth", "kept"), [("product_bf16", 16, 7), ("product_tf32", 8, 10)])
def test_products_of_a_warp(kernel: str, depth: int, kept: int, seed: int) -> None:
    a, b, c = wave(16, depth), wave(depth, 8), wave(16, 8)
    found = ran(kernel, np.concatenate((a.ravel(), b.ravel())), c, seed=seed)
    np.testing.assert_allclose(found, c + rounded(a, kept) @ rounded(b, kept), rtol=1e-6, atol=1e-6)


def test_numbers_are_rounded_and_compared_as_on_a_gpu() -> None:
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-11, 1 + 3 * 2**-11, -1 - 2**-11, 0.0, -0.0, 3e38])
    x = np.concatenate((ties, [np.inf, -np.inf, np.nan], wave(21))).astype(np.float32)
    half, tensor, larger, smaller = ran("numbers", x, np.zeros((4, 32), np.float32))
    np.testing.assert_array_equal(half, rounded(x, 7))
    finite = np.isfinite(x)
    up = np.where(np.isin(x, ties[[2, 4]]), np.sign(x) * 2**-10 + np.trunc(x), rounded(x, 10))  # ties away from zero
    np.testing.assert_array_equal(tensor[finite], up[finite])
    np.testing.assert_array_equal(larger, np.maximum(x, 1))
    np.testing.assert_array_equal(smaller, np.minimum(x, 1))


def rounded(x: Array, bits: int) -> Array:
    """To so many bits behind the first, ties to even, in float64."""
    mantissa, exponent = np.frexp(x.astype(np.float64))
    return np.ldexp(np.round(mantissa * 2.0 ** (bits + 1)) / 2.0 ** (bits + 1), exponent)


@every_schedule
@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (1, "at different barriers"),
        (2, "all threads wait: a barrier in divergent code"),
        (3, "not in the same operation"),
        (4, "a lane is not in its own mask"),
        (5, "not in the same operation|not in its own mask"),
        (6, "all threads wait"),
    ],
)
def test_mistakes_end_a_kernel_with_a_message(mistake: int, said: str, seed: int) -> None:
    with pytest.raises(KernelFailed, match=rf"tried\.cu, mistaken: .*({said})"):
        ran("mistaken", words(1), np.zeros(64, np.int32), n=mistake, threads=64, seed=seed)
    assert (ran("mistaken", words(1), np.zeros(64, np.int32), threads=64, seed=seed) == 1).all()
