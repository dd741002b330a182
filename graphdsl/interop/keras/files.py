"""Keras' files opened: the model's config, how it was trained, and its weights."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from graphdsl.interop.keras.stored import DAMAGED, Weights
from graphdsl.interop.refusal import MOST_BYTES, MOST_TEXT, demand_package, malformed, read_bytes, read_text
from graphdsl.report import dataclass

ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF"
BLOCK = 1 << 20
CONFIG, STORED = "config.json", "model.weights.h5"
UNREADABLE = (*DAMAGED, zipfile.BadZipFile, NotImplementedError, EOFError)
"""What h5py and zipfile raise for files that are damaged."""


@dataclass(frozen=True)
class Found:
    """What a file holds.

    config      of the model: `{"class_name": …, "config": …}`
    training    what it was compiled with, or nothing
    generation  of the Keras that wrote it: 1, 2 or 3
    weights     or None where there are none
    """

    config: Mapping[str, Any]
    training: Mapping[str, Any]
    generation: int
    weights: Weights | None


@contextmanager
def opened(path: Path, weights: Path | None) -> Iterator[Found]:
    """A file, whatever it is by its first bytes, and a file of weights beside it.

    Raises E0902 where one is damaged or holds no model, E0904 where h5py is needed and missing.
    """
    start = _start(path)
    if start == ZIP:
        with _archive(path) as found:
            yield found
    elif start == HDF5:
        with hdf5(path, path) as group:
            yield _from_hdf5(path, group)
    else:
        yield from _from_text(path, weights)


def _from_text(path: Path, weights: Path | None) -> Iterator[Found]:
    config = _json(path, read_text(path), "it is no JSON")
    if isinstance(config, str):
        config = _json(path, config, "it is no JSON")
    if not isinstance(config, Mapping):
        raise malformed(path, "it holds no model")
    generation = _generation(config, config.get("keras_version"))
    training = config.get("compile_config") or {}
    if weights is None:
        yield Found(config, training, generation, None)
        return
    with _weights(weights, generation) as stored:
        yield Found(config, training, generation, stored)


def _start(path: Path) -> bytes:
    if not path.is_file():
        return read_bytes(path)
    with path.open("rb") as file:
        return file.read(4)


def _json(path: Path, text: str, why: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise malformed(path, f"{why}: {str(error)[:100]}") from None


def _generation(config: Mapping[str, Any], version: Any) -> int:
    """By the version where it is written; else by how things are said."""
    text = version.decode() if isinstance(version, bytes) else version
    if isinstance(text, str) and text[:1] in ("1", "2", "3"):
        return int(text[0])
    said = json.dumps(config)
    if '"border_mode"' in said or (
        '"output_dim"' in said and '"units"' not in said and '"embeddings_initializer"' not in said
    ):
        return 1
    return 3 if "__keras_tensor__" in said or '"DTypePolicy"' in said or '"batch_shape"' in said else 2


# --- archives ------------------------------------------------------------------------------------


@contextmanager
def _archive(path: Path) -> Iterator[Found]:
    with _reading(path), zipfile.ZipFile(path) as archive:
        text = _member(path, archive, CONFIG, MOST_TEXT).decode("utf-8", "replace")
    config = _json(path, text, f"{CONFIG} is no JSON")
    if not isinstance(config, Mapping):
        raise malformed(path, f"{CONFIG} holds no model")
    training = config.get("compile_config") or {}
    generation = 2 if _written_by_tensorflow(config) else 3
    with TemporaryDirectory() as folder:
        unpacked = Path(folder) / STORED
        if not _unpack(path, unpacked):
            yield Found(config, training, generation, None)
            return
        with hdf5(path, unpacked) as group:
            yield Found(config, training, generation, Weights(group, 3))


def _unpack(path: Path, to: Path) -> bool:
    """The weights of an archive as a file, which HDF5 jumps about in; whether there are any."""
    with _reading(path), zipfile.ZipFile(path) as archive:
        if STORED not in archive.namelist():
            return False
        _demand_size(path, archive.getinfo(STORED), MOST_BYTES)
        with archive.open(STORED) as source, to.open("wb") as target:
            shutil.copyfileobj(source, target, BLOCK)
    return True


def _written_by_tensorflow(config: Mapping[str, Any]) -> bool:
    """tf.keras 2.12 to 2.15 wrote archives too, in the words of Keras 2."""
    said = json.dumps(config)
    return '"batch_input_shape"' in said and "__keras_tensor__" not in said


def _member(path: Path, archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    if name not in archive.namelist():
        raise malformed(path, f"the archive has no {name}")
    _demand_size(path, archive.getinfo(name), limit)
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise malformed(path, f"{name} unpacks to more than {limit:,} bytes")
    return data


def _demand_size(path: Path, info: zipfile.ZipInfo, limit: int) -> None:
    if info.file_size > limit:
        raise malformed(path, f"{info.filename} unpacks to {info.file_size:,} bytes, and at most {limit:,} are read")


# --- HDF5 ----------------------------------------------------------------------------------------


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Damage found on the way is E0902."""
    try:
        yield
    except UNREADABLE as error:
        raise malformed(path, f"it is damaged: {str(error)[:100]}") from None


@contextmanager
def hdf5(path: Path, file: Path) -> Iterator[Any]:
    """The root folder of an HDF5 file. path: what messages call it. Raises E0902, E0904."""
    demand_package("h5py", "keras", "reading weights of Keras")
    import h5py

    if file.stat().st_size > MOST_BYTES:
        raise malformed(path, f"it has {file.stat().st_size:,} bytes, and at most {MOST_BYTES:,} are read")
    with _reading(path):
        group = h5py.File(file, "r")
    with group:
        yield group


def _from_hdf5(path: Path, group: Any) -> Found:
    if "model_config" not in group.attrs:
        raise malformed(
            path,
            "it holds weights without a model",
            f"give the model's JSON, and this file behind it: graphdsl import model.json --weights {path}",
        )
    config = _json(path, _text(group.attrs["model_config"]), "model_config is no JSON")
    if not isinstance(config, Mapping):
        raise malformed(path, "model_config holds no model")
    version = group.attrs.get("keras_version", config.get("keras_version"))
    generation = _generation(config, version)
    training = _json(path, _text(group.attrs.get("training_config", "{}")), "training_config is no JSON")
    stored = group.get("model_weights", group)
    backend = _text(group.attrs.get("backend", ""))
    weights = Weights(stored, generation, backend) if len(stored) else None
    return Found(config, training if isinstance(training, Mapping) else {}, generation, weights)


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


@contextmanager
def _weights(path: Path, generation: int) -> Iterator[Weights]:
    """A file of weights alone, or a whole model of which only the weights are wanted."""
    start = _start(path)
    if start == ZIP:
        with _archive(path) as found:
            if found.weights is None:
                raise malformed(path, "it holds no weights")
            yield found.weights
        return
    if start != HDF5:
        raise malformed(path, "it is no HDF5 file", "weights of Keras are .h5, .hdf5, .weights.h5 or .keras")
    with hdf5(path, path) as group:
        stored = group.get("model_weights", group)
        numbered = "layers" in stored or "_layer_checkpoint_dependencies" in stored
        version = _text(stored.attrs.get("keras_version", str(generation)))[:1]
        said = int(version) if version in "123" else generation
        yield Weights(stored, 3 if numbered else said, _text(stored.attrs.get("backend", "")))
