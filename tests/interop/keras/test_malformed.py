"""Files that are damaged, or lie: an error of ours with a code, and never a traceback."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.keras import files, read, stored
from graphdsl.report import Failed
from tests.support.shared import DATA

CONV = {
    "class_name": "Conv2D",
    "config": {
        "name": "conv",
        "filters": 4,
        "kernel_size": [3, 3],
        "strides": [1, 1],
        "padding": "same",
        "dilation_rate": [1, 1],
        "activation": "relu",
        "use_bias": True,
        "batch_input_shape": [None, 8, 8, 3],
    },
}
FUNCTIONAL = {
    "class_name": "Functional",
    "config": {
        "name": "m",
        "layers": [
            {
                "class_name": "InputLayer",
                "config": {"name": "x", "batch_shape": [None, 4]},
                "name": "x",
                "inbound_nodes": [],
            },
            {
                "class_name": "Dense",
                "config": {"name": "d", "units": 3, "activation": "softmax", "use_bias": True},
                "name": "d",
                "inbound_nodes": [[["x", 0, 0, {}]]],
            },
        ],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["d", 0, 0]],
    },
}


def written_as(folder: Path, config: Any) -> Path:
    file = folder / "model.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config), encoding="utf-8")
    return file


def sequential(*layers: Any) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}, "keras_version": "2.3.0"}


def changed(layer: dict[str, Any], **config: Any) -> dict[str, Any]:
    return {**layer, "config": {**layer["config"], **config}}


TEXTS = {
    "empty": ("", "no JSON"),
    "cut off": ('{"class_name": "Sequential", "config": [', "no JSON"),
    "a number": ("3", "holds no model"),
    "deep": ("[" * 100_000, "no JSON"),
    "nothing": ("{}", "no `class_name`"),
    "no config": ('{"class_name": "Sequential"}', "no `config`"),
    "no layers": ('{"class_name": "Sequential", "config": {}}', "must be a list"),
    "no layer": (sequential(), "without layers"),
    "a text for a layer": (sequential("conv"), "must be an object"),
    "no size": (sequential(changed(CONV, batch_input_shape=None)), "what size the input has"),
    "a wrong size": (sequential(changed(CONV, batch_input_shape=[None, "a", 8, 3])), "list of sizes"),
    "a wrong number": (sequential(changed(CONV, filters="many")), "`conv` .Conv2D.: `filters` must be a whole number"),
    "no filters": (sequential(changed(CONV, filters=None)), "`filters` is missing"),
    "none at all": (sequential(changed(CONV, filters=0)), "at least 1"),
    "a kernel of three": (sequential(changed(CONV, kernel_size=[3, 3, 3])), "2 whole numbers"),
    "another padding": (sequential(changed(CONV, padding="round")), "must be valid, same or causal"),
    "a large window": (
        sequential(changed(CONV, kernel_size=[9, 9], padding="valid")),
        r"`conv` .Conv2D.: a window of \[9, 9\] is larger",
    ),
    "two of one name": (sequential(CONV, CONV), "two layers of a model are called `conv`"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_text(name: str, tmp_path: Path) -> None:
    config, message = TEXTS[name]
    with pytest.raises(Failed, match=f"E0902.*{message}"):
        read(written_as(tmp_path, config))


GRAPHS: dict[str, tuple[Any, str]] = {
    "a layer that is not there": ([[["y", 0, 0, {}]]], "refers to a layer `y`"),
    "a call that is not there": ([[["x", 3, 0, {}]]], "refers to call 3 of `x`"),
    "a result that is not there": ([[["x", 0, 2, {}]]], "result 2 of `x`"),
    "itself": ([[["d", 0, 0, {}]]], "waits for itself"),
    "no tensor": ([[[1, 2, 3]]], r"must be \[layer, call, result\]"),
    "a text": ("x", "must be a list"),
    "nothing": ([], "refers to call 0 of `d`, which has 0"),
    "two": ([[["x", 0, 0, {}], ["x", 0, 0, {}]]], "reads one tensor, and gets 2"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph(name: str, tmp_path: Path) -> None:
    nodes, message = GRAPHS[name]
    config = copy.deepcopy(FUNCTIONAL)
    config["config"]["layers"][1]["inbound_nodes"] = nodes  # type: ignore[index]
    with pytest.raises(Failed, match=f"E0902.*{message}"):
        read(written_as(tmp_path, config))


def test_models_within_models_have_an_end(tmp_path: Path) -> None:
    config = sequential(CONV)
    for _ in range(100):
        config = sequential(config)
    with pytest.raises(Failed, match=r"E0902.*nested more than 32 deep"):
        read(written_as(tmp_path, config))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a config."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*path, key))


@pytest.mark.parametrize("config", [FUNCTIONAL, sequential(CONV)], ids=["functional", "sequential"])
def test_anything_in_any_place(config: Any, tmp_path: Path) -> None:
    """Each value in turn is another one, or gone: read, or refused in our words."""
    random.seed(0)
    for path in [p for p in places(config) if p]:
        for other in (None, 0, -3, 1.5, "text", [], {}, [None], ["x", 0, 0], True, 10**12):
            broken = copy.deepcopy(config)
            holder = broken
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = other
            read_or_refused(written_as(tmp_path, broken))


def read_or_refused(file: Path) -> None:
    try:
        written(read(file))
    except Failed as failed:
        assert all(d.code[:3] in ("E09", "E03", "E04", "E02", "E01") for d in failed.diagnostics)


def test_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "model.keras"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", "{}")
    with pytest.raises(Failed, match=r"E0902.*no config.json"):
        read(file)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(FUNCTIONAL))
        archive.writestr("model.weights.h5", b"\0" * 4096)
    whole = file.read_bytes()
    with pytest.raises(Failed, match=r"E0902.*damaged"):
        read(file)
    for length in (10, len(whole) // 2, len(whole) - 10):
        file.write_bytes(whole[:length])
        with pytest.raises(Failed, match=r"E0902.*damaged"):
            read(file)
    file.write_bytes(whole)
    monkeypatch.setattr(files, "MOST_TEXT", 100)
    with pytest.raises(Failed, match=r"E0902.*unpacks to .* bytes, and at most 100 are read"):
        read(file)


def test_an_archive_without_weights_is_a_model(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "model.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(FUNCTIONAL))
    assert not written(read(tmp_path / "model.keras")).weights


def test_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    model, weights = written_as(tmp_path, FUNCTIONAL), tmp_path / "weights.h5"

    def stores(**arrays: Any) -> Path:
        with h5py.File(weights, "w") as file:
            group = file.create_group("d")
            group.attrs["weight_names"] = list(arrays)
            for name, array in arrays.items():
                group[name] = array
        return weights

    stores(kernel=np.zeros((4, 3)), bias=np.zeros(3))
    assert {a.shape for a in written(read(model, weights)).weights.values()} == {(4, 3), (3,)}
    with pytest.raises(Failed, match=r"E0902.*weights without a model"):
        read(weights)
    with pytest.raises(Failed, match=r"E0903.*`d`: kernel is \[4, 2\] in the file, and \[4, 3\] is needed"):
        read(model, stores(kernel=np.zeros((4, 2)), bias=np.zeros(3)))
    with pytest.raises(Failed, match=r"E0903.*`d`: the file has 1 arrays, and the layer needs 2"):
        read(model, stores(kernel=np.zeros((4, 3))))
    with pytest.raises(Failed, match=r"E0902.*holds no numbers"):
        read(model, stores(kernel="text", bias=np.zeros(3)))
    monkeypatch.setattr(stored, "MOST_NUMBERS", 10)
    with pytest.raises(Failed, match=r"E0902.*more than 10 numbers"):
        read(model, stores(kernel=np.zeros((4, 3)), bias=np.zeros(3)))
    weights.write_text("no HDF5")
    with pytest.raises(Failed, match=r"E0902.*no HDF5 file"):
        read(model, weights)
    with pytest.raises(Failed, match=r"E0902.*no such file"):
        read(model, tmp_path / "missing.h5")


@pytest.mark.skipif(not (DATA / "mini_xception").exists(), reason="the gender network is not here")
def test_a_real_file_cut_off(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    whole = next((DATA / "mini_xception").glob("*.hdf5")).read_bytes()
    file = tmp_path / "model.h5"
    for length in (4, 100, 3_000, len(whole) // 2, len(whole) - 100):
        file.write_bytes(whole[:length])
        with pytest.raises(Failed, match=r"E0902"):
            read(file)


def test_h5py_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setattr("graphdsl.interop.refusal.find_spec", lambda package: None)
    with pytest.raises(Failed, match=r"E0904.*h5py.*graphdsl\[keras\]"):
        read(tmp_path / "model.h5")
