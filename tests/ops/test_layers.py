"""Layers that rearrange, merge and sum up: what they make of shapes, kinds and lengths, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import (
    BATCH,
    LAYERS,
    PLAIN,
    PROBABILITIES,
    Array,
    Builder,
    DType,
    TensorType,
    TypeRuleError,
    Value,
    indices,
    symbol,
)
from graphdsl.ops import expression as e
from graphdsl.ops.elementwise import FORMULAS
from tests.support.evaluate import built, evaluate, parameters

T = symbol("T")
PICTURE = TensorType((BATCH, 28, 28, 3))
ROW = TensorType((BATCH, 8))
FREE = TensorType((BATCH, T, 8))
WORDS = TensorType((BATCH, T), DType.INT32, indices(10_000))
A = np.arange(12.0).reshape(2, 2, 3)


def made(name: str, *types: TensorType, **settings: object) -> TensorType | tuple[TensorType, ...]:
    """The type that a layer gives tensors of these types."""
    b = Builder()
    xs = tuple(b.input(f"x{i}", t) for i, t in enumerate(types))
    value = _called(name, b, xs, settings)
    return tuple(v.type for v in value) if isinstance(value, tuple) else value.type


def computed(name: str, *arrays: Array, lengths: Array | None = None, **settings: object) -> Array:
    """What a layer makes of arrays; with lengths, axis 1 is the free dimension T."""
    free = () if lengths is None else (T,)
    types = [TensorType((BATCH, *free, *a.shape[1 + len(free) :]), DType(a.dtype.name)) for a in arrays]
    graph = built(lambda b, *xs: _called(name, b, xs, settings), *types)
    fed = {} if lengths is None else {"lengths/T": lengths}
    return evaluate(graph, {**{f"x{i}": a for i, a in enumerate(arrays)}, **fed})["output", "y"]


def _called(name: str, b: Builder, xs: tuple[Value, ...], settings: dict[str, object]) -> Any:
    entry = LAYERS[name]
    return entry.make(b, xs, **settings) if entry.variadic else entry.make(b, *xs, **settings)


# --- shapes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "types", "settings", "expected"),
    [
        ("flatten", [PICTURE], {}, (2352,)),
        ("flatten", [TensorType((BATCH,))], {}, (1,)),
        ("reshape", [ROW], {"shape": (2, 4)}, (2, 4)),
        ("reshape", [FREE], {"shape": (2, 4)}, (T, 2, 4)),
        ("transpose", [FREE], {}, (8, T)),
        ("transpose", [PICTURE], {"axes": (2, 0, 1)}, (3, 28, 28)),
        ("repeat", [ROW], {"times": 5}, (5, 8)),
        ("concat", [ROW, ROW, ROW], {}, (24,)),
        ("concat", [PICTURE, PICTURE], {"axis": 0}, (56, 28, 3)),
        ("slice", [ROW], {"start": -3}, (3,)),
        ("slice", [ROW], {"end": 2}, (2,)),
        ("slice", [FREE], {"start": 2, "axis": 0}, (T - 2, 8)),
        ("pad", [PICTURE], {"start": (1, 2)}, (30, 32, 3)),
        ("pad", [PICTURE], {"start": 0, "end": 1}, (29, 29, 3)),
        ("pad", [FREE], {"start": 2, "end": 0}, (T + 2, 8)),
        ("dot", [ROW, ROW], {}, (1,)),
        ("dot", [FREE, TensorType((BATCH, 4, 8))], {}, (T, 4)),
        ("reduce_mean", [PICTURE], {}, ()),
        ("reduce_mean", [PICTURE], {"axes": (0, 1)}, (3,)),
        ("reduce_max", [PICTURE], {"axes": (-1,), "keep": True}, (28, 28, 1)),
        ("reduce_sum", [FREE], {"axes": (0,)}, (8,)),
        ("embedding", [WORDS], {"features": 64}, (T, 64)),
        ("one_hot", [TensorType((BATCH,), DType.INT32, indices(10))], {}, (10,)),
    ],
)
def test_shapes(name: str, types: list[TensorType], settings: dict[str, object], expected: tuple[object, ...]) -> None:
    type = made(name, *types, **settings)
    assert isinstance(type, TensorType)
    assert type.shape == (BATCH, *expected)


@pytest.mark.parametrize("parts", [2, (4, 4)])
def test_split(parts: object) -> None:
    assert made("split", ROW, parts=parts) == (TensorType((BATCH, 4)),) * 2


def test_split_and_concat_are_each_others_reverse() -> None:
    def there_and_back(b: Builder, x: Value) -> Value:
        value: Value = LAYERS["concat"].make(b, LAYERS["split"].make(b, x, (1, 2)))
        return value

    graph = built(there_and_back, TensorType((BATCH, 2, 3)))
    np.testing.assert_array_equal(evaluate(graph, {"x0": A})["output", "y"], A)


# --- merges ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("add", A + 2 * A + 1),
        ("multiply", A * 2 * A),
        ("average", (A + 2 * A + 1) / 3),
        ("maximum", np.maximum(2 * A, 1)),
        ("minimum", np.minimum(A, 1)),
    ],
)
def test_merges(name: str, expected: Array) -> None:
    np.testing.assert_allclose(computed(name, A, 2 * A, np.ones_like(A)), expected)


def test_subtract() -> None:
    np.testing.assert_array_equal(computed("subtract", A, 3 * A), -2 * A)


def test_the_average_of_probabilities_is_probabilities() -> None:
    votes = ROW.with_kind(PROBABILITIES)
    assert made("average", votes, votes) == votes
    assert made("average", votes, ROW) == ROW
    assert made("add", votes, votes) == ROW.with_kind(PLAIN)


def test_dot() -> None:
    x, y = np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([[4.0, 3.0], [1.0, 2.0]])
    np.testing.assert_allclose(computed("dot", x, y), [[24], [0]])
    np.testing.assert_allclose(computed("dot", x, y, normalize=True), [[0.96], [0]])
    np.testing.assert_allclose(computed("dot", A, A), A @ A.transpose(0, 2, 1))


# --- reductions over real steps --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reduce_sum", [[3, 5, 7], [6, 7, 8], [0, 0, 0]]),
        ("reduce_mean", [[1.5, 2.5, 3.5], [6, 7, 8], [0, 0, 0]]),
        ("reduce_max", [[3, 4, 5], [6, 7, 8], [0, 0, 0]]),
    ],
)
def test_steps_behind_the_end_do_not_count(name: str, expected: list[list[float]]) -> None:
    x = np.concatenate([A, A[:1] * np.nan])
    x[1, 1] = 99
    lengths = np.array([2, 1, 0], np.int32)
    np.testing.assert_allclose(computed(name, x, lengths=lengths, axes=(0,)), expected)


def test_the_mean_of_all_numbers_divides_by_those_that_are_real() -> None:
    np.testing.assert_allclose(computed("reduce_mean", A, lengths=np.array([2, 1], np.int32)), [2.5, 7])


def test_padding_in_front_keeps_the_end_clean() -> None:
    """What stood behind a sequence's end must not become one of its zeros."""
    x = np.ones((2, 3, 1))
    y = computed("pad", x, lengths=np.array([3, 1], np.int32), start=1)
    np.testing.assert_array_equal(y[:, :, 0], [[0, 1, 1, 1, 0], [0, 1, 0, 0, 0]])


