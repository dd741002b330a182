"""Blocks of a net that came without: what stands again and again is written once.

As long as it makes the text shorter: take the class of regions whose block saves the most, and put a use of that block
in place of each. Uses are parts like any other, so blocks come to stand in blocks: first `conv_bn`, then what has it.

    x -> conv(64, 3) -> batch_norm -> relu -> conv(128, 3) -> batch_norm -> relu
    block conv_bn_relu(c) = in -> conv(c, 3) -> batch_norm -> relu
    x -> conv_bn_relu(64) -> conv_bn_relu(128)

Settings that differ from use to use become settings of the block. Assumes nothing of where a net came from; leaves
equal neighbours (`* 3`) to the text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from graphdsl.interop.formals import Formals, formals
from graphdsl.interop.parts import Flow, Part
from graphdsl.interop.regions import Build, Region, classes, replaced
from graphdsl.interop.titles import title
from graphdsl.report import dataclass

LEAST_SAVED = 4
"""Words that a block must save to be worth its name."""

MOST_BLOCKS = 40


@dataclass(frozen=True)
class Block:
    """word: what it is called; region: its first use, which its text is made of."""

    word: str
    formals: Formals
    region: Region


_Found = tuple[str, tuple[Region, ...]]
"""A sign for a block, which has no name yet, and the regions that it stands for."""


def with_blocks(
    parts: Sequence[Part], kept: Mapping[str, str], names: Sequence[str] = ()
) -> tuple[list[Part], list[Block]]:
    """The parts with uses of blocks in them, and those blocks, inner ones first.

    kept   tensors that must not vanish in a block
    names  that blocks may not have
    """
    found: list[_Found] = []
    current = list(parts)
    while len(found) < MOST_BLOCKS:
        best = _best(classes(Flow(current, kept)), Counter(part.word for part in current))
        if best is None:
            break
        found.append((f"#{len(found)}", best))
        current = replaced(current, best, found[-1][0])
    return _settled(current, _needed(current, found), names)


def _best(found: Mapping[Build, Sequence[Region]], words: Mapping[str, int]) -> tuple[Region, ...] | None:
    """The regions whose block saves the most words. words: how often each stands in the text."""
    scored = [(_saved(regions, words), -i, regions) for i, regions in enumerate(found.values()) if len(regions) > 1]
    best = max(scored, default=(0, 0, ()), key=lambda s: s[:2])
    return tuple(best[2]) if best[0] >= LEAST_SAVED else None


def _saved(regions: Sequence[Region], words: Mapping[str, int]) -> int:
    first, last = regions[0].parts[0], regions[0].parts[-1]
    if first.uses_block and len(regions[0].parts) == 2 and words[first.word] == len(regions):
        # It always stands behind that block, and can stand in it.
        return LEAST_SAVED + len(regions) * (1 + len(last.texts))
    told = formals([r.parts for r in regions])
    body = sum(1 + len(part.texts) for part in regions[0].parts)
    use = 1 + len(told.required)
    unusual = sum(len(call) for call in told.unusual)
    return len(regions) * (body - use) - unusual - (body + 2 + len(told.names))


def _needed(current: Sequence[Part], found: Sequence[_Found]) -> list[_Found]:
    """Blocks, less those that one other block alone has a use for: their text stands there instead."""
    bodies = [regions[0].parts for _, regions in found]
    places = [part.word for body in [current, *bodies] for part in body if part.uses_block]
    lonely = {word for word, _ in found if places.count(word) == 1}
    return [(w, tuple(_opened(r, lonely) for r in regions)) for w, regions in found if w not in lonely]


def _opened(region: Region, lonely: set[str]) -> Region:
    parts = region.parts
    while any(part.word in lonely for part in parts):
        parts = tuple(q for p in parts for q in (p.inside if p.word in lonely else (p,)))
    return Region(parts, region.source)


def _settled(current: Sequence[Part], found: Sequence[_Found], names: Sequence[str]) -> tuple[list[Part], list[Block]]:
    """The same with names, and with every use of a block knowing its settings. Inner blocks come first."""
    blocks: list[Block] = []
    known: dict[tuple[str, tuple[str, ...]], Part] = {}
    for sign, regions in found:
        inner = [tuple(known.get((p.word, p.outputs), p) for p in region.parts) for region in regions]
        told = formals(inner)
        word = title(inner, [*names, *(block.word for block in blocks)])
        blocks.append(Block(word, told, Region(inner[0], regions[0].source)))
        for region, parts, call in zip(regions, inner, told.calls, strict=True):
            last = parts[-1]
            known[sign, last.outputs] = Part(last.name, word, (region.source,), last.outputs, call, inside=parts)
    return [known.get((part.word, part.outputs), part) for part in current], blocks
