"""Texts as numbers and back."""

from __future__ import annotations

import pytest

from graphdsl.data.vocabulary import STRANGE, Bytes, Characters, Names, Unit, Vocabulary, Words, frequent


@pytest.mark.parametrize("unit", [Characters(), Bytes(), Names()], ids=lambda unit: type(unit).__name__)
@pytest.mark.parametrize("text", ["", "a b", "Größe 5 €, ok?\n\tfin", "\N{GRINNING FACE}"])
def test_what_was_cut_joins_to_the_same(unit: Unit, text: str) -> None:
    assert unit.join(unit.cut(text)) == text


def test_words_join_as_people_write_them() -> None:
    text = "don't stop, he said (twice): go!"
    assert Words().cut("Don't stop") == ["don't", "stop"]
    assert Words(lower=False).cut("Don't stop") == ["Don't", "stop"]
    assert Words().join(Words().cut(text)) == text


def test_numbers_stand_for_words_and_back() -> None:
    known = Vocabulary(("<pad>", "<unknown>", "a", "good", "film", "."), Words(), unknown=1)
    assert known.encode("A good, film.").tolist() == [2, 3, 1, 4, 5]
    assert known.decode([2, 3, 4, 5, 0, 0]) == "a good film."
    assert known.decode([1, 99, -1]) == " ".join([STRANGE] * 3), "unknown, beyond all words, below them"
    assert len(known) == 6


def test_an_alphabet_has_no_unknown() -> None:
    digits = Vocabulary(tuple("0123456789"), Characters())
    assert digits.decode(digits.encode("0042")) == "0042", "0 is a digit, no padding"
    with pytest.raises(KeyError, match="x"):
        digits.encode("12x")


def test_bytes_that_are_no_text_are_shown() -> None:
    every = Vocabulary(tuple(map(chr, range(256))), Bytes())
    assert every.encode("é").tolist() == [0xC3, 0xA9]
    assert every.decode([0xC3]) == STRANGE


def test_the_most_frequent_first_and_equal_ones_in_order() -> None:
    assert frequent("cabbage", 3) == ["a", "b", "c"]
    assert frequent("cabbage", 9, least=2) == ["a", "b"]
    assert frequent("cabbage", -1) == []
