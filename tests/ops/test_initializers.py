"""Spread, range and repeatability of how weights begin."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import INITIALIZERS, Array, Made
from graphdsl.ops.initializers import GlorotUniform, PerGroup

SHAPE = (3, 3, 64, 128)
FAN_IN, FAN_OUT = 9 * 64, 9 * 128


def sampled(name: str, shape: tuple[int, ...] = SHAPE, **settings: float) -> Array:
    made = INITIALIZERS.build(Made("initializer", name, tuple(settings.items())))
    array: Array = made.sample(shape, np.random.default_rng(3))
    assert array.shape == shape
    return array


@pytest.mark.parametrize(
    ("name", "variance"),
    [
        ("glorot_uniform", 2 / (FAN_IN + FAN_OUT)),
        ("glorot_normal", 2 / (FAN_IN + FAN_OUT)),
        ("he_uniform", 2 / FAN_IN),
        ("he_normal", 2 / FAN_IN),
        ("lecun_uniform", 1 / FAN_IN),
        ("lecun_normal", 1 / FAN_IN),
    ],
)
def test_variance_follows_the_fans(name: str, variance: float) -> None:
    array = sampled(name)
    assert array.var() == pytest.approx(variance, rel=0.02)
    assert array.mean() == pytest.approx(0, abs=0.02 * variance**0.5)


@pytest.mark.parametrize("shape", [(), (7,), (2, 3), (5, 4, 3, 2), (0, 3)])
@pytest.mark.parametrize("name", sorted(INITIALIZERS.keys() - {"constant", "vectors"}))
def test_any_shape_will_do_and_the_same_numbers_come_twice(name: str, shape: tuple[int, ...]) -> None:
    first = sampled(name, shape)
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, sampled(name, shape))


@pytest.mark.parametrize("shape", [(16, 64), (64, 16), (8, 8, 64)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    matrix = sampled("orthogonal", shape, gain=2.0).reshape(-1, shape[-1])
    small = min(matrix.shape)
    product = matrix @ matrix.T if len(matrix) == small else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(small), atol=1e-12)


def test_settings_are_kept() -> None:
    assert (sampled("constant", value=0.2) == 0.2).all()
    assert (sampled("ones") == 1).all()
    assert not sampled("zeros").any()
    uniform = sampled("uniform", low=1.0, high=3.0)
    assert 1 <= uniform.min() < 1.01
    assert 2.99 < uniform.max() < 3
    assert sampled("normal", mean=5.0, deviation=0.1).std() == pytest.approx(0.1, rel=0.02)
    assert np.abs(sampled("truncated_normal", deviation=0.1)).max() <= 0.2


def test_a_depthwise_kernel_begins_as_large_as_one_channel_asks_for():
    kernel = PerGroup(GlorotUniform(), 256).sample((3, 3, 1, 256), np.random.default_rng(0))
    assert kernel.shape == (3, 3, 1, 256)
    np.testing.assert_allclose(kernel.var(), 2 / (9 + 9), rtol=0.05)
