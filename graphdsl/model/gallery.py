"""Named embeddings in one file: who somebody is, told by distance, without any training.

    model  picture ─▶ embedding      gallery  embeddings of Ada, of Ben …, and a threshold
    verify    is the embedding near enough to Ada's?          identify   to whose is it nearest, and near enough?

A person has a row for each picture, and is as far away as the mean over these rows says: so the threshold of pairs
holds for one picture and for ten. Distances are squared, as in the loss `triplet` and in the metrics of verification.
The file is safetensors: numbers, names, the threshold, and a fingerprint of the model, since embeddings of another one
mean nothing.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.ir import Array, Result, Role, Value, Weight, node_text
from graphdsl.model.looking import made_by
from graphdsl.model.model import Model
from graphdsl.model.steps import steps_of
from graphdsl.report import Failed, dataclass, did_you_mean, fail
from graphdsl.runtime import read_weights, save_weights

KIND = "gallery"
ROWS = "embeddings"

MOST_ROWS = 100_000
"""Pictures in a gallery."""
MOST_FEATURES = 16_384
"""Numbers of an embedding."""
SAME = 1e-6
"""By how much of its largest number an embedding may differ, as among other pictures in its batch, and be the same."""
LONGEST_NAME = 200
"""Letters."""

BEGIN = "a gallery is made by `graphdsl gallery add GALLERY MODEL NAME PICTURE`: the model comes second"


@dataclass(frozen=True)
class Seen:
    """What a gallery says of a sample: the nearest person (`none` in an empty gallery), and whether near enough."""

    name: str | None
    distance: float
    known: bool


@dataclass(frozen=True, eq=False)
class Gallery:
    """Who is known. A change gives another gallery.

    names       [rows]: whose embedding it is
    embeddings  float32 [rows, features]
    model       the fingerprint of what made them; empty where there are none yet
    threshold   up to which squared distance somebody is recognised; None: nobody has said
    """

    names: tuple[str, ...] = ()
    embeddings: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    model: str = ""
    threshold: float | None = None

    @property
    def people(self) -> dict[str, int]:
        """How many rows each has, in the order they were added."""
        return dict(Counter(self.names))

    def add(self, name: str, embeddings: Array, model: str) -> Gallery:
        """With further rows of this person; one that is there already, as of the very same picture, is left out.

        Raises E0623 (another model, too many rows), E0624 (the name).
        """
        self.demand_model(model)
        if not _is_name(name):
            raise fail("E0624", f"{name!r} is no name for somebody", help=f"1 to {LONGEST_NAME} letters, on one line")
        known = self.embeddings.reshape(-1, embeddings.shape[1])
        fresh = _fresh(known[[i for i, own in enumerate(self.names) if own == name]], embeddings.astype(np.float32))
        rows = np.concatenate([known, fresh])
        if len(rows) > MOST_ROWS:
            raise fail("E0623", f"a gallery holds at most {MOST_ROWS:,} pictures, this would be {len(rows):,}")
        return Gallery((*self.names, *[name] * len(fresh)), rows, model, self.threshold)

    def remove(self, name: str) -> Gallery:
        """Without this person. Raises E0624 where there is nobody of that name."""
        self.demand(name)
        kept = [i for i, own in enumerate(self.names) if own != name]
        return Gallery(tuple(self.names[i] for i in kept), self.embeddings[kept], self.model, self.threshold)

    def limited(self, threshold: float, model: str) -> Gallery:
        """With this threshold for embeddings of this model. Raises E0623 where the rows are of another one."""
        self.demand_model(model)
        return Gallery(self.names, self.embeddings, model, threshold)

    def distances(self, embeddings: Array) -> Array:
        """Squared, [samples, people]: the mean over the rows of each person."""
        x, rows = embeddings.astype(np.float64), self.embeddings.astype(np.float64)
        apart = np.stack([np.square(rows - own).sum(axis=1) for own in x]) if len(x) else np.zeros((0, len(rows)))
        number, counts = {name: i for i, name in enumerate(self.people)}, list(self.people.values())
        total = np.zeros((len(number), len(x)))
        np.add.at(total, [number[own] for own in self.names], apart.T)
        return total.T / counts

    def verify(self, name: str, embeddings: Array, threshold: float | None = None) -> list[Seen]:
        """Whether each sample is this person. Raises E0624 where there is nobody of that name, or no threshold."""
        self.demand(name)
        limit = self.limit(threshold)
        column = self.distances(embeddings)[:, list(self.people).index(name)]
        return [Seen(name, float(d), bool(d <= limit)) for d in column]

    def identify(self, embeddings: Array, threshold: float | None = None) -> list[Seen]:
        """The nearest person of each sample, the first of equals. Raises E0624 where there is no threshold."""
        limit, names = self.limit(threshold), list(self.people)
        if not names:
            return [Seen(None, float("inf"), False) for _ in embeddings]
        apart = self.distances(embeddings)
        best = apart.argmin(axis=1)
        return [Seen(names[k], float(row[k]), bool(row[k] <= limit)) for row, k in zip(apart, best, strict=True)]

    def limit(self, threshold: float | None = None) -> float:
        """The one given, or else the gallery's own. Raises E0624 where there is neither."""
        found = self.threshold if threshold is None else threshold
        if found is None:
            help = (
                "measure one on pictures of several people, two of each at least: "
                '`graphdsl gallery calibrate GALLERY MODEL "people/{person}/*.png"`; or give `--threshold`'
            )
            raise fail("E0624", "the gallery has no threshold yet, so nothing is near enough or too far", help=help)
        return found

    def demand(self, name: str) -> None:
        """Raises E0624 where there is nobody of that name."""
        if name not in self.names:
            people = list(self.people)
            listed = ", ".join(f"`{known}`" for known in people[:5]) + (" …" if len(people) > 5 else "")
            help = did_you_mean(name, people) or (f"it knows {listed}" if people else "it is empty")
            raise fail("E0624", f"nobody in the gallery is called `{name}`", help=help)

    def demand_model(self, model: str) -> None:
        """Raises E0623 where the rows, or the threshold, are of another model."""
        if self.model and model != self.model:
            message = "the gallery's embeddings were made by another model: distances to them mean nothing"
            help = "name the model it was made with (weights, layer and preprocess alike), or begin another gallery"
            raise fail("E0623", message, help=help)

    def save(self, path: Path) -> Path:
        """Writes it whole. Raises E0701."""
        told = {"kind": KIND, "names": json.dumps(self.names), "threshold": json.dumps(self.threshold)}
        return save_weights({ROWS: self.embeddings}, path, {**told, "model": self.model})


