"""Where the same steps stand again: regions of a net with one tensor going in and one coming out.

Two kinds. A pair of steps, one behind the other; and all that lies between a merge and the one tensor that everything
in it comes from:

    x --> conv --> norm --+            the region that ends at add holds conv, norm and add; it reads x
     `--------------------add -->

Regions of equal build are one class; each of them becomes a use of a block.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphdsl.interop.parts import Flow, Part, leaves
from graphdsl.interop.wording import default_text
from graphdsl.ops import FORMULAS
from graphdsl.report import dataclass

LARGEST = 64
"""Parts of a region."""

NORMS = ("batch_norm", "layer_norm", "instance_norm", "group_norm", "scale", "local_response_norm", "dropout")
LEARNING = ("conv", "depthwise_conv", "separable_conv", "conv_transpose", "dense")

Build = tuple[Any, ...]


@dataclass(frozen=True)
class Region:
    """parts: in the order in which they are written, the last makes what comes out; source: what goes in."""

    parts: tuple[Part, ...]
    source: str

    @property
    def build(self) -> Build:
        """What regions of one class have in common: words, and who reads whom."""
        place = {t: (i, j) for i, part in enumerate(self.parts) for j, t in enumerate(part.outputs)}
        return tuple(
            (part.word, tuple(place.get(t, (-1, 0)) for t in part.inputs), len(part.outputs), _fixed(part))
            for part in self.parts
        )


def _fixed(part: Part) -> tuple[str, ...]:
    """Settings without a default that could be written: regions that lack them are of another class."""
    return tuple(sorted(n for n in part.texts if part.uses_block or default_text(part.word, n) is None))


def classes(flow: Flow) -> dict[Build, list[Region]]:
    """All regions, by their build; those of one class have no part in common."""
    found: dict[Build, list[Region]] = {}
    taken: dict[Build, set[tuple[str, ...]]] = {}
    for region in filter(None, (_ending_at(part, flow) for part in flow.parts)):
        build = region.build
        used = taken.setdefault(build, set())
        own = {p.outputs for p in region.parts}
        if not used & own:
            used |= own
            found.setdefault(build, []).append(region)
    return found


def _ending_at(part: Part, flow: Flow) -> Region | None:
    if part.alone or len(part.outputs) > 1:
        return None
    return _between(part, flow) if len(set(part.inputs)) > 1 else _pair(part, flow)


def _pair(part: Part, flow: Flow) -> Region | None:
    """A step and the one before it. Two of one word are no pair: `* 2` says it better.

    A pair does not begin with what belongs to the step before it, the relu of a convolution say.
    """
    before = flow.maker.get(part.inputs[0]) if part.inputs else None
    if before is None or before.alone or before.word == part.word or len(before.outputs) > 1:
        return None
    if len(set(before.inputs)) != 1 or not flow.within(before, (part,)) or _is_tail(before, flow):
        return None
    if not (trails(part) or (learns(before) and learns(part))):
        return None
    return Region((before, part), before.inputs[0])


def _is_tail(part: Part, flow: Flow) -> bool:
    """Whether it belongs to the one step that it reads."""
    maker = flow.maker.get(part.inputs[0])
    return maker is not None and trails(part) and flow.reads(part.inputs[0]) == 1


def trails(part: Part) -> bool:
    """Norms and activations, and blocks that begin with one: they stand behind something."""
    word = next(leaves(part)).word
    return word in NORMS or word in FORMULAS


def learns(part: Part) -> bool:
    """Blocks that begin with a layer of weights."""
    return part.uses_block and next(leaves(part)).word in LEARNING


def _between(part: Part, flow: Flow) -> Region | None:
    """A merge and all behind the tensor that everything in it comes from."""
    region = {part.outputs: part}
    open_ = set(part.inputs)
    while len(open_) > 1:
        latest = max(open_, key=lambda t: flow.place[flow.maker[t].outputs] if t in flow.maker else -1)
        maker = flow.maker.get(latest)
        if maker is None or maker.alone or len(region) == LARGEST:
            return None
        region[maker.outputs] = maker
        if not flow.within(maker, tuple(region.values())):
            return None
        open_ = (open_ - set(maker.outputs)) | set(maker.inputs)
    return Region(_ordered(part, region), open_.pop()) if open_ else None


def _ordered(last: Part, region: dict[tuple[str, ...], Part]) -> tuple[Part, ...]:
    """Operands before who reads them, first operand first: equal regions are listed alike."""
    maker = {t: part for part in region.values() for t in part.outputs}
    done: dict[tuple[str, ...], Part] = {}
    waiting = [(last, False)]
    while waiting:
        part, ready = waiting.pop()
        if ready:
            done.setdefault(part.outputs, part)
        elif part.outputs not in done:
            waiting.append((part, True))
            waiting += [(maker[t], False) for t in reversed(part.inputs) if t in maker]
    return tuple(done.values())


def replaced(parts: Sequence[Part], regions: Sequence[Region], word: str) -> list[Part]:
    """The parts, with a use of a block in place of each region, where its last part stood."""
    ends = {region.parts[-1].outputs: region for region in regions}
    inner = {part.outputs for region in regions for part in region.parts}
    made = []
    for part in parts:
        region = ends.get(part.outputs)
        if region is not None:
            made.append(Part(part.name, word, (region.source,), part.outputs, {}, inside=region.parts))
        elif part.outputs not in inner:
            made.append(part)
    return made
