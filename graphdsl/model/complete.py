"""A file of weights as a whole model: it holds the text of its spec, and of the files that the spec names."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from graphdsl.ir import show
from graphdsl.lang import Spec, read_source
from graphdsl.learn import read_weights_or_checkpoint, weights_of_run
from graphdsl.model.known import Known, known_of
from graphdsl.report import Source, dataclass, fail

ENDING = ".safetensors"
Load = Callable[[str], Source]
NOTHING = Known()


@dataclass(frozen=True)
class Opened:
    """Where a spec comes from.

    settings   values of params that it was trained with
    load       gives the text of files that it names
    weights    the file that holds all this and its weights; None where the spec is a file of its own
    known      what that file knows of data
    """

    source: Source
    settings: Mapping[str, str]
    load: Load = read_source
    weights: Path | None = None
    known: Known = NOTHING


def opened(path: str | Path) -> Opened:
    """The spec at path, or inside the file of weights at path.

    Of the folder of a run it is what the run has left.
    Raises E0604 where weights cannot be read or hold no spec, E0616 where a folder holds none, and what reading a spec
    raises.
    """
    if Path(path).is_dir():
        path = left_in(Path(path))
    if Path(path).suffix != ENDING:
        return Opened(read_source(str(path)), {})
    _, metadata = read_weights_or_checkpoint(Path(path))
    if not isinstance(metadata.get("spec"), str):
        help = "name the spec, and the weights with --weights"
        raise fail("E0604", f"`{path}` holds no spec beside its weights", help=help)
    base = Path(path).parent
    files = {os.path.normpath(base / name): text for name, text in _texts(metadata, "files").items()}
    settings = {name: _unquoted(value) for name, value in _texts(metadata, "params").items()}
    source = Source(str(Path(path).with_suffix(".dag")), metadata["spec"], str(path))
    return Opened(source, settings, _loader(files, str(path)), Path(path), known_of(metadata))


def left_in(folder: Path) -> Path:
    """What a run has left. Raises E0616 where it is no folder of a run, or of one that has not saved anything yet."""
    found = weights_of_run(folder)
    if found is None:
        raise fail("E0616", f"no run has left weights in `{folder}`", help="name the folder of a run, or a file")
    return found


def packed(spec: Spec, load: Load) -> dict[str, str]:
    """A spec as a file of weights keeps it: its text, its params, and the texts of the files that it names, by their
    paths as seen from it."""
    base = os.path.dirname(spec.source.path) or "."
    files = {os.path.relpath(file, base): load(file).text for file in spec.files[1:]}
    params = {name: show(parameter.value) for name, parameter in spec.params.items()}
    return {"spec": spec.source.text, "files": json.dumps(files), "params": json.dumps(params)}


def identity(spec: Spec, load: Load) -> str:
    """The same for the same texts with the same params, and for no others."""
    texts = [load(file).text.encode() for file in spec.files[1:]]
    params = [f"{name}={parameter.value!r}" for name, parameter in spec.params.items()]
    return sha256(b"\0".join([spec.source.text.encode(), *texts, *(p.encode() for p in params)])).hexdigest()


def _loader(files: Mapping[str, str], held: str) -> Load:
    def load(name: str) -> Source:
        if os.path.normpath(name) not in files:
            raise fail("E0114", f"the file of weights does not hold `{name}`", help="train it again, and it will")
        return Source(name, files[os.path.normpath(name)], held)

    return load


def _texts(metadata: Mapping[str, str], key: str) -> dict[str, str]:
    """A JSON object of texts; what is none counts as empty."""
    try:
        found = json.loads(metadata.get(key, "{}"))
    except (TypeError, ValueError, RecursionError):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