def read_gallery(path: Path) -> Gallery:
    """The gallery in a file. Raises E0604 (damaged), E0623 (no file, a file of something else)."""
    if not path.exists():
        raise fail("E0623", f"there is no gallery `{path}`", help=BEGIN)
    arrays, told = read_weights(path)
    try:
        names, threshold = json.loads(told["names"]), json.loads(told["threshold"])
        rows = arrays[ROWS]
        good = told["kind"] == KIND and isinstance(told["model"], str) and _named(names, rows) and _limit(threshold)
    except (KeyError, TypeError, ValueError, RecursionError):
        good = False
    if not good:
        raise fail("E0623", f"`{path}` is no gallery", help=BEGIN)
    return Gallery(tuple(names), rows, told["model"], threshold)


def _fresh(known: Array, rows: Array) -> Array:
    """Those of rows that are neither known nor equal to one before.

    Rows that are nearly equal have sums that are, so a row is compared with those of a near sum only. Signs are drawn
    for the sum, since of embeddings of length 1 many have the same plain one.
    """
    signs = np.random.default_rng(0).choice([-1.0, 1.0], rows.shape[1])
    together = np.concatenate([known, rows])
    sums = together.astype(np.float64) @ signs
    near = sorted((total, place) for place, total in enumerate(sums[: len(known)].tolist()))
    fresh = []
    for place in range(len(known), len(together)):
        row, total = together[place], float(sums[place])
        reach = 2 * SAME * float(np.abs(row).max()) * len(row)
        first, last = bisect_left(near, (total - reach, -1)), bisect_right(near, (total + reach, len(together)))
        others = together[[other for _, other in near[first:last]]]
        if not (np.abs(others - row).max(axis=1, initial=0) <= SAME * np.abs(row).max()).any():
            insort(near, (total, place))
            fresh.append(place)
    return together[fresh]


