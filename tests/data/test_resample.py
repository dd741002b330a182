"""Pictures in another size by the four nearest pixels. Equality with OpenCV, to the bit: tests/interop/darknet."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.data.resample import by_four
from graphdsl.ir import Array


def picture(height: int, width: int) -> Array:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_half() -> None:
    """Every new pixel lies between four old ones."""
    x = picture(8, 12)
    four = x.reshape(4, 2, 6, 2, 3).astype(int).sum((1, 3))
    assert np.abs(by_four(x, 4, 6).astype(float) - four / 4).max() <= 0.5


def test_the_same_size() -> None:
    x = picture(5, 7)
    np.testing.assert_array_equal(by_four(x, 5, 7), x)
    np.testing.assert_array_equal(by_four(x.astype(np.float32), 5, 7), x)


def test_edges_do_not_change() -> None:
    x = np.repeat(np.arange(4, dtype=np.uint8)[:, None, None] * 10, 2, 1)
    np.testing.assert_array_equal(by_four(x, 16, 2)[:, 0, 0][[0, 1, -2, -1]], [0, 0, 30, 30])


@pytest.mark.parametrize("size", [(3, 5), (20, 31), (7, 7)])
def test_bytes_and_floats_agree(size: tuple[int, int]) -> None:
    x = picture(13, 11)
    assert np.abs(by_four(x, *size) - by_four(x.astype(np.float32) / 255, *size) * 255).max() < 1


def test_as_pytorch() -> None:
    torch = pytest.importorskip("torch")
    x = picture(13, 11).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.tensor(x).permute(2, 0, 1)[None], size=(6, 30), mode="bilinear")
    np.testing.assert_allclose(by_four(x, 6, 30), wanted[0].permute(1, 2, 0), rtol=1e-5, atol=1e-3)
