"""Protobuf's text format, as people and tools write it, and what is told where it is broken."""

from __future__ import annotations

import math

import pytest

from graphdsl.interop.caffe.text import DEEPEST, Message, parsed
from graphdsl.report import Failed, Source


def message(text: str) -> Message:
    return parsed(Source("net.prototxt", text))


def test_numbers() -> None:
    found = message("a: 1 a: -2 a: 0x1F a: 017 a: 1.5e-3 a: .5f a: 2F a: - 3 a: 1. a: inf a: -Infinity b: nan")
    assert found.numbers("a") == [1, -2, 31, 15, 0.0015, 0.5, 2, -3, 1, math.inf, -math.inf]
    assert math.isnan(found.number("b", 0))
    assert found.counts("a"[:0]) == [] and found.count("absent", 7) == 7


def test_texts() -> None:
    found = message(r"""a: "x" 'y"' "\n\x41\101\\\"\'"  type: CONVOLUTION  b: "#no comment" # one
    c: 'it''s'""")
    assert found.text("a") == 'xy"\nAA\\"\''
    assert (found.text("type"), found.text("b"), found.text("c")) == ("CONVOLUTION", "#no comment", "its")


def test_messages_with_and_without_a_colon() -> None:
    found = message("a { x: 1; y: 2, } a: { x: 3 } a < x: 4 > b { } c: [ 1, 2, 3 ] a: [ { x: 5 }, < x: 6 > ] d: []")
    assert [m.count("x", 0) for m in found.messages("a")] == [1, 3, 4, 5, 6]
    assert found.counts("c") == [1, 2, 3] and found.counts("d") == []
    assert found.message("a").counts("x") == [1, 3, 4, 5, 6]
    assert found.message("b").fields == {}


@pytest.mark.parametrize(("written", "value"), [("true", True), ("True", True), ("t", True), ("1", True), ("f", False)])
def test_truth(written: str, value: bool) -> None:
    assert message(f"a: {written}").flag("a", not value) is value


def test_a_byte_order_mark_and_crlf_do_no_harm() -> None:
    assert message('name: "a"\r\nlayer {\r\n}\r\n').text("name") == "a"


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("layer {\n  name: 'a'\n", ":1:7", "`}` is missing"),
        ("layer }", ":1:7", "`:` or `{` should stand here, not `}`"),
        ("layer {\n  name 'a'\n}", ":2:8", "`:` or `{`"),
        ("name: ", ":1:7", "a value should stand here, not the end of the file"),
        ("name: 'a\n'", ":1:7", "does not belong"),
        ("a: 1 }", ":1:6", "the name of a field"),
        ("a: [1 2]", ":1:7", "`,` or `]`"),
        ("a: 1x", ":1:4", "does not belong"),
        ("a: $", ":1:4", "does not belong"),
        ("a < x: 1 }", ":1:10", "the name of a field should stand here, not `}`"),
    ],
)
def test_mistakes_are_told_at_their_place(text: str, place: str, what: str) -> None:
    with pytest.raises(Failed, match="E0902") as caught:
        message(text)
    assert what in str(caught.value) and f"net.prototxt{place}:" in str(caught.value)


def test_a_value_of_another_kind_is_told() -> None:
    found = message("a: 1.5 b: 'x' c { }")
    for name, read in (("a", found.count), ("b", found.number), ("c", found.number)):
        with pytest.raises(Failed, match=f"`{name}` takes"):
            read(name, 0)
    for read_one in (lambda: found.text("c"), lambda: found.messages("a"), lambda: found.flag("b", True)):
        with pytest.raises(Failed, match="E0902"):
            read_one()


def test_depth_is_bounded() -> None:
    assert message("a {" * DEEPEST + "}" * DEEPEST).messages("a")
    with pytest.raises(Failed, match=f"nested more than {DEEPEST} deep"):
        message("a {" * 5000)
