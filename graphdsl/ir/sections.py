"""What a section of a spec may hold: `train { … }`, `search { … }`. Who runs a section registers its kind here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

from graphdsl.ir.domain import Domain
from graphdsl.report import dataclass


class Slot(StrEnum):
    """How a key of a section is read where a domain cannot say it."""

    LOSS = "loss"
    """Scalars to make small, one or a list: `[class, label] -> mse`."""
    METRICS = "metrics"
    """Tensors to watch, one or a list: `[class, label] -> accuracy`."""
    WEIGHTS = "weights"
    """Names whose weights are meant, one or a list: `freeze = body`."""
    RATES = "rates"
    """Names and what the learning rate of their weights is multiplied with, one such list or several: `[body, 0.1]`."""
    BOUNDS = "bounds"
    """Names and between which numbers their weights stay, one such list or several: `[canvas, 0, 1]`."""
    RECIPE = "recipe"
    """What is done to samples as they are read, one or a list: `image -> random_crop(224) -> flip`."""
    TENSORS = "tensors"
    """Tensors, one or a list: `show = [conv_a, conv_b]`."""


@dataclass(frozen=True)
class SectionSetting:
    """One key: what it takes, whether a section cannot do without it, and a line that explains it."""

    name: str
    takes: Slot | Domain
    required: bool = False
    doc: str = ""


@dataclass(frozen=True)
class SectionKind:
    """A word that opens a section, its keys, and the kinds of sections that may stand inside it."""

    name: str
    settings: tuple[SectionSetting, ...]
    nested: tuple[SectionKind, ...] = ()
    doc: str = ""

    def setting(self, name: str) -> SectionSetting | None:
        return next((s for s in self.settings if s.name == name), None)

    def inside(self, name: str) -> SectionKind | None:
        """The kind of section called name that may stand inside this one."""
        return next((k for k in self.nested if k.name == name), None)


class SectionKinds(Mapping[str, SectionKind]):
    """The kinds of sections, by their word."""

    def __init__(self) -> None:
        self._kinds: dict[str, SectionKind] = {}

    def add(self, kind: SectionKind) -> SectionKind:
        if kind.name in self._kinds:
            raise AssertionError(f"two kinds of section are called {kind.name}")
        self._kinds[kind.name] = kind
        return kind

    def __getitem__(self, name: str) -> SectionKind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


SECTIONS = SectionKinds()
