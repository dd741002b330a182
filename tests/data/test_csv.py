"""csv: what columns become, and every way in which a table can be wrong, at its line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.data import Csv, Dataset, Dense, Labels, Places, Ragged, Texts
from graphdsl.report import Diagnostic, Failed

POSTS = """age,place,post,steps,price
31,"Kyiv, UA",the cat sat on the mat,1 2 3,1.5
17,Lviv,"he said ""no"" and
left the room",4,2
9,Lviv,a b c d e f,5 6,-3e2
"""


def read(folder: Path, content: str | bytes, **settings: object) -> Dataset:
    (folder / "t.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    return Csv("t.csv", **settings).read(Places(folder))  # type: ignore[arg-type]


def failed(folder: Path, content: str | bytes, **settings: object) -> tuple[Diagnostic, ...]:
    with pytest.raises(Failed) as caught:
        read(folder, content, **settings)
    return caught.value.diagnostics


def test_kinds_are_told_from_the_cells(tmp_path: Path) -> None:
    dataset = read(tmp_path, POSTS)
    assert {name: type(column) for name, column in dataset.columns.items()} == {
        "age": Dense,
        "place": Labels,
        "post": Texts,
        "steps": Ragged,
        "price": Dense,
    }
    rows = np.arange(3)
    age, price = dataset.columns["age"].take(rows), dataset.columns["price"].take(rows)
    assert age.dtype == np.int64 and age.tolist() == [31, 17, 9]
    assert price.tolist() == [1.5, 2.0, -300.0]
    place = dataset.columns["place"]
    assert isinstance(place, Labels) and place.classes == ("Kyiv, UA", "Lviv")
    assert place.take(rows).tolist() == [0, 1, 1]
    assert dataset.columns["steps"].take(rows).tolist() == [[1, 2, 3], [4, 0, 0], [5, 6, 0]]
    assert dataset.lines == (2, 3, 5), "a quoted line break belongs to its row"
    assert dataset.place(2).endswith("t.csv:5")


def test_kinds_can_be_declared(tmp_path: Path) -> None:
    text = "zip,word,n\n10,hi,1\n9,ho,2\n10,hi,3\n"
    dataset = read(tmp_path, text, categorical=("zip",), text=("word",), ignore=("n",))
    zips = dataset.columns["zip"]
    assert isinstance(zips, Labels) and zips.classes == ("9", "10"), "whole numbers are sorted by size"
    assert isinstance(dataset.columns["word"], Texts)
    assert list(dataset.columns) == ["zip", "word"]


def test_a_mark_at_the_start_blank_lines_and_another_delimiter(tmp_path: Path) -> None:
    dataset = read(tmp_path, "\ufeffa;b\r\n\r\n1; 2\r\n\r\n3;4\r\n", delimiter=";")
    assert list(dataset.columns) == ["a", "b"]
    assert dataset.columns["b"].take(np.arange(2)).tolist() == [2, 4]
    assert dataset.lines == (3, 5)


def test_rows_without_a_value_can_be_dropped(tmp_path: Path) -> None:
    dataset = read(tmp_path, "a,b\n1,x\n,y\n3,\nNA,z\n5,w\n", missing="drop")
    assert dataset.columns["a"].take(np.arange(2)).tolist() == [1, 5]
    assert dataset.lines == (2, 6)


def at(diagnostic: Diagnostic) -> tuple[str, int]:
    assert diagnostic.span is not None
    assert diagnostic.span.source.path.endswith("t.csv")
    return diagnostic.code, diagnostic.span.line


@pytest.mark.triggers("E0505")
@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a,b\n1,2\n3\n", 3, "row has 1 value, the header has 2"),
        ("a,b\n1,2\n3,4,5\n", 3, "row has 3 values, the header has 2"),
        ("a,a\n1,2\n", 1, "two columns are called `a`"),
        ("a,\n1,2\n", 1, "column 2 has no name"),
        ("1,2\n3,4\n", 1, "the first row holds numbers"),
        ('a,b\n1,2\n3,"x\n', 3, "unexpected end of data"),
        ('a,b\n1,2\n"x"y,4\n', 3, "expected after"),
    ],
)
def test_a_table_that_is_none(tmp_path: Path, text: str, line: int, words: str) -> None:
    [diagnostic] = failed(tmp_path, text)
    assert at(diagnostic) == ("E0505", line)
    assert words in diagnostic.message


def test_the_line_itself_is_at_hand_for_drawing(tmp_path: Path) -> None:
    [diagnostic] = failed(tmp_path, "a,b\n1,2\n3,4,5\n")
    assert diagnostic.span is not None and diagnostic.span.text == "3,4,5"


def test_all_ragged_rows_are_told_up_to_a_bound(tmp_path: Path) -> None:
    diagnostics = failed(tmp_path, "a,b\n" + "1\n" * 9)
    assert [at(d)[1] for d in diagnostics[:-1]] == [2, 3, 4, 5, 6]
    assert diagnostics[-1].message.startswith("and 4 more rows")


def test_no_utf8_and_no_text_at_all(tmp_path: Path) -> None:
    [diagnostic] = failed(tmp_path, b"a,b\n1,2\nM\xfcnchen,3\n")
    assert diagnostic.code == "E0505" and "line 3 has the byte 0xfc" in diagnostic.message
    [diagnostic] = failed(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n\xfcber,3\n")
    assert "line 3 has the byte 0xfc" in diagnostic.message, "also behind a byte order mark"
    [diagnostic] = failed(tmp_path, "")
    assert diagnostic.code == "E0505"
    [diagnostic] = failed(tmp_path, "a,b\n")
    assert diagnostic.code == "E0508"


@pytest.mark.triggers("E0506")
@pytest.mark.parametrize("cell", ["", "NA", "nan", "NULL", "?"])
def test_a_missing_number(tmp_path: Path, cell: str) -> None:
    [diagnostic] = failed(tmp_path, f"a,b\n1,2\n3,{cell}\n")
    assert at(diagnostic) == ("E0506", 3)
    assert diagnostic.message == "`b` has no value"


def test_a_slip_of_the_pen_among_numbers(tmp_path: Path) -> None:
    [diagnostic] = failed(tmp_path, "a\n1\n2\nthree\n")
    assert at(diagnostic) == ("E0506", 4)
    assert "got `three`" in diagnostic.message


def test_an_infinite_number(tmp_path: Path) -> None:
    [diagnostic] = failed(tmp_path, "a\n1\n-inf\n")
    assert at(diagnostic) == ("E0516", 3)


@pytest.mark.triggers("E0518")
def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    [diagnostic] = failed(tmp_path, "price,b\n1,2\n", ignore=("prize",))
    assert diagnostic.code == "E0518" and diagnostic.help == "did you mean `price`?"
    [diagnostic] = failed(tmp_path, "a,b\n1,2\n", numeric=("a",), text=("a",))
    assert diagnostic.code == "E0518"
    [diagnostic] = failed(tmp_path, "a,b\n1,2\n", delimiter="::")
    assert diagnostic.code == "E0518"


def test_any_bytes_give_a_table_or_diagnostics(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pieces = [b"a", b",", b"\n", b'"', b"\r", b"1", b"\0", b"\xff", b"nan", b" ", "é".encode(), b"x" * 200_000]
    weights = np.array([1.0] * (len(pieces) - 1) + [0.01])
    for _ in range(300):
        text = b"".join(pieces[i] for i in random.choice(len(pieces), 12, p=weights / weights.sum()))
        try:
            read(tmp_path, text)
        except Failed as error:
            assert error.diagnostics


def underlined(diagnostics: tuple[Diagnostic, ...]) -> list[tuple[int, int, str]]:
    spans = [d.span for d in diagnostics if d.span]
    return [(span.line, span.column, span.text) for span in spans]


def test_the_cell_is_pointed_at(tmp_path: Path) -> None:
    words = 'skip,note,n\n"a, ""b""",x,1\n c , "two\nlines", wrong \nd,e,2\nf,g,3\n'
    assert underlined(failed(tmp_path, words, ignore=("skip",))) == [(4, 9, "wrong")]
    assert failed(tmp_path, words)[0].help.startswith("correct it, or give")
    assert underlined(failed(tmp_path, "a;b\r\n1;inf\r\n2;3\r\n", delimiter=";")) == [(2, 3, "inf")]
    assert underlined(failed(tmp_path, "a,b\n1,nan\n,3\n4,5\n")) == [(2, 3, "nan"), (3, 1, ",")]


def test_a_cell_far_to_the_right(tmp_path: Path) -> None:
    wide = ",".join(["1"] * 500)
    header = ",".join(f"c{i}" for i in range(501))
    (found,) = underlined(failed(tmp_path, f"{header}\n{wide},x\n{wide},2\n{wide},3\n"))
    assert found == (2, 1001, "x")


def test_sequences_may_be_of_one_number(tmp_path: Path) -> None:
    steps = read(tmp_path, "steps\n7\n8\n1 2\n").columns["steps"]
    assert isinstance(steps, Ragged)
    assert steps.lengths(np.arange(3)).tolist() == [1, 1, 2]
