"""Steps of `preprocess` for numbers and categories, and what they learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from graphdsl.data import (
    Bound,
    Dataset,
    Dense,
    Fill,
    Labels,
    Log,
    MinMax,
    OneHot,
    Preprocess,
    Ragged,
    Standardize,
    State,
    Wanted,
    bind,
    none,
)
from graphdsl.data.column import Column
from graphdsl.data.preprocess import AnyStep
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed

NUMBERS = np.array([1.0, 3.0, 5.0, 100.0])


def wanted(name: str, *shape: Any, role: str = "input") -> Wanted:
    return Wanted(name, role, TensorType((BATCH, *shape)))


def first(count: int) -> Any:
    """Three rows are trained on."""
    return np.arange(count)[:3]


def bound(columns: dict[str, Column], wants: list[Wanted], *steps: AnyStep, **options: Any) -> Bound:
    keys = tuple(f"{'+'.join(columns)}/{i}" for i in range(len(steps)))
    recipe = Preprocess(steps, keys=keys)
    return bind(Dataset(columns), wants, preprocess=dict.fromkeys(columns, recipe), **{"training": first, **options})


def values(found: Bound, name: str = "x") -> list[Any]:
    rows: list[Any] = found.take(np.arange(len(found))).arrays[name].tolist()
    return rows


def after(column: Column, *steps: AnyStep, shape: tuple[Any, ...] = (1,), **options: Any) -> list[Any]:
    return values(bound({"x": column}, [wanted("x", *shape)], *steps, **options))


def code(column: Column, *steps: AnyStep, shape: tuple[Any, ...] = (1,), **options: Any) -> tuple[str, str]:
    with pytest.raises(Failed) as caught:
        after(column, *steps, shape=shape, **options)
    [diagnostic] = caught.value.diagnostics
    return diagnostic.code, diagnostic.message


def test_standardize_by_the_rows_that_are_trained_on() -> None:
    deviation = math.sqrt(8 / 3)
    expected = [-2 / deviation, 0, 2 / deviation, 97 / deviation]
    assert np.ravel(after(Dense(NUMBERS), Standardize())).tolist() == pytest.approx(expected, rel=1e-6)


def test_a_column_that_never_changes_becomes_zero() -> None:
    assert after(Dense(np.full(4, 7.0)), Standardize()) == [[0.0]] * 4
    assert after(Dense(np.full(4, 7.0)), MinMax(-1, 1)) == [[-1.0]] * 4


def test_min_max_goes_beyond_for_others() -> None:
    assert np.ravel(after(Dense(NUMBERS), MinMax())).tolist() == pytest.approx([0, 0.5, 1, 24.75])
    assert np.ravel(after(Dense(NUMBERS), MinMax(-1, 3))).tolist() == pytest.approx([-1, 1, 3, 98])


def test_several_inputs_of_one_recipe_have_numbers_of_their_own() -> None:
    columns: dict[str, Column] = {"x": Dense(NUMBERS), "y": Dense(-10 * NUMBERS)}
    found = bound(columns, [wanted("x", 1), wanted("y", 1)], MinMax())
    assert np.ravel(values(found, "x")).tolist() == pytest.approx([0, 0.5, 1, 24.75])
    assert np.ravel(values(found, "y")).tolist() == pytest.approx([1, 0.5, 0, -23.75])


def test_what_comes_later_learns_for_itself() -> None:
    """A first section may read some of the inputs that a recipe names, and the next one all."""
    columns: dict[str, Column] = {"x": Dense(NUMBERS), "y": Dense(-10 * NUMBERS)}
    first_of_all = bound(columns, [wanted("x", 1)], MinMax(), spare=True)
    found = bound(columns, [wanted("x", 1), wanted("y", 1)], MinMax(), states=first_of_all.states)
    assert np.ravel(values(found, "y")).tolist() == pytest.approx([1, 0.5, 0, -23.75])


def test_each_place_of_a_vector_and_all_steps_of_a_sequence() -> None:
    table = np.stack([NUMBERS, 2 * NUMBERS], axis=1)
    assert after(Dense(table), MinMax(), shape=(2,))[1] == [0.5, 0.5]
    sequences = Ragged.of([np.array([0.0, 10.0]), np.array([5.0]), np.array([2.0]), np.array([20.0])])
    assert after(sequences, MinMax(), shape=(symbol("T"),))[3][0] == pytest.approx(2)


def test_fill_then_standardize() -> None:
    holes = np.array([1.0, math.nan, 3.0, math.nan])
    assert after(Dense(holes), Fill()) == [[1.0], [2.0], [3.0], [2.0]]
    assert after(Dense(holes), Fill("mean"), MinMax()) == [[0.0], [0.5], [1.0], [0.5]]
    assert after(Dense(holes), Fill(-1.0)) == [[1.0], [-1.0], [3.0], [-1.0]]


def test_log() -> None:
    assert np.ravel(after(Dense(NUMBERS), Log())).tolist() == pytest.approx(np.log(NUMBERS).tolist())
    assert after(Dense(np.array([0, 1, 2, 3])), Log(plus=1))[0] == [0.0]


def test_categories_that_were_not_there_are_zeros() -> None:
    animals = Labels(np.array([1, 0, 1, 2]), ("cat", "dog", "fish"))
    assert after(animals, OneHot(), shape=(3,)) == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert code(animals, OneHot("stop"), shape=(3,)) == ("E0517", "row 3: `fish` in `x` was not there in training")


def test_whole_numbers_are_categories_ordered_by_size() -> None:
    codes = Dense(np.array([100, 9, 100, 9]))
    assert after(codes, OneHot(), shape=(2,)) == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_what_was_learned_is_used_as_it_is() -> None:
    found = bound({"x": Dense(NUMBERS)}, [wanted("x", 1)], Standardize())
    again = after(Dense(np.array([5.0])), Standardize(), states=found.states, training=none)
    assert again == [values(found)[2]]


@pytest.mark.parametrize(
    "state",
    [{}, {"shift": (1.0,)}, {"shift": ("a",), "scale": (1.0,)}, {"shift": (), "scale": ()}],
)
def test_a_state_that_makes_no_sense_is_none(state: State) -> None:
    assert code(Dense(NUMBERS), Standardize(), states={"x/0:x": state}, training=none)[0] == "E0520"


@pytest.mark.triggers("E0513")
@pytest.mark.triggers("E0514")
@pytest.mark.triggers("E0515")
@pytest.mark.triggers("E0516")
@pytest.mark.triggers("E0517")
@pytest.mark.parametrize(
    ("column", "step", "shape", "expected"),
    [
        (Dense(np.array([1.0, 2, math.nan, 4])), Standardize(), (1,), ("E0516", "row 2 of `x` has no finite number")),
        (Dense(np.array([1.0, 0, 2, 4])), Log(), (1,), ("E0515", "row 1 of `x` has no logarithm")),
        (Labels(np.zeros(4, int), ("a",)), Standardize(), (1,), ("E0514", "`standardize` is for numbers, the column")),
        (Dense(NUMBERS), OneHot(), (3,), ("E0514", "`one_hot` is for categories, the column `x` is float64")),
        (Labels(np.arange(4), tuple("abcd")), OneHot(), (2,), ("E0513", "`x` has 3 categories in the rows")),
    ],
)
def test_columns_that_do_not_suit(column: Column, step: AnyStep, shape: Any, expected: tuple[str, str]) -> None:
    found = code(column, step, shape=shape)
    assert found[0] == expected[0] and found[1].startswith(expected[1])


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("want", "step", "words"),
    [
        (wanted("price", 1, role="target"), Standardize(), "would change target `price`"),
        (Wanted("n", "input", TensorType((BATCH,), DType.INT32, indices(9))), Log(), "is for numbers, `float`"),
        (wanted("image", 8, 8, 3), MinMax(), "is for numbers and sequences of them"),
        (wanted("x", 1), MinMax(2, 2), "from 2 to 2 leaves no range"),
        (wanted("n", 8, 8), OneHot(), "`one_hot` makes vectors for inputs"),
    ],
)
def test_inputs_that_do_not_suit(want: Wanted, step: Any, words: str) -> None:
    with pytest.raises(Failed) as caught:
        step.suit(want)
    assert caught.value.diagnostics[0].code == "E0518" and words in caught.value.diagnostics[0].message
