"""The words a spec may use beside those of the grammar. They come from above: lang knows no layer and no reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from graphdsl.ir import INITIALIZERS, LAYERS, LOSSES, Entry, Registry, SectionKind
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """Registries by kind ("layer", "loss", "metric", "optimizer", "schedule", "callback", "reader", "augment",
    "preprocess", "initializer", "source") and kinds of sections by their word.

    A "source" makes a tensor of a file: its function gives a NumPy array.
    """

    registries: Mapping[str, Registry]
    sections: Mapping[str, SectionKind] = field(default_factory=dict)

    @staticmethod
    def of(*registries: Registry, sections: Mapping[str, SectionKind] | None = None) -> Vocabulary:
        """Layers, losses and initialisers, and what is given beside them."""
        every = (LAYERS, LOSSES, INITIALIZERS, *registries)
        return Vocabulary({r.kind: r for r in every}, sections or {})

    def entries(self, kind: str) -> Mapping[str, Entry]:
        """The words of one kind; none of a kind nobody registered."""
        return self.registries.get(kind, {})

    def find(self, name: str, *kinds: str) -> Entry | None:
        """The entry called name in the first of these kinds that has one; without kinds, in any."""
        for kind in kinds or tuple(self.registries):
            entry = self.entries(kind).get(name)
            if entry is not None:
                return entry
        return None
