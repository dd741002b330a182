"""What stands in one place of a text: a layer, or a use of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from graphdsl.interop.net import ARITHMETIC, WEIGHT, Layer
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Part:
    """One step, ready to be written.

    texts   settings by name, as they are written
    layer   the step itself; None where it is a use of a block, which is then called word
    inside  the parts that a block's use stands for
    alone   it is in no block: shared layers and constants
    """

    name: str
    word: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    texts: Mapping[str, str]
    layer: Layer | None = field(default=None, repr=False)
    inside: tuple[Part, ...] = field(default=(), repr=False)
    alone: bool = False

    @property
    def arithmetic(self) -> bool:
        return self.word in ARITHMETIC

    @property
    def constant(self) -> bool:
        return self.word == WEIGHT

    @property
    def uses_block(self) -> bool:
        return bool(self.inside)


class Flow:
    """Who makes and who reads each tensor of a list of parts. kept: tensors that others read as well."""

    def __init__(self, parts: Sequence[Part], kept: Mapping[str, str]) -> None:
        self.parts = parts
        self.kept = kept
        self.place = {part.outputs: i for i, part in enumerate(parts)}
        self.maker = {t: p for p in parts for t in p.outputs}
        self.readers: dict[str, list[Part]] = {t: [] for t in self.maker}
        for part in parts:
            for tensor in part.inputs:
                self.readers.setdefault(tensor, []).append(part)

    def reads(self, tensor: str) -> int:
        return len(self.readers.get(tensor, ()))

    def within(self, part: Part, region: Sequence[Part]) -> bool:
        """Whether nothing outside of region reads what part makes."""
        own = {p.outputs for p in region}
        return all(t not in self.kept and all(r.outputs in own for r in self.readers[t]) for t in part.outputs)


def leaves(part: Part) -> Iterator[Part]:
    """The steps that a part stands for, blocks taken apart."""
    if not part.inside:
        yield part
    for inner in part.inside:
        yield from leaves(inner)


def beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    size = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))
    return low[:size]
