"""Steps of `preprocess` for texts and sequences, and what they learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.data import Bound, Dataset, Dense, Preprocess, Ragged, State, Texts, Wanted, arrays, bind, none
from graphdsl.data.preprocess import AnyStep
from graphdsl.data.preprocess_numbers import Scale
from graphdsl.data.preprocess_text import BytesStep, CharactersStep, PadStep, Truncate, WordsStep
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed

FILMS = ("a good film", "a bad film , bad", "good !")


def wanted(name: str = "text", classes: int = 50, length: int | str = "T") -> Wanted:
    size = symbol(length) if isinstance(length, str) else length
    return Wanted(name, "input", TensorType((BATCH, size), DType.INT32, indices(classes)))


def texts(*rows: str, **more: tuple[str, ...]) -> Dataset:
    return Dataset({"text": Texts(rows), **{name: Texts(column) for name, column in more.items()}})


def bound(data: Dataset, *steps: AnyStep, classes: int = 50, length: int | str = "T", **options: Any) -> Bound:
    keys = tuple(f"text/{i}" for i in range(len(steps)))
    recipe = Preprocess(steps, keys=keys)
    return bind(data, [wanted(classes=classes, length=length)], preprocess={"text": recipe}, **options)


def rows(bound: Bound, name: str = "text") -> list[list[int]]:
    found: list[list[int]] = bound.take(np.arange(len(bound))).arrays[name].tolist()
    return found


# --- tokenisers ------------------------------------------------------------------------------------------------------


def test_words_by_falling_frequency_up_to_a_limit() -> None:
    found = bound(texts(*FILMS), WordsStep(limit=6))
    assert found.states["text/0"]["tokens"] == ("<pad>", "<unknown>", "a", "bad", "film", "good")
    assert rows(found) == [[2, 5, 4, 0, 0], [2, 3, 4, 1, 3], [5, 1, 0, 0, 0]]
    assert bound(texts(*FILMS), WordsStep(), classes=4).states["text/0"]["tokens"][2:] == ("a", "bad")
    assert bound(texts(*FILMS), WordsStep(least=2)).states["text/0"]["tokens"][2:] == ("a", "bad", "film", "good")


def test_a_text_without_words_is_one_unknown_word() -> None:
    assert rows(bound(texts("a", ""), WordsStep())) == [[2], [1]]


def test_learned_from_the_rows_that_are_trained_on_and_from_no_others() -> None:
    found = bound(texts(*FILMS), WordsStep(), training=lambda count: np.arange(count)[:1])
    assert found.states["text/0"]["tokens"][2:] == ("a", "film", "good")
    assert rows(found)[1] == [2, 1, 3, 1, 1]


def test_a_state_is_used_as_it_is_and_stays() -> None:
    states: dict[str, State] = {"text/0": {"tokens": ("<pad>", "<unknown>", "good")}}
    found = bound(texts(*FILMS), WordsStep(), states=states, training=none)
    assert rows(found)[0] == [1, 2, 1, 0, 0]
    assert found.states == states


@pytest.mark.triggers("E0520")
def test_nothing_is_learned_where_nothing_is_trained() -> None:
    with pytest.raises(Failed, match="E0520"):
        bound(texts(*FILMS), WordsStep(), training=none)
    with pytest.raises(Failed, match="E0520"):
        bound(texts(*FILMS), WordsStep(), states={"text/0": {"mean": (1.0,)}}, training=none)
    assert rows(bound(texts("ab"), CharactersStep("ab"), training=none)) == [[0, 1]], "there is nothing to learn"


def test_characters_given_or_learned() -> None:
    assert rows(bound(texts("2024", "1"), CharactersStep("0123456789"))) == [[2, 0, 2, 4], [1, 0, 0, 0]]
    learned = bound(texts("bAab"), CharactersStep())
    assert learned.states["text/0"]["tokens"] == ("<unknown>", "A", "a", "b")
    assert rows(bound(texts("cAb"), CharactersStep(), states=learned.states)) == [[0, 1, 3]]
    assert bound(texts("bAab"), CharactersStep(limit=3, lower=True)).states["text/0"]["tokens"][1:] == ("a", "b")


@pytest.mark.triggers("E0517")
def test_a_character_outside_the_alphabet_and_its_row() -> None:
    with pytest.raises(Failed, match=r"E0517.*row 1: `x` in `text` is no character"):
        bound(texts("12", "1x"), CharactersStep("0123456789"))


def test_bytes() -> None:
    assert rows(bound(texts("aé"), BytesStep(), classes=256)) == [[97, 0xC3, 0xA9]]
    assert bound(texts("aé"), BytesStep(), classes=256).states == {}


def test_names_of_one_recipe_are_numbered_alike() -> None:
    data = texts("a b", "b", question=("c", "d c"))
    both = {name: Preprocess((WordsStep(),), keys=("text+question/words",)) for name in ("text", "question")}
    found = bind(data, [wanted(), wanted("question", length="Q")], preprocess=both)
    assert found.states == {"text+question/words": {"tokens": ("<pad>", "<unknown>", "b", "c", "a", "d")}}
    assert (rows(found), rows(found, "question")) == ([[4, 2], [2, 0]], [[3, 0], [5, 3]])
    apart = {name: Preprocess((WordsStep(),), keys=(f"{name}/words",)) for name in ("text", "question")}
    assert len(bind(data, [wanted(), wanted("question", length="Q")], preprocess=apart).states) == 2


def test_texts_without_a_step_are_cut_into_words() -> None:
    found = bind(texts(*FILMS), [wanted()])
    assert list(found.states) == ["text/words"]
    assert found.vocabularies["text"].decode(rows(found)[1]) == "a bad film, bad"
    assert rows(bind(arrays({"text": ["film"]}), [wanted()], states=found.states, training=none)) == [[4]]


# --- sequences -------------------------------------------------------------------------------------------------------


def test_truncate_and_pad() -> None:
    data = texts("abcd", "a")
    letters = CharactersStep("abcd")
    assert rows(bound(data, letters, Truncate(3))) == [[0, 1, 2], [0, 0, 0]]
    assert rows(bound(data, letters, Truncate(2, "end"))) == [[2, 3], [0, 0]]
    assert rows(bound(data, letters, Truncate(2), PadStep(3), length=3)) == [[0, 1, 0], [0, 0, 0]]
    assert rows(bound(texts("abcd", "b"), letters, PadStep(4, "start"), length=4)) == [[0, 1, 2, 3], [0, 0, 0, 1]]
    numbers = Dataset({"text": Dense(np.arange(8).reshape(2, 4))})
    assert rows(bound(numbers, Truncate(1, "end"))) == [[3], [7]]
    with pytest.raises(Failed, match=r"E0518.*row 0 of `text` has 4 steps, more than `pad"):
        bound(data, letters, PadStep(3), length=3)


def test_steps_for_numbers_before_one_for_columns_hold_for_the_whole_column() -> None:
    kind = TensorType((BATCH, symbol("T"), 1))
    recipe = Preprocess((Scale((2.0,)), Truncate(1), Scale((5.0,))), keys=("a", "b", "c"))
    data = Dataset({"x": Dense(np.ones((1, 3, 1), np.float32))})
    found = bind(data, [Wanted("x", "input", kind)], preprocess={"x": recipe})
    assert rows(found, "x") == [[[10.0]]]


# --- what does not go together ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [WordsStep(), CharactersStep("ab"), BytesStep()])
@pytest.mark.parametrize("column", [Dense(np.arange(3)), Ragged.of([np.arange(2)])], ids=["numbers", "sequences"])
def test_numbers_are_no_texts(step: AnyStep, column: Dense | Ragged) -> None:
    with pytest.raises(Failed, match=r"E0514.*makes numbers of texts"):
        bound(Dataset({"text": column}), step, classes=256)


@pytest.mark.parametrize("step", [Truncate(2), PadStep(2)])
def test_texts_are_no_sequences_yet(step: AnyStep) -> None:
    data = Dataset({"text": Dense(np.arange(3))})
    with pytest.raises(Failed, match=r"E0514.*is for sequences"):
        bound(data, step)
