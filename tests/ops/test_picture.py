"""gram, normalize, total_variation, mean_square, activation: by hand, with padded samples, slopes, refusals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import (
    BATCH,
    LAYERS,
    LOSSES,
    Array,
    Builder,
    DType,
    Role,
    TensorType,
    TypeRuleError,
    Value,
    indices,
    symbol,
)
from graphdsl.ops import formula, sum_over
from graphdsl.passes import gradient
from tests.support.evaluate import evaluate

PICTURES = np.random.default_rng(4).normal(size=(2, 5, 4, 3))
T = symbol("T")


def word(name: str, b: Builder, *operands: Value, **settings: Any) -> Value:
    made: Value = (LAYERS if name in LAYERS else LOSSES)[name].make(b, *operands, **settings)
    return made


def made(name: str, x: Array, *more: tuple[str, TensorType, Array], **settings: Any) -> Array:
    b = Builder()
    others = [b.input(n, t) for n, t, _ in more]
    value = word(name, b, b.input("x", TensorType((BATCH, *x.shape[1:]))), *others, **settings)
    b.result("y", Role.OUTPUT, value)
    return np.asarray(evaluate(b.finish(), {"x": x, **{n: a for n, _, a in more}})["output", "y"])


def test_gram() -> None:
    rows = PICTURES.reshape(2, 20, 3)
    np.testing.assert_allclose(made("gram", PICTURES), np.einsum("bpi,bpj->bij", rows, rows) / 20)


def test_gatys_loss_is_a_quarter() -> None:
    """E = 1 / (4 N² M²) sum (F Fᵀ - A Aᵀ)², equation 4 of the paper, with N features at M places."""
    one, other = (p.reshape(20, 3).T for p in PICTURES)
    wanted = np.sum((one @ one.T - other @ other.T) ** 2) / (4 * 3**2 * 20**2)
    first, second = made("gram", PICTURES)
    assert np.mean((first - second) ** 2) / 4 == pytest.approx(wanted)


def test_gram_of_real_steps_only() -> None:
    b = Builder()
    b.result("y", Role.OUTPUT, word("gram", b, b.input("x", TensorType((BATCH, T, 3)))))
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    got = evaluate(b.finish(), {"x": x, "lengths/T": np.array([2, 5], np.int32)})["output", "y"]
    np.testing.assert_allclose(got, [x[0, :2].T @ x[0, :2] / 2, x[1].T @ x[1] / 5], rtol=1e-6)


def test_normalize() -> None:
    got = made("normalize", PICTURES, mean=(1.0, 2.0, 3.0), deviation=0.5)
    np.testing.assert_allclose(got, (PICTURES - [1, 2, 3]) / 0.5)
    np.testing.assert_array_equal(made("normalize", PICTURES), PICTURES)


@pytest.mark.parametrize("power", [1, 2])
def test_total_variation(power: int) -> None:
    down, across = np.diff(PICTURES, axis=1), np.diff(PICTURES, axis=2)
    wanted = np.mean(np.abs(down) ** power) + np.mean(np.abs(across) ** power)
    assert float(made("total_variation", PICTURES, power=power)) == pytest.approx(wanted)


def test_total_variation_of_a_row() -> None:
    """An axis without neighbours says nothing."""
    assert float(made("total_variation", np.array([[[[0.0], [1.0], [3.0]]]]))) == pytest.approx(2.5)


def test_total_variation_of_real_steps() -> None:
    b = Builder()
    b.result("y", Role.LOSS, word("total_variation", b, b.input("x", TensorType((BATCH, T, 3)))))
    x = np.random.default_rng(0).normal(size=(2, 5, 3))
    got = evaluate(b.finish(), {"x": x, "lengths/T": np.array([2, 5], np.int32)})["loss", "y"]
    real = np.concatenate([np.diff(x[0, :2], axis=0), np.diff(x[1], axis=0)])
    assert float(got) == pytest.approx(np.mean(real**2))


def test_mean_square() -> None:
    assert float(made("mean_square", PICTURES)) == pytest.approx(np.mean(PICTURES**2))


def test_activation() -> None:
    filter = ("filter", TensorType((BATCH,), DType.INT32, indices(3)), np.array([2, 0], np.int32))
    wanted = (PICTURES[0, ..., 2].mean() + PICTURES[1, ..., 0].mean()) / 2
    assert float(made("activation", PICTURES, filter)) == pytest.approx(wanted)


def test_activation_of_scores() -> None:
    label = ("label", TensorType((BATCH,), DType.INT32, indices(3)), np.array([1, 2], np.int32))
    assert float(made("activation", np.array([[1.0, 2, 3], [4, 5, 6]]), label)) == pytest.approx(4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gram", {}),
        ("normalize", {"deviation": 0.3}),
        ("total_variation", {}),
        ("total_variation", {"power": 1}),
        ("mean_square", {}),
    ],
)
def test_slopes(name: str, settings: dict[str, Any]) -> None:
    """Along a random direction, against differences."""
    b = Builder()
    y = word(name, b, b.input("x", TensorType((BATCH, 5, 4, 3), DType.FLOAT64)), **settings)
    squares = formula(b, lambda v: v * v, y, title="square")
    loss = sum_over(b, squares, tuple(range(y.type.rank)))
    b.result("total", Role.LOSS, loss)
    graph = gradient(b.finish(), ["x"])
    way = np.random.default_rng(1).normal(size=PICTURES.shape)
    up, down = (float(evaluate(graph, {"x": PICTURES + h * way})["loss", "total"]) for h in (1e-6, -1e-6))
    slope = np.sum(evaluate(graph, {"x": PICTURES})["gradient", "x"] * way)
    assert slope == pytest.approx((up - down) / 2e-6, rel=1e-5)


BAD: list[tuple[str, Sequence[TensorType], dict[str, Any], str]] = [
    ("gram", [TensorType((BATCH, 3))], {}, "E0301"),
    ("total_variation", [TensorType((BATCH, 3))], {}, "E0301"),
    ("total_variation", [TensorType((BATCH, 1, 1, 3))], {}, "E0301"),
    ("normalize", [TensorType((BATCH, 4, 4, 3))], {"mean": (1.0, 2.0)}, "E0305"),
    ("activation", [TensorType((BATCH, 3)), TensorType((BATCH,))], {}, "E0303"),
    ("activation", [TensorType((BATCH, 3)), TensorType((BATCH,), DType.INT32, indices(4))], {}, "E0304"),
]


@pytest.mark.parametrize(("name", "types", "settings", "code"), BAD)
def test_refused(name: str, types: Sequence[TensorType], settings: dict[str, Any], code: str) -> None:
    b = Builder()
    with pytest.raises(TypeRuleError) as raised:
        word(name, b, *(b.input(f"x{i}", t) for i, t in enumerate(types)), **settings)
    assert raised.value.code == code
