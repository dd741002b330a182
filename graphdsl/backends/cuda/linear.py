"""Products of matrices: which tiles a block makes, and whether several share one: linear.cu."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, prod

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.conv import LAUNCHING, MOVING, PAIRING, ROUNDING
from graphdsl.backends.cuda.divider import divider, divider_of
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args, finishes
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu
from graphdsl.backends.cuda.pack import Lines, packed, room_for
from graphdsl.backends.cuda.tiles import STAGES, Cut, cut
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32, i64
from graphdsl.ir import Operator
from graphdsl.ops import MatMul
from graphdsl.report import dataclass

LATENCY = 800
"""Cycles from asking for numbers of global memory until they are there."""
SHARING = 2500
"""Cycles that it costs to see which part of a tile is the last."""
MULTIPLYING, LOADING = 128, 48
"""Multiplications and bytes of a processor in a cycle."""
PARTS = 64
"""Into how many parts the sum of a tile is cut at most."""
LARGEST, MOST_BATCHES = (1 << 31) - 1, 65535


class product_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("a", "b", "c", "sums", "came")),
        *((n, i64) for n in ("batch_a", "batch_b")),
        *((n, i32) for n in ("rows", "columns", "depth", "line_a", "line_b", "part", "shift")),
        ("time", divider),
        ("lengths", address),
        ("epilogue", epilogue_args),
    )


@dataclass(frozen=True)
class Tile:
    """What a block makes: see product.cuh.

    high, wide  of a thread
    quick       which part of a processor's multiplications it comes to
    """

    rows: int
    columns: int
    high: int
    wide: int
    groups: int
    depth: int
    stages: int
    quick: float

    @property
    def text(self) -> str:
        numbers = (self.rows, self.columns, self.high, self.wide, self.groups, self.depth, self.stages)
        return f"tile<{', '.join(map(str, numbers))}>"

    @property
    def threads(self) -> int:
        return self.rows // self.high * (self.columns // self.wide) * self.groups

    @property
    def stage(self) -> int:
        """How many k are in shared memory at once, for each of the stages."""
        return self.groups * self.depth

    def shared(self, turn_a: bool, turn_b: bool) -> int:
        """Bytes of shared memory: the stages, then the sums of the groups."""
        left = self.stage * self.rows if turn_a else (self.stage + 4) * self.rows
        right = (self.stage + 4) * self.columns if turn_b else self.stage * self.columns
        return 4 * max(self.stages * (left + right), self.groups * self.rows * (self.columns + 4))

    def cycles(self, tiles: int, depth: int, parts: int, processors: int) -> float:
        """About how long so many tiles take with sums of so many numbers, each cut into parts."""
        depth = ceil(depth / parts)
        multiplying = self.rows * self.columns * depth / (MULTIPLYING * self.quick)
        loading = 4 * (self.rows + self.columns) * depth / LOADING
        waiting = LATENCY * (1 + depth / (self.stage * (self.stages - 1)))
        waves = ceil(tiles * parts / processors)
        adding = SHARING + 4 * parts * self.rows * self.columns / LOADING if parts > 1 else 0.0
        return max(waves * max(multiplying, loading), waiting) + adding


TILES = (
    Tile(32, 32, 4, 4, 4, 8, 3, 0.4),
    Tile(16, 16, 4, 4, 16, 8, 3, 0.3),
    Tile(4, 32, 4, 4, 32, 4, 3, 0.2),
)
"""The small ones; large ones are in tiles.py."""
STEP_TILES = TILES[1:]
"""Where a's lines are steps of sequences: with more results a thread, sm_100 spills registers."""
FASTER = {"float32": 0.8, "tf32": 3.0, "bf16": 5.0}
"""Multiplications in a cycle in the best of the large tiles, in parts of MULTIPLYING."""


