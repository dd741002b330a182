"""Products in tiles: which tile, and how many blocks share the k of one. The kernels that use it include tiles.cuh."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.launcher import Gpu
from graphdsl.report import dataclass

STAGES = 3
DEEP = 4
"""Tiles of k that a share must have at least, or the copies are never ahead of the sums."""
MOST = 32
"""Blocks that share a tile, at most: the last of them adds up what all have left."""
BEGIN = 3
"""What a block does before and after its sums, in tiles of k."""
APART = 1.2e6
"""What a second launch takes that adds up what blocks have left, in sums of the quickest tile."""


@dataclass(frozen=True)
class Tile:
    """rows x columns results a block, depth of k at a time.

    down, along  results of a lane on plain units, of a warp with tensor cores
    speed        sums in a time, beside other tiles of the same units
    lanes        of a warp along the columns, on plain units
    """

    rows: int
    columns: int
    depth: int
    down: int
    along: int
    speed: float
    lanes: int = 8

    def sums(self, precision: str) -> str:
        """The type that adds them up, in CUDA. precision: also "pairs", of bfloat16 in memory."""
        sizes = f"{self.rows}, {self.columns}, {self.depth}, {self.down}, {self.along}"
        if precision == "float32":
            return f"plain_sums<{sizes}, {self.lanes}>"
        return f"tensor_sums<{sizes}, {precision.upper()}>"

    def threads(self, precision: str) -> int:
        lanes = (32 // self.lanes, self.lanes) if precision == "float32" else (1, 1)
        return 32 * (self.rows // (lanes[0] * self.down)) * (self.columns // (lanes[1] * self.along))

    @property
    def shared(self) -> int:
        """Bytes of shared memory: the ring of tiles, and then the results."""
        return 4 * max(STAGES * (self.rows + self.columns) * self.depth, self.rows * self.columns)


PLAIN = (
    Tile(128, 128, 16, 8, 8, 1.0),
    Tile(64, 64, 16, 4, 8, 0.8),
    Tile(128, 32, 16, 8, 4, 0.65),
    Tile(128, 16, 16, 4, 4, 0.5, lanes=4),
    Tile(32, 32, 16, 4, 4, 0.4),
)
TENSOR = (
    Tile(128, 128, 32, 64, 64, 1.0),
    Tile(128, 64, 32, 64, 32, 0.85),
    Tile(64, 64, 32, 32, 32, 0.7),
    Tile(128, 32, 32, 32, 32, 0.6),
    Tile(32, 32, 32, 32, 32, 0.2),
)
NARROW = (
    Tile(128, 64, 16, 64, 32, 0.85),
    Tile(64, 64, 16, 32, 32, 0.7),
    Tile(64, 32, 16, 32, 32, 0.5),
)
"""With tensor cores where floats are copied one by one: a thread keeps fewer places."""


@dataclass(frozen=True)
class Cut:
    """How a product is cut: tiles down, along and `others` (groups, matrices), shares of `deep` tiles of k each."""

    tile: Tile
    down: int
    along: int
    others: int
    shares: int
    deep: int

    @property
    def grid(self) -> tuple[int, int, int]:
        return self.down * self.along, self.shares, self.others

    def workspace(self, gpu: Gpu) -> tuple[DeviceArray, ...]:
        """Partial sums and counters, where blocks share tiles."""
        if self.shares == 1:
            return ()
        tiles = self.down * self.along * self.others
        made = self.tile.rows * self.tile.columns
        return gpu.room(tiles, self.shares, made), gpu.room(tiles, dtype="int32")


def cut(
    rows: int, columns: int, k: int, others: int, gpu: Gpu, precision: str, *, quads: bool = True, most: int = MOST
) -> Cut:
    """The way that takes the least time on so many processors.

    quads  whether both factors are copied in quads
    most   blocks that may share a tile; where more than MOST do, another launch adds up what they leave
    """
    tiles = PLAIN if precision == "float32" else TENSOR if quads else NARROW
    ways = (way for tile in tiles for way in _ways(tile, rows, columns, k, others, most))
    return min(ways, key=lambda way: _time(way, gpu))


def _ways(tile: Tile, rows: int, columns: int, k: int, others: int, most: int) -> Iterable[Cut]:
    down, along, deep = ceil(rows / tile.rows), ceil(columns / tile.columns), max(1, ceil(k / tile.depth))
    shares = 1
    while shares == 1 or (shares <= most and deep >= shares * DEEP):
        each = ceil(deep / shares)
        yield Cut(tile, max(1, down), max(1, along), others, ceil(deep / each), each)
        shares *= 2


def _time(way: Cut, gpu: Gpu) -> float:
    """Rounds of blocks, each as long as its sums; the last share reads what the others have left."""
    tile = way.tile
    blocks = way.down * way.along * way.others * way.shares
    rounds = max(1.0, blocks / gpu.device.processors)
    whole = ceil(rounds) if rounds < 4 else rounds
    ending = 0 if way.shares == 1 else 8 + way.shares if way.shares <= MOST else 8
    each = (way.deep + BEGIN) * tile.depth + ending
    return whole * each * tile.rows * tile.columns / tile.speed + (APART if way.shares > MOST else 0)
