"""What people see of a mistake. The drawings are golden files: look at them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graphdsl.report import Diagnostic, Label, Severity, Source, Span, Use, print_diagnostics, render_json, render_text

RESNET = Source(
    "resnet50.dag",
    """# ResNet-50
param classes = 1000

block bottleneck(c, stride=1) {
  body = in -> conv(c, 1) -> relu -> conv(4*c, 1)
  skip = if stride == 1 then in else in -> conv(4*c, 1, stride=stride)

  # where the two meet

  out  = body + skip -> relu
}

block stage(c, n) = in -> bottleneck(c) * n
y = x -> stage(64, 3)
""",
)


def span(source: Source, text: str, nth: int = 0) -> Span:
    """The nth place where text stands."""
    start = -1
    for _ in range(nth + 1):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def shapes(**changes: object) -> Diagnostic:
    known = {
        "code": "E0301",
        "message": "add needs equal shapes",
        "span": span(RESNET, "+"),
        "labels": (
            Label(span(RESNET, "body", 1), "float[56, 56, 256]"),
            Label(span(RESNET, "skip", 1), "float[56, 56, 64]"),
        ),
        "chain": (Use("bottleneck", span(RESNET, "bottleneck", 1)), Use("stage", span(RESNET, "stage", 1))),
        "help": "`skip` keeps 64 channels; the last conv of `body` makes 256",
    }
    return Diagnostic(**{**known, **changes})  # type: ignore[arg-type]


DRAWINGS = {
    "two_sides": shapes(),
    "three_texts": shapes(label="the shapes differ"),
    "other_lines": shapes(
        labels=(Label(span(RESNET, "4*c, 1)"), "makes 256"), Label(span(RESNET, "skip"), "keeps 64"))
    ),
    "other_file": shapes(labels=(Label(span(Source("inception.dag", "\nblock b = in\n"), "in"), "came from here"),)),
    "several_lines": shapes(span=Span(RESNET, RESNET.text.index("block"), RESNET.text.index("}") + 1), labels=()),
    "end_of_file": Diagnostic("E0103", "`{` is never closed", Span(RESNET, len(RESNET.text), len(RESNET.text)), "here"),
    "no_place": Diagnostic("E0502", "no file `photos.csv`", help="is the folder right?\nthe run started in /home/me"),
    "warning": shapes(severity=Severity.WARNING, labels=(), chain=(), help=""),
    "deep_chain": shapes(labels=(), chain=tuple(Use(f"b{i}", span(RESNET, "stage")) for i in range(30))),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_drawing(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"report/{name}.txt", render_text(DRAWINGS[name]) + "\n")


def test_colour_changes_nothing_but_colour(golden: Callable[[str, str], None]) -> None:
    golden("report/colour.txt", render_text(DRAWINGS["two_sides"], colour=True) + "\n")


def test_json(golden: Callable[[str, str], None]) -> None:
    text = render_json([DRAWINGS["two_sides"], DRAWINGS["no_place"]])
    golden("report/two.json", json.dumps(json.loads(text), indent=2) + "\n")


def rows(text: str, word: str, **options: int) -> tuple[str, str]:
    """The source line as drawn and the carets beneath, for a mark under word."""
    source = Source("x.dag", text)
    drawn = render_text(Diagnostic("E0101", "bad", span(source, word)), **options).split("\n")
    return drawn[3], drawn[4]


def test_a_wide_character_takes_two_columns() -> None:
    line, carets = rows("a = 漢字 -> oops", "oops")
    assert line == "1 | a = 漢字 -> oops"
    assert carets == "  |             ^^^^"


def test_a_tab_takes_four_columns() -> None:
    line, carets = rows("\ta =\toops", "oops")
    assert line == "1 |     a =    oops"
    assert carets == "  |            ^^^^"


def test_a_combining_mark_takes_none() -> None:
    line, carets = rows("e\u0301 = oops", "oops")
    assert carets.index("^") == line.index("oops") - 1


def test_carriage_returns_end_lines_too() -> None:
    assert rows("a = oops\r\nb = 2\r\n", "oops") == ("1 | a = oops", "  |     ^^^^")


@pytest.mark.parametrize("before", [0, 40, 1000, 100_000])
@pytest.mark.parametrize("after", [0, 40, 1000, 100_000])
def test_a_long_line_is_cut_about_the_caret(before: int, after: int) -> None:
    line, carets = rows("a" * before + " oops " + "b" * after, "oops", width=80)
    assert line[carets.index("^") :].startswith("oops")
    assert len(line) <= 80
    assert line.startswith("1 | …") == (before == 1000 or before == 100_000 or (before == 40 and after >= 40))


def test_a_hostile_spec_cannot_speak_to_the_terminal() -> None:
    nasty = "\x1b]0;owned\x07 \x9b31m \u202e \u200b \x7f \ud800 \u2028"
    source = Source(nasty, f"a = {nasty} oops")
    drawn = render_text(
        Diagnostic(
            "E0101",
            nasty,
            span(source, "oops"),
            label=nasty,
            labels=(Label(span(source, "a"), nasty),),
            chain=(Use(nasty, span(source, "a")),),
            help=nasty,
        )
    )
    assert all(c == "\n" or c.isprintable() for c in drawn)
    assert "␛]0;owned␇ \\u{9b}31m \\u{202e} \\u{200b} ␡ \\u{d800} \\u{2028}" in drawn


@given(text=st.text(max_size=200), start=st.integers(0, 200), size=st.integers(0, 200), width=st.integers(0, 120))
def test_any_place_in_any_text_can_be_drawn(text: str, start: int, size: int, width: int) -> None:
    source = Source("any.dag", text)
    place = Span(source, min(start, len(text)), min(start + size, len(text)))
    drawn = render_text(Diagnostic("E0101", "bad", place, "here"), width=width)
    assert "^" in drawn
    assert all(c == "\n" or c.isprintable() for c in drawn)


def printed(diagnostics: list[Diagnostic], encoding: str = "utf-8") -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    print_diagnostics(diagnostics, stream)
    stream.flush()
    return raw.getvalue().decode(encoding)


def test_the_last_line_counts() -> None:
    assert printed([shapes()]).endswith("\n\n1 error\n")
    both = [shapes(), shapes(), shapes(severity=Severity.WARNING)]
    assert printed(both).endswith("\n\n2 errors, 1 warning\n")


def test_a_flood_is_cut() -> None:
    text = printed([shapes()] * 1000)
    assert text.count("error[E0301]") == 100
    assert text.endswith("\n\n1000 errors (the first 100 shown)\n")


def test_a_terminal_without_unicode() -> None:
    source = Source("x.dag", "a" * 300 + " -> é oops")
    assert "\\u2026" in printed([Diagnostic("E0101", "bad", span(source, "oops"))], "ascii")


@pytest.mark.parametrize(("no", "force", "coloured"), [("1", "1", False), ("", "1", True), ("", "", False)])
def test_colour_switches(monkeypatch: pytest.MonkeyPatch, no: str, force: str, coloured: bool) -> None:
    monkeypatch.setenv("NO_COLOR", no)
    monkeypatch.setenv("FORCE_COLOR", force)
    assert ("\x1b[" in printed([shapes()])) == coloured
