"""Weights in files: safetensors, which hold names, shapes and numbers and nothing that could be executed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from graphdsl.ir import Array
from graphdsl.report import dataclass, fail, write_whole
from graphdsl.runtime.weights import STATES, WeightStore

OWN = "graphdsl"
"""The one key of a file's metadata that we write, a JSON object. Several would stand in another order in every file,
and equal weights would not be equal files."""

ORDER = "order"
"""The names in their order, inside that object: the format itself sorts them."""

MOST_LISTED = 5


@dataclass(frozen=True)
class LoadReport:
    """What became of a file and a model.

    by_name      weights filled by their namesakes
    by_position  (weight, name in the file): without a namesake, matched by order and shape
    missing      weights of the model that stay as they were
    unexpected   names in the file that nothing took
    """

    by_name: tuple[str, ...]
    by_position: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    def describe(self) -> str:
        """One line for people: what matched by name, what by position and from where, and what was left over."""
        parts = [f"{len(self.by_name)} weights by name"]
        pairs = some((f"`{weight}` from `{source}`" for weight, source in self.by_position), quote="")
        parts += [f"{len(self.by_position)} by position and shape: {pairs}"] if self.by_position else []
        parts += [f"not in the file: {some(self.missing)}"] if self.missing else []
        parts += [f"not in the model: {some(self.unexpected)}"] if self.unexpected else []
        return "; ".join(parts)


def save_weights(weights: Mapping[str, Array], path: Path, metadata: Mapping[str, str] | None = None) -> Path:
    """Writes weights, whole or not at all. Raises Failed E0701."""
    from safetensors.numpy import save

    # Not ascontiguousarray: it gives single numbers an axis.
    arrays = {name: np.asarray(array, order="C") for name, array in weights.items()}
    return write_whole(path, save(arrays, {OWN: json.dumps({**(metadata or {}), ORDER: list(arrays)})}))


def read_weights(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays of a file, in their order, and the metadata that `save_weights` was given. Raises Failed E0604."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise fail("E0604", f"there is no file of weights `{path}`")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = json.loads((file.metadata() or {}).get(OWN, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        order = [n for n in metadata.pop(ORDER, []) if n in arrays]
    except (SafetensorError, OSError, TypeError, ValueError, AttributeError, RecursionError) as error:
        help = "weights are kept in safetensors files, of float32 or other numbers that NumPy knows"
        raise fail("E0604", f"`{path}` is damaged or no file of weights", help=help) from error
    return {name: arrays[name] for name in dict.fromkeys([*order, *arrays])}, metadata


def load_weights(weights: WeightStore, path: Path, *, prefix: str = "") -> LoadReport:
    """Fills weights from a file; see `fill_weights`. Raises Failed E0604 for a file that cannot be read."""
    return fill_weights(weights, read_weights(path)[0], path, prefix=prefix)


def fill_weights(weights: WeightStore, arrays: Mapping[str, Array], path: Path, *, prefix: str = "") -> LoadReport:
    """Fills the weights whose names begin with prefix from arrays, those of the file at path, named without it.

    By name first; what has no namesake then takes, in order, the next array of its shape that nobody took. All or
    nothing: raises Failed E0605 where a shape differs or nothing fits. Without
    any namesake less than half of the weights is nothing: shapes alone, a bias of 16 say, are alike by chance.
    """
    own = [n for n in weights if n.startswith(prefix) and not n.startswith(STATES)]
    named = [n for n in own if n.removeprefix(prefix) in arrays]
    _demand_shapes(weights, {n: arrays[n.removeprefix(prefix)] for n in named}, path)
    left = [n for n in arrays if prefix + n not in set(named) and not n.startswith(STATES)]
    pairs = _by_position(weights, [n for n in own if n not in set(named)], arrays, left)
    filled, taken = {*named, *(n for n, _ in pairs)}, {source for _, source in pairs}
    if not filled or (not named and 2 * len(pairs) < len(own)):
        raise _unlike(weights, own, arrays, path)
    weights.restore({n: arrays[n.removeprefix(prefix)] for n in named} | {n: arrays[s] for n, s in pairs})
    missing = tuple(n for n in own if n not in filled)
    return LoadReport(tuple(named), tuple(pairs), missing, tuple(n for n in left if n not in taken))


def _unlike(weights: WeightStore, own: list[str], arrays: Mapping[str, Array], path: Path) -> Exception:
    """What both sides have."""
    wanted = some((f"`{n}` {list(weights.types[n].shape)}" for n in own), quote="") or "none"
    there = some((f"`{n}` {list(array.shape)}" for n, array in arrays.items()), quote="") or "none"
    help = f"the file has {there}"
    return fail("E0605", f"`{path}` has no weights that fit this model, which has {wanted}", help=help)


def _demand_shapes(weights: WeightStore, arrays: Mapping[str, Array], path: Path) -> None:
    wrong = [
        f"`{name}` is {list(weights.types[name].shape)}, in the file {list(array.shape)}"
        for name, array in arrays.items()
        if weights.types[name].shape != array.shape
    ]
    if wrong:
        help = "take the weights of this spec, or give its layers the sizes of the file"
        raise fail("E0605", f"`{path}` is of a model with other sizes: {some(wrong, quote='')}", help=help)


def _by_position(
    weights: WeightStore, own: list[str], arrays: Mapping[str, Array], left: list[str]
) -> list[tuple[str, str]]:
    pairs = []
    start = 0
    for name in own:
        shape = weights.types[name].shape
        place = next((i for i in range(start, len(left)) if arrays[left[i]].shape == shape), None)
        if place is not None:
            pairs.append((name, left[place]))
            start = place + 1
    return pairs


def some(names: Iterable[str], quote: str = "`") -> str:
    """The first few."""
    listed = [f"{quote}{name}{quote}" for name in names]
    more = len(listed) - MOST_LISTED
    return ", ".join(listed[:MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
