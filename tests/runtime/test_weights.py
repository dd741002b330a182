"""Weights: how they begin, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import Builder, Graph
from graphdsl.report import Failed
from graphdsl.runtime import WeightStore, load_weights, read_weights, save_weights
from tests.support.random_graphs import Bell

Shapes = dict[str, tuple[int, ...]]


def graph(shapes: Shapes) -> Graph:
    b = Builder()
    for name, shape in shapes.items():
        b.weight(name, shape, Bell())
    return b.finish()


def store(shapes: Shapes, seed: int = 0) -> WeightStore:
    weights = WeightStore(backend("reference"))
    weights.add(graph(shapes), seed)
    return weights


def test_a_new_layer_does_not_change_how_others_begin() -> None:
    few, many = store({"b": (3,)}), store({"a": (4,), "b": (3,)})
    assert np.array_equal(few["b"], many["b"])
    assert not np.array_equal(few["b"], store({"b": (3,)}, seed=1)["b"])
    assert not np.array_equal(many["a"][:3], many["b"])


def test_adding_a_graph_again_keeps_what_is_learned() -> None:
    weights = store({"a": (2,)})
    weights["a"] = np.array([5.0, 6.0])
    assert weights.add(graph({"a": (2,), "b": (1,)}), 0) == ("b",)
    assert weights["a"].tolist() == [5, 6]


def test_snapshot_and_restore() -> None:
    weights = store({"a": (2,), "b": (1,)})
    kept = weights.snapshot()
    weights["a"] = np.zeros(2)
    assert kept["a"].any()
    weights.restore(kept)
    assert np.array_equal(weights["a"], kept["a"])


def test_forgotten_weights_begin_anew() -> None:
    weights = store({"a": (2,), "optimizer/a/sum": (2,)})
    weights.forget([n for n in weights if n.startswith("optimizer/")])
    assert list(weights) == ["a"]


def test_a_file_keeps_names_numbers_order_and_metadata(tmp_path: Path) -> None:
    weights = store({"z/kernel": (2, 3), "a": (), "m": (0, 2)})
    path = save_weights(weights, tmp_path / "deep" / "w.safetensors", {"spec": "digits.dag"})
    arrays, metadata = read_weights(path)
    assert list(arrays) == ["z/kernel", "a", "m"]
    assert all(np.array_equal(arrays[n], weights[n]) for n in weights)
    assert metadata == {"spec": "digits.dag"}
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]


def test_loading_by_name(tmp_path: Path) -> None:
    path = save_weights(store({"a": (2,), "old": (7,)}), tmp_path / "w")
    weights = store({"a": (2,), "new": (3,), "optimizer/a/sum": (2,)}, seed=9)
    before = weights.snapshot()
    report = load_weights(weights, path)
    assert (report.by_name, report.by_position, report.missing, report.unexpected) == (("a",), (), ("new",), ("old",))
    assert report.describe() == "1 weights by name; not in the file: `new`; not in the model: `old`"
    assert np.array_equal(weights["new"], before["new"])
    assert np.array_equal(weights["a"], read_weights(path)[0]["a"])


def test_loading_by_position_and_shape(tmp_path: Path) -> None:
    path = save_weights(store({"one": (2, 3), "bias": (3,), "two": (2, 3)}), tmp_path / "w")
    weights = store({"first": (2, 3), "second": (2, 3)}, seed=9)
    report = load_weights(weights, path)
    assert report.by_position == (("first", "one"), ("second", "two"))
    assert report.unexpected == ("bias",)
    assert "2 by position and shape" in report.describe()


def test_loading_into_a_part_of_a_model(tmp_path: Path) -> None:
    path = save_weights(store({"a": (2,)}), tmp_path / "w")
    weights = store({"image/vgg/a": (2,), "a": (2,)}, seed=9)
    before = weights.snapshot()
    assert load_weights(weights, path, prefix="image/vgg/").by_name == ("image/vgg/a",)
    assert np.array_equal(weights["a"], before["a"])


@pytest.mark.triggers("E0605")
def test_other_shapes_load_nothing(tmp_path: Path) -> None:
    path = save_weights(store({"a": (2,), "b": (3,)}), tmp_path / "w")
    weights = store({"a": (2,), "b": (4,)}, seed=9)
    before = weights.snapshot()
    with pytest.raises(Failed, match=r"E0605.*`b` is \[4\], in the file \[3\]"):
        load_weights(weights, path)
    assert all(np.array_equal(weights[n], before[n]) for n in weights)


@pytest.mark.triggers("E0605")
def test_a_shape_that_is_alike_by_chance_is_no_fit(tmp_path: Path) -> None:
    path = save_weights(store({"kernel": (4, 16), "bias": (16,)}), tmp_path / "w")
    weights = store({"a": (9, 16), "b": (16,), "c": (16, 3)}, seed=9)
    before = weights.snapshot()
    with pytest.raises(Failed, match=r"E0605.*no weights that fit"):
        load_weights(weights, path)
    assert np.array_equal(weights["b"], before["b"])


@pytest.mark.triggers("E0605")
def test_a_file_that_fits_nowhere(tmp_path: Path) -> None:
    path = save_weights({f"w{i}": np.zeros(9) for i in range(8)}, tmp_path / "w")
    with pytest.raises(Failed, match=r"E0605.*`w4` .9. and 3 more"):
        load_weights(store({"a": (2,)}), path)


@pytest.mark.triggers("E0604")
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"\x80\x04\x95 a pickle", bytes(range(256)) * 10])
def test_a_file_of_something_else(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_bytes(content)
    with pytest.raises(Failed, match=r"E0604.*damaged or no file of weights"):
        load_weights(store({"a": (2,)}), path)


@pytest.mark.triggers("E0604")
def test_a_file_cut_short(tmp_path: Path) -> None:
    path = save_weights(store({"a": (200,)}), tmp_path / "w")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Failed, match="E0604"):
        read_weights(path)


@pytest.mark.triggers("E0604")
def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0604.*no file of weights"):
        read_weights(tmp_path / "w")
