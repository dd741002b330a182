"""Factors of large products as bfloat16, each number once: pack.cu."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.launcher import THREADS, Gpu
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32, i64, u32
from graphdsl.report import dataclass

BLOCKS = 16
"""Blocks a processor, at most: each thread then makes several words."""


class pack_part(Arguments):
    _fields_ = (
        ("source", address),
        ("to", address),
        *((n, i64) for n in ("table", "group", "column", "k")),
        *((n, u32) for n in ("columns", "wide", "each")),
        *((n, i32) for n in ("depth", "by_column", "items", "blocks")),
    )


class pack_args(Arguments):
    _fields_ = (("parts", pack_part * 2),)


@dataclass(frozen=True)
class Lines:
    """How numbers lie: tables of columns, `wide` of them a group, of `depth` numbers; strides in floats."""

    tables: int
    columns: int
    wide: int
    depth: int
    table: int
    group: int
    column: int
    k: int

    @property
    def each(self) -> int:
        """Words of eight that a line is made of."""
        return ceil(self.depth / 8)

    @property
    def items(self) -> int:
        return self.tables * self.columns * self.each

    @property
    def pairs(self) -> int:
        """What a line counts in pairs of bfloat16, which are floats to the copies of tiles.cuh."""
        return 4 * self.each


def room_for(lines: Lines, gpu: Gpu) -> DeviceArray:
    return gpu.room(lines.items * 8, dtype="uint16")


def packed(parts: Sequence[tuple[Lines, DeviceArray, DeviceArray]], gpu: Gpu) -> Launch:
    """One launch that writes each array, lying so, into its room; one or two of them."""
    arguments = pack_args()
    for n, (lines, source, to) in enumerate(parts):
        blocks = min(ceil(lines.items / THREADS), BLOCKS * gpu.device.processors)
        strides = (lines.table, lines.group, lines.column, lines.k)
        counts = (lines.columns, lines.wide, lines.each, lines.depth)
        arguments.parts[n] = pack_part(
            source.address, to.address, *strides, *counts, lines.k != 1, lines.items, max(1, blocks)
        )
    blocks = sum(arguments.parts[n].blocks for n in range(len(parts)))
    keeps = tuple(to for _, _, to in parts)
    return Launch(Unit("pack", f"pack<{THREADS}>", pack_args), (blocks, 1, 1), THREADS, arguments, keeps=keeps)