@dataclass(frozen=True)
class Sizes:
    """Of a product: so many times [rows, depth] times [depth, columns]."""

    batch: int
    rows: int
    columns: int
    depth: int

    def tiles(self, tile: Tile) -> int:
        return self.batch * ceil(self.rows / tile.rows) * ceil(self.columns / tile.columns)

    def best(self, processors: int, steps: bool = False) -> tuple[Tile, int]:
        """The tile, and into how many parts its sum is cut. steps: where a's lines are steps of sequences."""
        ways = self._ways(processors, STEP_TILES if steps else TILES)
        return min(ways, key=lambda w: w[0].cycles(self.tiles(w[0]), self.depth, w[1], processors))

    def _ways(self, processors: int, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, int]]:
        for tile in tiles:
            most = min(PARTS, self.depth // tile.stage, 2 * processors // self.tiles(tile))
            yield from ((tile, parts) for parts in range(1, max(most, 1) + 1))


@dataclass(frozen=True)
class Steps:
    """Of a left matrix, transposed, whose lines are steps of sequences: each is read `shift` steps off; those behind
    the ends and the lengths are zeros.

    lengths  int32 [batch], or None
    """

    time: int
    shift: int
    lengths: DeviceArray | None


@finishes(MatMul)
def matmul(op: Operator, inputs: Arrays, y: DeviceArray, gpu: Gpu, end: Epilogue) -> Plan | None:
    """One launch, but for very large products in bfloat16, whose factors are packed before."""
    assert isinstance(op, MatMul)
    return multiplied(op, inputs[0], inputs[1], y, gpu, end, fixed=1 in gpu.fixed)


def multiplied(
    op: MatMul,
    a: DeviceArray,
    b: DeviceArray,
    c: DeviceArray,
    gpu: Gpu,
    end: Epilogue = PLAIN,
    steps: Steps | None = None,
    *,
    fixed: bool = False,
) -> Plan | None:
    """The product a · b into c; None where no kernel serves it. fixed: b is the same in every run."""
    if not all_of("float32", a, b, c) or max(a.size, b.size, c.size) > LARGEST:
        return None
    if c.size == 0:
        return Plan(())
    batch, (rows, columns) = prod(c.shape[:-2]), c.shape[-2:]
    swapped = columns == 1 < rows and not steps
    if swapped:
        op, a, b, rows, columns = MatMul(not op.transpose_b, not op.transpose_a), b, a, columns, rows
    sizes = Sizes(batch, rows, columns, a.shape[-2 if op.transpose_a else -1])
    product = Product(op, a, b, c, sizes, steps, swapped, end)
    if _worth_packing(product, gpu, fixed):
        return product.packed(gpu, fixed)
    tile, parts = sizes.best(gpu.device.processors, steps is not None)
    small = tile.cycles(sizes.tiles(tile), sizes.depth, parts, gpu.device.processors)
    way = product.cut(gpu, gpu.precision)
    if rows > 1 < columns and batch <= MOST_BATCHES and _cycles(way, gpu) < small:
        return Plan((product.large(way, gpu, gpu.precision),))
    return Plan((product.small(tile, parts, gpu),))


def _worth_packing(product: Product, gpu: Gpu, fixed: bool) -> bool:
    """Whether sums of pairs of bfloat16 save more than making them takes."""
    sizes = product.sizes
    if gpu.precision != "bf16" or product.steps or sizes.batch > MOST_BATCHES:
        return False
    saved = sizes.batch * sizes.rows * sizes.columns * sizes.depth * (1 / ROUNDING - 1 / PAIRING)
    moved = 6 * (product.a.size + (0 if fixed else product.b.size))
    return saved > moved / MOVING + LAUNCHING * gpu.device.processors


def _cycles(way: Cut, gpu: Gpu) -> float:
    """About how long large tiles take."""
    tile, depth = way.tile, way.deep * way.tile.depth
    multiplying = tile.rows * tile.columns * depth / (MULTIPLYING * tile.speed * FASTER[gpu.precision])
    loading = 4 * (tile.rows + tile.columns) * depth / LOADING
    waves = ceil(way.down * way.along * way.others * way.shares / gpu.device.processors)
    waiting = LATENCY * (1 + way.deep / (STAGES - 1))
    adding = SHARING + 4 * way.shares * tile.rows * tile.columns / LOADING if way.shares > 1 else 0.0
    return max(waves * max(multiplying, loading), waiting) + adding


@dataclass(frozen=True)
class Product:
    """c = a · b. swapped: c is a column, and a row of this product."""

    op: MatMul
    a: DeviceArray
    b: DeviceArray
    c: DeviceArray
    sizes: Sizes
    steps: Steps | None
    swapped: bool
    end: Epilogue

    @property
    def quads(self) -> tuple[bool, bool]:
        """Whether each factor can be copied 16 bytes at a time: every line begins at a multiple of that."""
        a, b = (x.shape[-1] % 4 == 0 and x.address % 16 == 0 for x in (self.a, self.b))
        return a, b

    def small(self, tile: Tile, parts: int, gpu: Gpu) -> Launch:
        """The launch in tiles of product.cuh."""
        depth = self.sizes.depth
        part = ceil(ceil(depth / parts) / tile.stage) * tile.stage if parts > 1 else depth
        parts, tiles = max(1, ceil(depth / max(part, 1))), self.sizes.tiles(tile)
        keeps = (gpu.room(tiles, parts, tile.rows * tile.columns), gpu.room(tiles, dtype="int32")) if parts > 1 else ()
        steps, swapped = _word(self.steps is not None), _word(self.swapped)
        name = f"product<{tile.text}, {steps}, {self.ways(*self.quads)}, {swapped}>"
        shared = tile.shared(self.op.transpose_a, self.op.transpose_b)
        return Launch(self.unit(name), (tiles, parts, 1), tile.threads, self.arguments(part, keeps), shared, keeps)

    def cut(self, gpu: Gpu, precision: str) -> Cut:
        """Into tiles of tiles.cuh. Steps take registers, as single floats do."""
        sizes, plain = self.sizes, self.quads == (True, True) and not self.steps
        return cut(sizes.rows, sizes.columns, sizes.depth, sizes.batch, gpu, precision, quads=plain)

    def packed(self, gpu: Gpu, fixed: bool) -> Plan:
        """Both factors become bfloat16 first, with k side by side."""
        sizes, (rows, columns, depth) = self.sizes, (self.sizes.rows, self.sizes.columns, self.sizes.depth)
        over_a, over_b = (
            (1, rows) if self.op.transpose_a else (depth, 1),
            (depth, 1) if self.op.transpose_b else (1, columns),
        )
        left = Lines(sizes.batch, rows, rows, depth, rows * depth, 0, *over_a)
        right = Lines(sizes.batch, columns, columns, depth, columns * depth, 0, *over_b)
        a, b = (_floats(room_for(lines, gpu), lines) for lines in (left, right))
        parts = [(left, self.a, a), (right, self.b, b)]
        pairs = replace(sizes, depth=left.pairs)
        product = replace(self, op=MatMul(False, True), a=a, b=b, sizes=pairs)
        sums = product.large(product.cut(gpu, "pairs"), gpu, "pairs")
        once = (packed(parts[1:], gpu),) if fixed else ()
        return Plan((packed(parts[:1] if fixed else parts, gpu), sums), once)

    def large(self, way: Cut, gpu: Gpu, precision: str) -> Launch:
        """The launch in tiles of tiles.cuh. Plain units read columns of b side by side, so that rows are turned."""
        a, b = self.quads
        ways = self.ways(a, b and (precision != "float32" or not self.op.transpose_b))
        name = f"product_in_tiles<{way.tile.sums(precision)}, {STAGES}, {_word(self.steps is not None)}, {ways}>"
        keeps, threads = way.workspace(gpu), way.tile.threads(precision)
        arguments = self.arguments(way.deep * way.tile.depth, keeps)
        return Launch(self.unit(name), way.grid, threads, arguments, way.tile.shared, keeps)

    def ways(self, quads_a: bool, quads_b: bool) -> str:
        """How the factors lie and are copied, for the compiler."""
        op = self.op
        return f"{_word(op.transpose_a)}, {4 if quads_a else 1}, {_word(op.transpose_b)}, {4 if quads_b else 1}"

    def unit(self, name: str) -> Unit:
        return Unit("linear", name, product_args, self.end.code)

    def arguments(self, part: int, room: Sequence[DeviceArray]) -> product_args:
        sizes, steps = self.sizes, self.steps
        return product_args(
            *(self.a.address, self.b.address, self.c.address),
            *((x.address for x in room) if room else (None, None)),
            *(sizes.rows * sizes.depth, sizes.columns * sizes.depth),
            *(sizes.rows, sizes.columns, sizes.depth, self.a.shape[-1], self.b.shape[-1], part),
            *(
                (steps.shift, divider_of(steps.time), steps.lengths.address if steps.lengths else None)
                if steps
                else (0, divider(), None)
            ),
            self.end.arguments,
        )


def _floats(room: DeviceArray, lines: Lines) -> DeviceArray:
    """Pairs of bfloat16 as the floats that copies take them for."""
    return DeviceArray(room.memory, room.address, (lines.tables, lines.columns, lines.pairs), np.dtype("float32"))


def _word(truth: bool) -> str:
    return str(truth).lower()
