"""Pools: ties, padding, means over what is real, sequences of different lengths."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, Role, TensorType, TypeRuleError, symbol
from tests.support.evaluate import built, evaluate

T = symbol("T")


def layer(name, *settings, **named):
    return lambda b, x: LAYERS[name].make(b, x, *settings, **named)


def run(make, x, lengths=None):
    """make over x; three axes are a batch of sequences."""
    shape = (BATCH, T, x.shape[2]) if x.ndim == 3 else (BATCH, *x.shape[1:])
    given = np.full(len(x), x.shape[1], np.int32) if lengths is None else np.array(lengths, np.int32)
    return evaluate(built(make, TensorType(shape)), {"x0": x, "lengths/T": given})["output", "y"]


def gradient(make, x):
    """What all-ones sent back through the layer's first operation give at x."""
    ones = partial(_ones_back, make)
    return evaluate(built(ones, TensorType((BATCH, *x.shape[1:]))), {"x0": x, "ones": np.ones((1, 2, 2, 1))})[
        "output", "y"
    ]


def _ones_back(make, b, x):
    y = make(b, x)
    op, outputs = b.operation(y), (y, b.value(y.node, 1))
    return op.gradient(b, (x,), outputs, (b.input("ones", y.type), None))[0]


def picture(*rows):
    return np.array(rows, float)[None, :, :, None]


def test_of_equal_numbers_the_first_in_row_order_gets_the_gradient():
    x = picture([1, 1, 0, 2], [1, 1, 2, 2], [0, 0, 3, 4], [0, 0, 4, 3])
    expected = [[1, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    assert gradient(layer("max_pool", 2), x)[0, :, :, 0].tolist() == expected


def test_a_number_that_wins_in_several_windows_gets_the_sum():
    x = picture([0, 0, 0], [0, 9, 0], [0, 0, 0])
    assert gradient(layer("max_pool", 2, stride=1), x)[0, 1, 1, 0] == 4


def test_padding_never_wins():
    x = picture([-5, -4], [-3, -2])
    assert run(layer("max_pool", 3, stride=1, pad=1), x)[0, :, :, 0].tolist() == [[-2, -2], [-2, -2]]
    assert run(layer("max_pool", 2, stride=2, pad="same"), x[:, :1])[0, 0, 0, 0] == -4


def test_nan_is_not_hidden():
    x = picture([1, np.nan], [3, 2])
    assert np.isnan(run(layer("max_pool", 2), x)).all()
    assert np.isnan(run(layer("global_max_pool"), x)).all()


def test_stride_is_the_size_unless_given_and_the_edge_is_left_out():
    x = np.arange(25.0).reshape(1, 5, 5, 1)
    assert run(layer("max_pool", 2), x)[0, :, :, 0].tolist() == [[6, 8], [16, 18]]
    assert run(layer("avg_pool", 2), x)[0, :, :, 0].tolist() == [[3, 5], [13, 15]]


def test_padding_counts_in_a_mean_only_when_asked():
    x = picture([1, 1], [1, 1])
    assert run(layer("avg_pool", 3, stride=1, pad=1), x)[0, 0, 0, 0] == 1
    assert run(layer("avg_pool", 3, stride=1, pad=1, count_padding=True), x)[0, 0, 0, 0] == pytest.approx(4 / 9)


def test_global_pools_give_one_number_a_feature():
    x = np.arange(24.0).reshape(1, 3, 4, 2)
    assert run(layer("global_max_pool"), x).tolist() == [[22, 23]]
    assert run(layer("global_avg_pool"), x).tolist() == [[11, 12]]


# --- sequences of different lengths ----------------------------------------------------------------------------------


def test_global_pools_look_at_real_steps_only():
    x = np.array([[-1, -3, 9, np.nan], [2, 4, 6, 8], [5, 5, 5, 5]], float)[..., None]
    assert run(layer("global_max_pool"), x, [2, 4, 0])[:, 0].tolist() == [-1, 8, 0]
    assert run(layer("global_avg_pool"), x, [2, 4, 0])[:, 0].tolist() == [-2, 5, 0]


@pytest.mark.parametrize(
    "make",
    [
        layer("max_pool", 2),
        layer("max_pool", 3, stride=1, pad="same"),
        layer("max_pool", 3, stride=2, pad=1),
        layer("avg_pool", 2),
        layer("avg_pool", 3, stride=2, pad=1, count_padding=True),
    ],
)
def test_a_sequence_gives_the_same_alone_and_padded(make):
    alone = -1 - np.cos(np.arange(10.0)).reshape(1, 5, 2)
    together = np.concatenate([np.pad(alone, ((0, 0), (0, 4), (0, 0)), constant_values=99.0), np.ones((1, 9, 2))])
    one, two = run(make, alone), run(make, together, [5, 9])
    np.testing.assert_array_equal(two[:1, : one.shape[1]], one)
    assert np.isfinite(two).all()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "code", "words"),
    [
        (layer("max_pool", 6), (5, 5, 1), "E0301", "a window of 6x6 is larger than the padded input of 5x5"),
        (layer("max_pool", 2, pad=2), (5, 5, 1), "E0301", "padding must be smaller than its window"),
        (layer("avg_pool", 2, pad="causal"), (5, 1), "E0301", "pad=causal"),
        (layer("global_avg_pool"), (5,), "E0301", "global_avg_pool needs"),
        (layer("max_pool", 3, stride=2, pad="same"), (T, 1), "E0401", "depends on T"),
        (layer("avg_pool", 3, stride=1, pad="same"), (T, 1), "E0401", "cannot be padded"),
    ],
)
def test_refused(make, shape, code, words):
    with pytest.raises(TypeRuleError) as error:
        built(make, TensorType((BATCH, *shape)))
    assert error.value.code == code
    assert words in error.value.message


def test_upsample_repeats_or_draws_straight_lines():
    x = picture([0, 4], [8, 12])
    assert run(layer("upsample", (1, 2)), x)[0, :, :, 0].tolist() == [[0, 0, 4, 4], [8, 8, 12, 12]]
    assert run(layer("upsample", (1, 2), method="bilinear"), x)[0, 0, :, 0].tolist() == [0, 1, 3, 4]
    assert run(layer("upsample", 2), x).shape == (1, 4, 4, 1)


def test_upsample_over_time_keeps_sequences_apart():
    graph = built(layer("upsample", 3), TensorType((BATCH, T, 2)))
    (result,) = graph.of_role(Role.OUTPUT)
    assert str(result.value.type.shape[1]) == "3 * T"
    with pytest.raises(TypeRuleError, match="blend") as error:
        built(layer("upsample", 3, method="bilinear"), TensorType((BATCH, T, 2)))
    assert error.value.code == "E0401"