def _is_name(name: str) -> bool:
    """Whether it can be told on one line."""
    return bool(name.strip()) and len(name) <= LONGEST_NAME and name.isprintable()


def _named(names: Any, rows: Array) -> bool:
    """Whether a file's rows are embeddings, each with a name."""
    fits = isinstance(names, list) and all(isinstance(n, str) and _is_name(n) for n in names)
    plain = rows.dtype == np.float32 and rows.ndim == 2 and rows.shape[1] <= MOST_FEATURES
    return fits and plain and len(rows) == len(names) <= MOST_ROWS and bool(np.isfinite(rows).all())


def _limit(threshold: Any) -> bool:
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    return threshold is None or (number and bool(np.isfinite(threshold)) and threshold >= 0)


@dataclass(frozen=True, eq=False)
class Embedder:
    """What makes embeddings: a model, and the name of the tensor or layer that is one."""

    model: Model
    layer: str

    def of(self, samples: Any) -> Array:
        """[n, features], float32. Raises E0622 where one is no finite number, and what reading samples raises."""
        found = self.model.features(self.layer, samples)
        if not np.isfinite(found).all():
            raise fail("E0622", f"`{self.layer}` is no finite number for some samples", help="is the model trained?")
        return found.astype(np.float32)

    @property
    def fingerprint(self) -> str:
        """The same for the same layers with the same weights behind the same preprocess, and for no others."""
        spec, graph = self.model.spec, self.model.graph
        cut = graph.with_results([Result(self.layer, Role.OUTPUT, made_by(spec, self.layer))])
        needed = [name for name, _ in cut.items() if name in cut.needed()]
        steps = {name: steps.steps for name, steps in steps_of(spec).items() if name in needed}
        made = sha256(repr((sorted(steps.items()), self.model.metadata["states"])).encode())
        for name in needed:
            made.update(node_text(cut, name).encode())
            if isinstance(cut.node(name).op, Weight):
                made.update(np.ascontiguousarray(self.model.executor.weights[name]).tobytes())
        return made.hexdigest()


def embedder(model: Model, layer: str | None) -> Embedder:
    """layer: as the summary calls it, or a name of the spec; none: the only output that is a vector.

    Raises E0623 where it is no vector of 2 to MOST_FEATURES numbers, or where there is no such output, or several.
    """
    if layer is not None:
        value = made_by(model.spec, layer)
        if not _vector(value):
            raise _no_vector(f"`{layer}` is {value.type.describe()} for each sample, and an embedding is a vector")
        return Embedder(model, layer)
    found = [name for name, value in model.spec.outputs.items() if _vector(value)]
    if len(found) != 1:
        listed = ", ".join(f"`{name}`" for name in found)
        raise _no_vector(f"several outputs are vectors: {listed}" if found else "no output of the model is a vector")
    return Embedder(model, found[0])


def _vector(value: Value) -> bool:
    type = value.type
    size = type.channels if type.rank == 2 and type.dtype.is_float else 0
    return isinstance(size, int) and 1 < size <= MOST_FEATURES


def _no_vector(message: str) -> Failed:
    help = "`--features LAYER` says which layer is the embedding; `graphdsl show` lists them"
    return fail("E0623", message, help=help)


def judged(seen: Sequence[Seen], truth: Sequence[str], people: Mapping[str, int]) -> dict[str, int]:
    """How often a gallery was right, of samples whose names are known.

    of the people in the gallery: `known`, of these `recognised`, `confused` (taken for another) and `missed`;
    of strangers: `strangers`, of these `accepted`
    """
    pairs = list(zip(seen, truth, strict=True))
    own = [(s, t) for s, t in pairs if t in people]
    return {
        "known": len(own),
        "recognised": sum(s.known and s.name == t for s, t in own),
        "confused": sum(s.known and s.name != t for s, t in own),
        "missed": sum(not s.known for s, _ in own),
        "strangers": len(pairs) - len(own),
        "accepted": sum(s.known for s, t in pairs if t not in people),
    }
