"""Places in texts, and the collecting of messages about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphdsl.report import Diagnostic, Failed, Reporter, Severity, Source, Span, did_you_mean, fail, nearest


def test_places_count_from_one() -> None:
    source = Source("x.dag", "ab\ncd\r\n\nef")
    places = {0: (1, 1), 1: (1, 2), 2: (1, 3), 3: (2, 1), 7: (3, 1), 8: (4, 1), 10: (4, 3)}
    assert {offset: source.position(offset) for offset in places} == places
    assert [source.line(n) for n in (1, 2, 3, 4)] == ["ab", "cd", "", "ef"]
    assert str(Span(source, 8, 10)) == "x.dag:4:1"


@given(st.text(alphabet="ab\n", max_size=40), st.integers(0, 40))
def test_a_position_is_a_place_in_its_line(text: str, offset: int) -> None:
    offset = min(offset, len(text))
    line, column = Source("", text).position(offset)
    assert text[:offset].count("\n") == line - 1
    assert len(text[:offset].rpartition("\n")[2]) == column - 1


def test_a_stretch_from_one_place_to_another() -> None:
    source = Source("x.dag", "abc def")
    assert Span(source, 0, 3).to(Span(source, 4, 7)).text == "abc def"


def test_the_same_message_is_told_once() -> None:
    source = Source("x.dag", "ab")
    reporter = Reporter()
    for start in (0, 0, 1):
        reporter.add(Diagnostic("E0101", "bad", Span(source, start, 2)))
    assert len(reporter.diagnostics) == 2


def test_a_warning_stops_nothing() -> None:
    reporter = Reporter()
    reporter.add(Diagnostic("E0101", "odd", severity=Severity.WARNING))
    reporter.raise_if_failed()
    reporter.add(Diagnostic("E0101", "bad"))
    with pytest.raises(Failed) as caught:
        reporter.raise_if_failed()
    assert len(caught.value.diagnostics) == 2


def test_a_failure_reads_well_as_an_exception() -> None:
    place = Span(Source("x.dag", "ab"), 1, 2)
    assert str(fail("E0101", "bad", place, help="good")) == "x.dag:1:2: error[E0101]: bad (help: good)"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("dens", "dense"),
        ("desne", "dense"),
        ("Conv", "conv"),
        ("pool", None),
        ("dense", None),
        ("softmx", "softmax"),
        ("transformer", None),
        ("crossentropy", "categorical_crossentropy"),
        ("x" * 1000, None),
    ],
)
def test_the_name_somebody_meant(written: str, meant: str | None) -> None:
    names = ["conv", "dense", "max_pool", "avg_pool", "softmax", "categorical_crossentropy"]
    assert nearest(written, names) == meant
    assert did_you_mean(written, names) == (f"did you mean `{meant}`?" if meant else "")
