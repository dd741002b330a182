"""Dense: what it computes, what it counts, what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, DType, TensorType, TypeRuleError, indices, symbol
from graphdsl.ops import dense
from tests.support.evaluate import built, evaluate, parameters

ROWS = np.arange(12.0).reshape(2, 3, 2)
KERNEL = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, -1.0]])
BIAS = np.array([0.0, 10.0, 20.0])


def test_dense_is_features_times_kernel_plus_bias():
    graph = built(lambda b, x: dense(b, x, 3), TensorType((BATCH, 2)))
    y = evaluate(graph, {"x0": ROWS[:, 0], "kernel": KERNEL, "bias": BIAS})["output", "y"]
    np.testing.assert_array_equal(y, [[0, 11, 19], [6, 17, 25]])


def test_over_time_every_step_meets_the_same_weights():
    graph = built(lambda b, x: dense(b, x, 3), TensorType((BATCH, symbol("T"), 2)))
    y = evaluate(graph, {"x0": ROWS, "kernel": KERNEL, "bias": BIAS})["output", "y"]
    np.testing.assert_array_equal(y, ROWS @ KERNEL + BIAS)


def test_the_lectures_three_layers_have_3466_parameters():
    counts = [
        parameters(built(lambda b, x, n=units: dense(b, x, n), TensorType((BATCH, features))))
        for features, units in ((64, 32), (32, 32), (32, 10))
    ]
    assert counts == [2080, 1056, 330]


def test_without_bias_there_is_no_bias():
    assert parameters(built(lambda b, x: dense(b, x, 3, bias=False), TensorType((BATCH, 2)))) == 6


def test_a_picture_is_refused_with_three_ways_out():
    with pytest.raises(TypeRuleError) as error:
        built(lambda b, x: dense(b, x, 10), TensorType((BATCH, 28, 28, 1)))
    assert error.value.message == "dense needs float[features] or float[time, features], got float[28, 28, 1]"
    assert all(way in error.value.help for way in ("`flatten`", "`global_avg_pool`", "`conv(10, 1)`"))


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (TensorType((BATCH,)), "E0301"),
        (TensorType((BATCH, 5), DType.INT32, indices(9)), "E0301"),
        (TensorType((BATCH, symbol("T"))), "E0401"),
    ],
)
def test_refused(given, code):
    with pytest.raises(TypeRuleError) as error:
        built(lambda b, x: dense(b, x, 10), given)
    assert error.value.code == code
