"""Products of matrices: which tiles a block makes, and whether several share one: linear.cu."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, prod

from graphdsl.backends.cuda.array import DeviceArray, all_of
from graphdsl.backends.cuda.epilogue import PLAIN, Epilogue, epilogue_args, finishes
from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import Arrays, Gpu
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
LARGEST = (1 << 31) - 1


class product_args(Arguments):
    _fields_ = (
        *((n, address) for n in ("a", "b", "c", "sums", "came")),
        *((n, i64) for n in ("batch_a", "batch_b")),
        *((n, i32) for n in ("rows", "columns", "depth", "line_a", "line_b", "part", "time", "shift")),
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
    Tile(128, 128, 8, 8, 1, 16, 3, 0.7),
    Tile(64, 64, 8, 4, 2, 8, 3, 0.55),
    Tile(32, 32, 4, 4, 4, 8, 3, 0.4),
    Tile(16, 16, 4, 4, 16, 8, 3, 0.3),
    Tile(4, 32, 4, 4, 32, 4, 3, 0.2),
)


@dataclass(frozen=True)
class Sizes:
    """Of a product: so many times [rows, depth] times [depth, columns]."""

    batch: int
    rows: int
    columns: int
    depth: int

    def tiles(self, tile: Tile) -> int:
        return self.batch * ceil(self.rows / tile.rows) * ceil(self.columns / tile.columns)

    def best(self, processors: int) -> tuple[Tile, int]:
        """The tile, and into how many parts its sum is cut."""
        ways = self._ways(processors)
        return min(ways, key=lambda w: w[0].cycles(self.tiles(w[0]), self.depth, w[1], processors))

    def _ways(self, processors: int) -> Iterator[tuple[Tile, int]]:
        for tile in TILES:
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
    """One launch, whatever the sizes."""
    assert isinstance(op, MatMul)
    return multiplied(op, inputs[0], inputs[1], y, gpu, end)


def multiplied(
    op: MatMul,
    a: DeviceArray,
    b: DeviceArray,
    c: DeviceArray,
    gpu: Gpu,
    end: Epilogue = PLAIN,
    steps: Steps | None = None,
) -> Plan | None:
    """The product a · b into c; None where no kernel serves it."""
    if not all_of("float32", a, b, c) or max(a.size, b.size, c.size) > LARGEST:
        return None
    if c.size == 0:
        return Plan(())
    batch, (rows, columns) = prod(c.shape[:-2]), c.shape[-2:]
    swapped = columns == 1 < rows and not steps
    if swapped:
        op, a, b, rows, columns = MatMul(not op.transpose_b, not op.transpose_a), b, a, columns, rows
    sizes = Sizes(batch, rows, columns, a.shape[-2 if op.transpose_a else -1])
    tile, parts = sizes.best(gpu.device.processors)
    part = ceil(ceil(sizes.depth / parts) / tile.stage) * tile.stage if parts > 1 else sizes.depth
    parts, tiles = max(1, ceil(sizes.depth / max(part, 1))), sizes.tiles(tile)
    keeps = (gpu.room(tiles, parts, tile.rows * tile.columns), gpu.room(tiles, dtype="int32")) if parts > 1 else ()
    arguments = product_args(
        *(a.address, b.address, c.address),
        *((x.address for x in keeps) if keeps else (None, None)),
        *(rows * sizes.depth, columns * sizes.depth),
        *(rows, columns, sizes.depth, a.shape[-1], b.shape[-1], part),
        *((steps.time, steps.shift, steps.lengths.address if steps.lengths else None) if steps else (1, 0, None)),
        end.arguments,
    )
    unit = Unit("linear", _expression(op, tile, a, b, swapped, steps is not None), product_args, end.code)
    shared = tile.shared(op.transpose_a, op.transpose_b)
    return Plan((Launch(unit, (tiles, parts, 1), tile.threads, arguments, shared, keeps),))


def _expression(op: MatMul, tile: Tile, a: DeviceArray, b: DeviceArray, swapped: bool, steps: bool) -> str:
    """The kernel's name. Four numbers are copied at a time where every line begins at a multiple of 16 bytes."""
    ways = [
        f"{str(turned).lower()}, {4 if x.shape[-1] % 4 == 0 and x.address % 16 == 0 else 1}"
        for turned, x in ((op.transpose_a, a), (op.transpose_b, b))
    ]
    left = "steps_matrix" if steps else "plain_matrix"
    return f"product<{tile.text}, {left}, {', '.join(ways)}, {str(swapped).lower()}>"
