"""Convolutions: the lectures' worked examples, paddings, counts, and sequences of different lengths."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, TensorType, TypeRuleError, symbol
from graphdsl.ops import conv
from tests.support.evaluate import built, evaluate, parameters

T = symbol("T")


def layer(name, *settings, **named):
    return partial(_call, name, settings, named)


def _call(name, settings, named, b, x):
    return LAYERS[name].make(b, x, *settings, **named)


def wave(*shape):
    return np.sin(1.7 * np.arange(np.prod(shape))).reshape(shape)


def shape_of(make, *shape):
    """The result's shape without batch, for an input of this shape."""
    graph = built(make, TensorType((BATCH, *shape)))
    return tuple(map(str, graph.results[0].value.type.shape[1:]))


def run(make, x, **weights):
    free = tuple(T if x.ndim == 3 and axis == 1 else size for axis, size in enumerate(x.shape))
    graph = built(make, TensorType((BATCH, *free[1:])))
    lengths = weights.pop("lengths", np.full(len(x), x.shape[1], np.int32))
    return evaluate(graph, {"x0": x, "lengths/T": lengths, **weights})["output", "y"]


# --- worked examples -------------------------------------------------------------------------------------------------

IMAGE = np.array([[[156, 167, 163], [155, 166, 162]], [[153, 164, 160], [154, 165, 161]]], float)[None]
FILTER = np.stack(
    [
        np.array([[-1, -1, 1], [0, 1, -1], [0, 1, 1]]),
        np.array([[1, 0, 0], [1, -1, -1], [1, 0, -1]]),
        np.array([[0, 1, 1], [0, 1, 0], [1, -1, 1]]),
    ],
    axis=-1,
)[..., None].astype(float)


def test_the_lectures_corner_gives_minus_25():
    y = run(layer("conv", 1, 3, pad=1), IMAGE, kernel=FILTER, bias=np.ones(1))
    assert y[0, 0, 0, 0] == -25


def test_the_lectures_sums_channel_by_channel():
    y = run(layer("depthwise_conv", 3, pad=1, bias=False), IMAGE, kernel=FILTER.transpose(0, 1, 3, 2))
    assert y[0, 0, 0].tolist() == [308, -498, 164]


def test_a_3x3_filter_over_three_channels_has_28_parameters():
    counts = [parameters(built(layer("conv", n, 3), TensorType((BATCH, 32, 32, 3)))) for n in (1, 2, 32)]
    assert counts == [28, 56, 28 * 32]