# --- words -----------------------------------------------------------------------------------------------------------


def test_embedding_looks_up_and_has_a_row_a_word() -> None:
    graph = built(lambda b, x: LAYERS["embedding"].make(b, x, 3), TensorType((BATCH, T), DType.INT32, indices(5)))
    table = np.arange(15.0).reshape(5, 3)
    y = evaluate(graph, {"x0": np.array([[4, 0]], np.int32), "table": table})["output", "y"]
    np.testing.assert_array_equal(y, table[[[4, 0]]])
    assert parameters(graph) == 15


# --- refusals --------------------------------------------------------------------------------------------------------

SMALL = TensorType((BATCH, 27, 27, 128))
BIG = TensorType((BATCH, 28, 28, 128))


@pytest.mark.parametrize(
    ("attempt", "code", "operand", "said"),
    [
        (
            lambda: made("concat", BIG, BIG, SMALL, BIG),
            "E0301",
            2,
            "branch 3 is float[27, 27, 128], most are float",
        ),
        (
            lambda: made("concat", BIG, SMALL),
            "E0301",
            1,
            "2 is float[27, 27, 128], the first is float[28, 28, 128]",
        ),
        (lambda: made("concat", ROW, PICTURE, ROW), "E0301", 1, "as many axes"),
        (lambda: made("concat", ROW), "E0301", 0, "got one"),
        (lambda: made("concat", FREE, FREE, axis=0), "E0401", 0, "followed by padding"),
        (lambda: made("concat", ROW, ROW, axis=1), "E0305", None, "has no axis 1"),
        (
            lambda: made("add", BIG, SMALL),
            "E0301",
            1,
            "equal shapes, got float[28, 28, 128] and float[27",
        ),
        (
            lambda: made("add", SMALL, BIG, BIG),
            "E0301",
            0,
            "1 is float[27, 27, 128], most are float[28, 28, 128]",
        ),
        (lambda: made("add", BIG, TensorType((BATCH, 1, 1, 128))), "E0301", 1, "float[1, 1, 128]"),
        (lambda: made("multiply", ROW), "E0301", 0, "got one"),
        (lambda: made("add", ROW, WORDS), "E0301", 1, "add calculates with float numbers"),
        (lambda: made("dot", ROW, TensorType((BATCH, 9))), "E0301", 1, "as many features"),
        (lambda: made("split", ROW, parts=3), "E0305", None, "8 of float[8] is not a multiple of 3"),
        (lambda: made("split", ROW, parts=(3, 4)), "E0305", None, "add up to 7"),
        (lambda: made("split", FREE, parts=2, axis=0), "E0401", None, "only at run time"),
        (lambda: made("slice", ROW, start=5, end=5), "E0305", None, "slice from 5 to 5 of 8"),
        (lambda: made("slice", ROW, start=0, end=9), "E0305", None, "of 8"),
        (lambda: made("slice", FREE, end=3, axis=0), "E0401", None, "only at run time"),
        (lambda: made("pad", PICTURE, start=(1, 2, 3)), "E0305", None, "3 sizes for the 2 axes"),
        (lambda: made("pad", ROW, start=1), "E0301", 0, "a picture or a sequence, got float[8]"),
        (lambda: made("reshape", ROW, shape=(3, 3)), "E0305", None, "float[8] has 8, float[3, 3] would have 9"),
        (lambda: made("transpose", PICTURE), "E0305", None, "each of the 3 axes"),
        (lambda: made("embedding", ROW, features=4), "E0303", 0, "whole numbers below a known bound, got float[8]"),
        (lambda: made("softmax", WORDS), "E0301", 0, "softmax calculates with float numbers"),
        (lambda: made("reduce_sum", ROW, axes=(1,)), "E0305", None, "has no axis 1"),
    ],
)
def test_refusals(attempt: Callable[[], object], code: str, operand: int | None, said: str) -> None:
    with pytest.raises(TypeRuleError) as caught:
        attempt()
    assert said in caught.value.message
    assert (caught.value.code, caught.value.operand) == (code, operand)


def test_unequal_features_come_with_advice() -> None:
    with pytest.raises(TypeRuleError) as caught:
        made("add", BIG, TensorType((BATCH, 28, 28, 64)))
    assert "`conv(128, 1)`" in caught.value.help


@pytest.mark.parametrize(("name", "slope"), [("elu", 1.0), ("selu", 1.0507009873554805 * 1.6732632423543772)])
def test_at_0_the_gradient_is_that_of_the_left_piece(name: str, slope: float) -> None:
    at = np.zeros(1)
    assert e.compute(e.derivative(FORMULAS[name].operator().tree, 0), [at]) == pytest.approx(slope)
