"""Texts that do not parse: what is told, what is still read, and that nothing at all stops the reader."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.spelling import SPECS, damaged, read


def mistakes(text: str) -> list[str]:
    """`E0104 1:5` for each mistake."""
    return [f"{d.code} {d.span.line}:{d.span.column}" for d in read(text)[1] if d.span]


def names(text: str) -> list[str]:
    """The first name of every definition that was read."""
    return [definition[1][0][1] for definition in read(text)[0]]


BROKEN = (
    *("", "x ->", "[x", "x -> f(3", "f(x 3 4 5)", "x )", "$", '"x', "1.2.3", "x x x", "x -> relu + x", "= =", "1e999"),
)


@pytest.mark.parametrize(("text", "help"), [("a = x => relu", "`->`"), ("a = (b = 2)", "`==`")])
def test_what_an_equals_sign_was_meant_to_be(text: str, help: str) -> None:
    assert help in read(text)[1][0].help


@pytest.mark.parametrize("first", BROKEN)
@pytest.mark.parametrize("second", BROKEN)
def test_each_broken_definition_is_told_once(first: str, second: str) -> None:
    text = f"a = x\nb = {first}\nc = x -> relu\nd = {second}\ne = c"
    assert [place.split()[1].split(":")[0] for place in mistakes(text)] == ["2", "4"]
    assert [name for name in names(text) if name in "ace"] == ["a", "c", "e"]


@pytest.mark.parametrize("broken", BROKEN)
def test_braces_are_read_on(broken: str) -> None:
    text = f"train {{\n  a = 1\n  b = {broken}\n  c = 2\n  step one {{\n    d = {broken}\n    e = 3\n  }}\n}}\nf = 4\n"
    assert [place.split()[1].split(":")[0] for place in mistakes(text)] == ["3", "6"]
    section, define = read(text)[0]
    assert [item[1][0][1] for item in section[3] if item[0] == "Setting" and item[1][0][1] != "b"] == ["a", "c"]
    assert define[1][0][1] == "f"


def test_keywords_begin_a_definition_in_any_line() -> None:
    assert mistakes("a = ( output b = x -> param c = 3 4") == ["E0104 1:5", "E0110 1:23", "E0111 1:35"]


def test_a_missing_token_is_supplied() -> None:
    text = "a = b -> conv(3 4)\nparam d 3\ninput e float[3]\nh = [i, j)\ntrain {\n  k = 1\n"
    assert len(mistakes(text)) == 5
    whole = "a = b -> conv(3, 4)\nparam d = 3\ninput e: float[3]\nh = [i, j]\ntrain { k = 1 }"
    assert read(text)[0] == read(whole)[0]


@pytest.mark.parametrize("text", ["a = f(3 -> relu", "a = [b c] -> add", "a = [b, c -> conv(3, d]"])
def test_what_could_mean_several_things_is_not_made_up(text: str) -> None:
    assert names(f"{text}\ny = x") == ["y"]


def test_what_was_forgotten_to_be_closed_takes_no_other_definition() -> None:
    text = "a = f(\n  b=3,\nc = d\ne = c\noutput g = e"
    assert mistakes(text) == ["E0104 1:6"]
    assert names(text)[-3:] == ["c", "e", "g"]


def test_a_message_about_an_open_bracket_points_at_both_places() -> None:
    (diagnostic,) = read("train {\n  epochs = 3\noutput y = x")[1]
    assert (diagnostic.code, str(diagnostic.span), diagnostic.help) == ("E0104", "t.dag:1:7", "add `}`")
    (label,) = diagnostic.labels
    assert (str(label.span), label.text) == ("t.dag:3:1", "`}` is missing before this")


@pytest.mark.parametrize(
    ("text", "message", "help"),
    [
        (
            "y = x -> dense(84) tanh",
            "`tanh` begins a new definition here, but no `=` follows",
            "is a `->` missing before `tanh`?",
        ),
        ("my name = 3", "a `=` is missing after `my`", "a name is one word: `my_name`"),
        ("y = x -> dense 84", "a `(` is missing before `84`", "settings stand in brackets: `dense(84)`"),
        ("y = a < b < c", "`<` is out of place after `b`", "comparisons do not chain: write `a < b and b < c`"),
        ("y = x \u200b-> relu", "the character U+200B means nothing here", ""),
        ("y = " + "9" * 5000, "a number of 5000 characters", ""),
    ],
)
def test_messages(text: str, message: str, help: str) -> None:
    (diagnostic,) = read(text)[1]
    assert (diagnostic.message, diagnostic.help) == (message, help)


def test_no_message_repeats_a_long_text() -> None:
    for text in ("y = " + "1a" * 5000, "y = x -> " + "a" * 5000 + " " + "b" * 5000, "a" * 5000, "block " * 3000):
        for diagnostic in read(text)[1]:
            assert len(diagnostic.message + diagnostic.help + diagnostic.label) < 300


# --- anything at all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_damaged_specs_give_a_tree_or_mistakes(seed: int) -> None:
    chance = random.Random(seed)
    texts = [path.read_text(encoding="utf-8") for path in SPECS]
    for _ in range(100):
        text = damaged(chance.choice(texts), chance)
        found, told = read(text)
        assert found or told or not text.split("#")[0].strip()
        assert all(d.span and 0 <= d.span.start <= d.span.end <= len(text) for d in told)


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_any_text_gives_a_tree_or_mistakes(text: str) -> None:
    read(text)


LONG = 100_000


@pytest.mark.parametrize(
    "text",
    [
        "(" * LONG,
        "y = " + "(" * LONG,
        "y = (\n" * (LONG // 6),
        "(" * (LONG // 2) + "]" * (LONG // 2),
        ")" * LONG,
        '"' * LONG,
        "9" * LONG,
        "1x" * (LONG // 2),
        "a," * (LONG // 2),
        "a,\n" * (LONG // 3),
        "y = [" + "a " * (LONG // 2),
        "y =\n" * (LONG // 4),
        "train {\n" * (LONG // 8),
        "block a { x = \n" * (LONG // 16),
        "input " * (LONG // 6),
        "y = " + "if a then b else " * (LONG // 17),
        "y = " + "-" * LONG,
        "->" * (LONG // 2),
        "$" * LONG,
        "".join(random.Random(1).choices("([{}])\n= ay", k=LONG)),
        "".join(map(chr, random.Random(2).choices(range(10, 127), k=LONG))),
    ],
    ids=range(21),
)
def test_mistakes_take_little_time(text: str) -> None:
    began = time.process_time()
    told = read(text)[1]
    assert time.process_time() - began < 5  # half a second where nothing else runs
    assert 0 < len(told) <= 201


def test_mistakes_are_counted_and_reading_stops() -> None:
    told = read("y = x x\n" * 300)[1]
    assert len(told) == 201
    assert (told[-1].code, "200" in told[-1].message) == ("E0113", True)