def test_input_gradient_is_the_full_convolution_with_the_flipped_filter():
    kernel, dy = wave(3, 2, 2, 4), wave(2, 4, 5, 4)
    forward = conv.Conv((1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    sent_back = forward.for_input((6, 6)).reference(dy, kernel)
    flipped = kernel[::-1, ::-1].swapaxes(-1, -2)
    full = conv.Conv((1, 1), ((2, 2), (1, 1)), (1, 1), 1).reference(dy, flipped)
    np.testing.assert_allclose(sent_back, full, atol=1e-12)


def test_separable_conv_counts_as_keras_does():
    graph = built(layer("separable_conv", 32, 3), TensorType((BATCH, 64, 64, 3)))
    assert parameters(graph) == 3 * 3 * 3 + 3 * 32 + 32


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", range(1, 6))
@pytest.mark.parametrize("stride", range(1, 4))
@pytest.mark.parametrize("length", range(1, 9))
def test_same_gives_ceil_of_length_over_stride(length, stride, size):
    assert shape_of(layer("conv", 4, size, stride=stride, pad="same"), length, 2) == (str(-(-length // stride)), "4")


def test_same_pads_the_odd_zero_at_the_end():
    y = run(layer("conv", 1, 3, stride=2, pad="same"), wave(1, 6, 6, 1), kernel=np.ones((3, 3, 1, 1)))
    x = np.pad(wave(1, 6, 6, 1), ((0, 0), (0, 1), (0, 1), (0, 0)))
    assert y[0, 0, 0, 0] == pytest.approx(x[0, 0:3, 0:3].sum())
    assert y[0, 2, 2, 0] == pytest.approx(x[0, 4:7, 4:7].sum())


def test_causal_sees_nothing_later():
    x, later = wave(1, 9, 2), wave(1, 9, 2)
    later[:, 5:] += 1
    make, kernel = layer("conv", 3, 3, pad="causal", dilation=2), wave(3, 2, 3)
    before, after = run(make, x, kernel=kernel), run(make, later, kernel=kernel)
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert before.shape == (1, 9, 3)
    assert (before[:, 5:] != after[:, 5:]).all()


def test_groups_are_convolutions_side_by_side():
    x, kernel = wave(2, 5, 5, 6), wave(3, 3, 3, 4)
    whole = run(layer("conv", 4, 3, groups=2, bias=False), x, kernel=kernel)
    half = [
        run(layer("conv", 2, 3, bias=False), x[..., p : p + 3], kernel=kernel[..., q : q + 2])
        for p, q in ((0, 0), (3, 2))
    ]
    np.testing.assert_allclose(whole, np.concatenate(half, axis=-1), atol=1e-12)


def test_a_large_batch_is_worked_off_in_blocks(monkeypatch):
    x, kernel = wave(5, 6, 6, 2), wave(3, 3, 2, 4)
    forward = conv.Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    y = forward.reference(x, kernel)
    whole = y, forward.for_input((6, 6)).reference(y, kernel), forward.for_kernel((3, 3)).reference(x, y)
    monkeypatch.setattr("graphdsl.ops.window.BLOCK", 1300)
    parts = (
        forward.reference(x, kernel),
        forward.for_input((6, 6)).reference(y, kernel),
        forward.for_kernel((3, 3)).reference(x, y),
    )
    for a, c in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, c, atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({}, "15"),
        ({"pad": "same"}, "14"),
        ({"pad": 1}, "13"),
        ({"pad": 1, "output_pad": 1}, "14"),
        ({"dilation": 2}, "17"),
    ],
)
def test_conv_transpose_sizes(settings, size):
    assert shape_of(layer("conv_transpose", 4, 3, stride=2, **settings), 7, 7, 2) == (size, size, "4")


def test_conv_transpose_paints_the_window():
    x = np.array([[[1.0], [0.0], [2.0]]])
    kernel = np.array([1.0, 10.0, 100.0]).reshape(3, 1, 1)
    y = run(layer("conv_transpose", 1, 3, stride=2), x, kernel=kernel)
    assert y[0, :, 0].tolist() == [1, 10, 100, 0, 2, 20, 200]


# --- sequences of different lengths ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "size"),
    [
        (layer("conv", 2, 3), "T - 2"),
        (layer("conv", 2, 3, pad="same"), "T"),
        (layer("conv", 2, 3, pad=2, stride=2), "(T + 1) // 2 + 1"),
        (layer("conv", 2, 3, pad="causal", stride=2), "(T + 1) // 2"),
        (layer("conv_transpose", 2, 3, stride=2), "2 * T + 1"),
        (layer("conv_transpose", 2, 4, stride=2, pad="same"), "2 * T"),
    ],
)
def test_a_sequence_gives_the_same_alone_and_padded(make, size):
    assert shape_of(make, T, 2) == (size, "2")
    alone = wave(1, 5, 2)
    together = np.concatenate([np.pad(alone, ((0, 0), (0, 4), (0, 0)), constant_values=np.nan), wave(1, 9, 2)])
    one = run(make, alone)
    two = run(make, together, lengths=np.array([5, 9], np.int32))
    np.testing.assert_allclose(two[:1, : one.shape[1]], one, atol=1e-12)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "shape", "code", "words"),
    [
        (layer("conv", 4, 7), (5, 5, 3), "E0301", "a window of 7x7 is larger than the padded input of 5x5"),
        (layer("conv", 4, 3, groups=2), (5, 5, 3), "E0301", "2 groups do not divide 3 channels"),
        (layer("conv", 3, 3, groups=2), (5, 5, 4), "E0301", "2 groups do not divide 3 filters"),
        (
            layer("conv", 4, 3),
            (10,),
            "E0301",
            "conv needs float[time, features], float[height, width, channels] or a volume",
        ),
        (layer("conv", 4, (3, 3)), (10, 2), "E0301", "size 3x3 has 2 numbers, the tensor has 1 axis"),
        (layer("conv", 4, 3, pad="causal"), (5, 5, 3), "E0301", "pad=causal is for convolutions over time"),
        (layer("conv", 4, 3, pad="same", stride=2), (T, 2), "E0401", "pad=same with stride 2 depends on T"),
        (layer("conv", 4, 3), (9, T), "E0401", "known only at run time"),
        (layer("depthwise_conv", 3), (9, T), "E0401", "known only at run time"),
        (layer("conv_transpose", 4, 3, output_pad=1), (5, 2), "E0301", "output_pad must be below the stride"),
        (layer("conv_transpose", 4, 3, pad=4), (5, 2), "E0301", "cuts everything off"),
    ],
)
def test_refused(make, shape, code, words):
    with pytest.raises(TypeRuleError) as error:
        built(make, TensorType((BATCH, *shape)))
    assert error.value.code == code
    assert words in error.value.message
