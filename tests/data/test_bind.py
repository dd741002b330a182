"""Which column goes where, what its values become, and every way in which they do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.data import Bound, Csv, Dataset, Digits, Images, Npz, Places, Wanted, arrays, bind
from graphdsl.data.augment import Flip, RandomCrop
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed, Source, Span


def tensor(*shape: int | str, classes: int = 0) -> TensorType:
    """`float[...]`, or `int(classes)[...]`; a text is a free size."""
    sizes = tuple(symbol(size) if isinstance(size, str) else size for size in shape)
    if classes:
        return TensorType((BATCH, *sizes), DType.INT32, indices(classes))
    return TensorType((BATCH, *sizes))


def inputs(**types: TensorType) -> list[Wanted]:
    return [Wanted(name, "input", type) for name, type in types.items()]


def targets(**types: TensorType) -> list[Wanted]:
    return [Wanted(name, "target", type) for name, type in types.items()]


def values(bound: Bound, name: str) -> Any:
    return bound.take(np.arange(len(bound))).arrays[name]


def errors(dataset: Dataset, wanted: list[Wanted], **settings: Any) -> str:
    with pytest.raises(Failed) as caught:
        bind(dataset, wanted, **settings)
    return str(caught.value)


def csv(folder: Path, content: str, **settings: Any) -> Dataset:
    (folder / "t.csv").write_text(content)
    return Csv("t.csv", **settings).read(Places(folder))


# --- which column ----------------------------------------------------------------------------------------------------


def test_by_name_whatever_the_order() -> None:
    bound = bind(arrays({"b": [[1.0], [2]], "a": [[3.0], [4]]}), inputs(a=tensor(1)) + targets(b=tensor(1)))
    assert values(bound, "a").tolist() == [[3], [4]]
    assert values(bound, "b").dtype == np.float32


def test_by_place() -> None:
    data = arrays([np.zeros((2, 3)), np.ones((2, 4))], np.array([1, 0]))
    bound = bind(data, inputs(left=tensor(3), right=tensor(4)) + targets(same=tensor(classes=2)))
    assert values(bound, "right").sum() == 8
    assert values(bound, "same").tolist() == [1, 0]


def test_conventional_names_go_by_place(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", x=np.zeros((2, 3)), y=np.arange(2))
    bound = bind(Npz("d.npz").read(Places(tmp_path)), inputs(features=tensor(3)) + targets(kind=tensor(classes=2)))
    assert values(bound, "kind").tolist() == [0, 1]
    digit = inputs(picture=tensor(8, 8, 1)) + targets(digit=tensor(classes=10))
    assert len(bind(Digits().read(Places()), digit)) == 1438


@pytest.mark.parametrize("names", [("x_0", "x_1", "x_10"), ("width", "height", "depth")])
def test_numeric_columns_together_are_one_input(tmp_path: Path, names: tuple[str, ...]) -> None:
    data = csv(tmp_path, f"{names[1]},kind,{names[0]},{names[2]}\n1,a,0,10\n4,b,3,13\n")
    bound = bind(data, inputs(x=tensor(3)) + targets(kind=tensor(classes=2)))
    expected = [[0, 1, 10], [3, 4, 13]] if names[0] == "x_0" else [[1, 0, 10], [4, 3, 13]]
    assert values(bound, "x").tolist() == expected
    assert bound.names == {"kind": ("a", "b")}


@pytest.mark.triggers("E0510")
def test_a_missing_column_and_what_there_is(tmp_path: Path) -> None:
    text = errors(csv(tmp_path, "prise,kind\n1,a\n"), inputs(price=tensor(1)) + targets(kind=tensor(classes=1)))
    assert "E0510" in text and "input `price` has no column in" in text
    assert "did you mean `prise`? it has `prise` (int64), `kind` (class names (1))" in text


@pytest.mark.triggers("E0511")
def test_a_column_that_nothing_takes() -> None:
    data = arrays({"a": [[1.0]], "id": [7]})
    text = errors(data, inputs(a=tensor(1)))
    assert "E0511" in text and "no input or target takes the column `id`; the model has input `a`" in text
    assert len(bind(data, inputs(a=tensor(1)), spare=True)) == 1


@pytest.mark.triggers("E0512")
def test_places_that_do_not_add_up() -> None:
    text = errors(arrays([np.zeros((1, 3)), np.zeros((1, 3))]), inputs(a=tensor(3)))
    assert "E0512" in text and "wanted `a`, there are `input 0`, `input 1`" in text
    assert "E0511" not in text, "what is not clear is not unused as well"
    with pytest.raises(Failed, match="E0512"):
        arrays({"a": [1]}, {"a": [1]})


def test_all_mistakes_are_told_at_once_and_point_at_the_declaration() -> None:
    source = Source("m.dag", "input a: float[2]\ninput b: int(3)\n")
    wanted = [
        Wanted("a", "input", tensor(2), Span(source, 6, 7)),
        Wanted("b", "input", tensor(classes=3), Span(source, 24, 25)),
    ]
    with pytest.raises(Failed) as caught:
        bind(arrays({"a": np.zeros((2, 3)), "b": [1, 3]}), wanted)
    assert [(d.code, str(d.span)) for d in caught.value.diagnostics] == [("E0513", "m.dag:1:7"), ("E0515", "m.dag:2:7")]


# --- shape -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("have", "want"),
    [((4, 4), (4, 4, 1)), ((4, 4, 1), (4, 4)), ((), (1,)), ((1,), ()), ((3,), (3,)), ((3,), ("T",)), ((3,), ("T", 1))],
)
def test_a_last_axis_of_one_comes_and_goes(have: tuple[int, ...], want: tuple[int | str, ...]) -> None:
    bound = bind(arrays({"x": np.ones((2, *have))}), inputs(x=tensor(*want)))
    assert values(bound, "x").shape == (2, *(3 if size == "T" else size for size in want))


@pytest.mark.triggers("E0513")
@pytest.mark.parametrize(
    ("have", "want", "help"),
    [
        ((28, 28, 1), (784,), "declare it as `[28, 28, 1]` and let it flow `-> flatten`"),
        ((784,), (28, 28, 1), "declare it as `[784]`"),
        ((1, 4), (4,), "declare it as `[1, 4]` and let it flow `-> flatten`"),
        ((4, 4, 3), (4, 4, 1), "declare it as `[4, 4, 3]`"),
        ((), (3,), "declare it without a shape"),
        ((), ("T",), "declare it without a shape"),
    ],
)
def test_no_other_shape_is_changed(have: tuple[int, ...], want: tuple[int | str, ...], help: str) -> None:
    text = errors(arrays({"x": np.ones((2, *have))}), inputs(x=tensor(*want)))
    assert "E0513" in text
    assert f"input `x` is {tensor(*want).describe()}, the column `x` is float64" in text
    assert help in text


def test_sequences_need_a_free_size() -> None:
    text = errors(arrays({"x": [np.zeros((3, 2)), np.zeros((5, 2))]}), inputs(x=tensor(5, 2)))
    assert "E0513" in text and "`x: float[T, 2]`" in text


def test_one_name_is_one_size() -> None:
    data = {"a": np.zeros((2, 3, 7)), "b": np.zeros((2, 5, 8))}
    wanted = inputs(a=tensor("T", "C"), b=tensor("U", "C"))
    assert "E0513" in errors(arrays(data), wanted)
    assert "`C` is one size" in errors(arrays(data), wanted)
    wanted = inputs(a=tensor("H", "W"), b=tensor("T", "C"))
    assert bind(arrays(data), wanted).fixed == {"H": 3, "W": 7, "T": 5, "C": 8}


# --- kind ------------------------------------------------------------------------------------------------------------


def test_bytes_of_pictures_become_fractions_and_other_bytes_do_not() -> None:
    bytes_ = np.full((2, 3, 3), 255, np.uint8)
    assert values(bind(arrays({"x": bytes_}), inputs(x=tensor(3, 3, 1))), "x").max() == 1
    assert values(bind(arrays({"x": bytes_[:, 0]}), inputs(x=tensor(3))), "x").max() == 255
    assert values(bind(arrays({"x": bytes_}), inputs(x=tensor(3, 3, classes=256))), "x").max() == 255


def test_two_classes_may_be_one_number(tmp_path: Path) -> None:
    data = csv(tmp_path, "x,sex\n1,f\n2,m\n")
    assert values(bind(data, inputs(x=tensor(1)) + targets(sex=tensor(1))), "sex").tolist() == [[0], [1]]


@pytest.mark.triggers("E0514")
def test_kinds_are_not_mixed(tmp_path: Path) -> None:
    image = inputs(image=tensor(8, 8, 1))
    digits = Digits().read(Places())
    for target in (tensor(10), tensor(1), tensor()):
        text = errors(digits, image + targets(label=target))
        assert "E0514" in text and "declare `target label: int(10)`" in text
    text = errors(arrays({"x": [0.5, 1]}), inputs(x=tensor(classes=2)))
    assert "E0514" in text and "give whole numbers" in text
    posts = csv(tmp_path, "post\none two three four five\n")
    assert "E0514" in errors(posts, inputs(post=tensor(5)))
    with pytest.raises(Failed, match="E0514"):
        arrays(np.float32(3))
    with pytest.raises(Failed, match="E0514"):
        arrays({"x": np.zeros(3, complex)})
    with pytest.raises(Failed, match="E0514"):
        arrays({"x": [np.zeros((2, 3)), np.zeros((3, 4))]})
    with pytest.raises(Failed, match="E0503"):
        arrays({"x": [{"a": 1}, None]})


def test_class_numbers_are_not_made_into_vectors() -> None:
    text = errors(arrays({"y": [0, 1, 2]}), targets(y=tensor(3)))
    assert "E0513" in text and "declare it as `int(n)`" in text


def test_words_are_numbered_by_frequency(tmp_path: Path) -> None:
    train = csv(tmp_path, "post\nthe cat saw the dog .\nA cat!\n", text=("post",))
    wanted = inputs(post=tensor("T", classes=5))
    bound = bind(train, wanted)
    assert bound.vocabularies["post"].tokens == ("<pad>", "<unknown>", "cat", "the", "!")
    assert values(bound, "post").tolist() == [[3, 2, 1, 3, 1, 1], [1, 2, 4, 0, 0, 0]]
    for new in (csv(tmp_path, "post\ndog cat\n"), arrays({"post": ["dog cat"]})):  # short texts look like class names
        assert values(bind(new, wanted, states=bound.states), "post").tolist() == [[1, 2]]


@pytest.mark.triggers("E0517")
def test_classes_keep_their_numbers(tmp_path: Path) -> None:
    wanted = inputs(x=tensor(1)) + targets(kind=tensor(classes=3))
    names = bind(csv(tmp_path, "x,kind\n1,cat\n2,ant\n3,dog\n"), wanted).names
    test = csv(tmp_path, "x,kind\n1,dog\n2,cat\n")
    assert values(bind(test, wanted), "kind").tolist() == [1, 0]
    assert values(bind(test, wanted, names=names), "kind").tolist() == [2, 1]
    text = errors(csv(tmp_path, "x,kind\n1,dog\n2,dgo\n"), wanted, names=names)
    assert "E0517" in text and "t.csv:3: `dgo`" in text and "did you mean `dog`?" in text


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.triggers("E0515")
@pytest.mark.parametrize(
    ("given", "words", "help"),
    [
        ([0, 3, 1, 4], "row 1 of `y` is 3; target `y` is int(3): 0 to 2 (2 rows are outside)", "declare `int(5)`"),
        ([0, -1], "row 1 of `y` is -1", "class numbers begin with 0"),
    ],
)
def test_classes_out_of_range(given: list[int], words: str, help: str) -> None:
    text = errors(arrays({"y": np.array(given)}), targets(y=tensor(classes=3)))
    assert "E0515" in text and words in text and help in text


def test_the_line_of_a_file_is_told(tmp_path: Path) -> None:
    wanted = inputs(x=tensor(1)) + targets(kind=tensor(classes=2))
    text = errors(csv(tmp_path, "x,kind\n1,a\n2,b\n3,c\n"), wanted)
    assert "t.csv:4 of `kind` is 2" in text


def test_ragged_class_numbers_out_of_range() -> None:
    text = errors(arrays({"x": [[1, 2], [3], [4, 9, 1]]}), inputs(x=tensor("T", classes=5)))
    assert "row 2 of `x` is 9" in text


@pytest.mark.triggers("E0516")
@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
def test_numbers_that_are_none(bad: float) -> None:
    x = np.zeros((50, 2, 3))
    x[17, 1, 2] = x[40, 0, 0] = bad
    text = errors(arrays({"x": x}), inputs(x=tensor(2, 3)))
    assert "E0516" in text and "row 17 of `x` at [1, 2] is" in text and "(2 rows hold such values)" in text


def test_numbers_are_looked_at_in_chunks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("graphdsl.data.conform.CHUNK", 8)
    x = np.zeros((50, 3))
    x[49, 1] = np.nan
    np.savez(tmp_path / "d.npz", x=x)
    assert "row 49 of `x` at [1]" in errors(Npz("d.npz").read(Places(tmp_path)), inputs(x=tensor(3)))


# --- augmentation ----------------------------------------------------------------------------------------------------


def test_the_shape_after_augmentation_counts() -> None:
    data = arrays({"x": np.zeros((2, 10, 10, 3))})
    bound = bind(data, inputs(x=tensor(8, 8, 3)), augments={"x": (RandomCrop(8), Flip())})
    assert values(bound, "x").shape == (2, 8, 8, 3)
    text = errors(data, inputs(x=tensor(8, 8, 3)), augments={"x": (RandomCrop(9),)})
    assert "E0513" in text and "[9, 9, 3] after augmentation" in text


@pytest.mark.parametrize(
    ("name", "shape", "change"), [("x", (10, 10, 3), RandomCrop(11)), ("x", (10,), Flip()), ("z", (10, 10, 3), Flip())]
)
def test_augmentations_that_cannot_be(name: str, shape: tuple[int, ...], change: RandomCrop | Flip) -> None:
    changes: Mapping[str, Any] = {name: (change,)}
    assert "E0518" in errors(arrays({"x": np.zeros((2, *shape))}), inputs(x=tensor(*shape)), augments=changes)


def test_sequences_of_one_length_are_rows_of_an_array(tmp_path: Path) -> None:
    found = csv(tmp_path, "steps\n1 2 3 4\n5 6 7 8\n")
    assert values(bind(found, inputs(steps=tensor(4))), "steps").tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert "declare it as `[4]`" in errors(found, inputs(steps=tensor(5)))
    uneven = csv(tmp_path, "steps\n1 2 3 4\n5 6 7\n")
    assert "its rows differ in length" in errors(uneven, inputs(steps=tensor(4)))


def test_numbers_are_sequences_of_one(tmp_path: Path) -> None:
    found = csv(tmp_path, "words\n7\n3\n")
    bound = bind(found, inputs(words=tensor("T", classes=9)))
    assert values(bound, "words").tolist() == [[7], [3]]
    assert bound.take(np.arange(2)).lengths["words"].tolist() == [1, 1]


@pytest.mark.parametrize("kept", [True, False])
def test_a_picture_that_cannot_be_read_points_at_the_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    monkeypatch.setattr("graphdsl.data.images.KEPT_BYTES", 1 << 20 if kept else 0)
    (tmp_path / "a.png").write_bytes(b"no picture")
    source = Source("spec.dag", "input image  folder")
    found = Dataset({"image": Images((tmp_path / "a.png",))})
    wanted = [Wanted("image", "input", tensor(4, 4, 1), Span(source, 6, 11))]
    for reader, column in ((Span(source, 13, 19), 14), (None, 7)):
        with pytest.raises(Failed) as caught:
            bind(found, wanted, span=reader).take(np.arange(1))
        (told,) = caught.value.diagnostics
        assert told.code == "E0507"
        assert told.span and told.span.column == column
