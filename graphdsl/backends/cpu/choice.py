"""Which way to calculate a 3x3 convolution is the fastest here: a model of the time that each takes, with rates that
are measured once on a machine and kept.

    direct   as other convolutions are: every product of the sum
    near     Winograd in blocks of tiles, which each thread keeps in its caches (winograd.py)
    far      Winograd with all tiles transformed first: each thread has its filters, whose weights it reads once

Winograd has a quarter of the products, but transforms what it reads and writes, and its weights are four times as
large. That pays where channels and pixels are many:

    weights           x  read from far, and made in every step of training   what small pictures lose by
    channels          x  transformed, however few products they are in       what few channels lose by

What rides on Winograd's tiles (a formula before, sums behind) is a pass of its own beside the direct way.

The rates are kept in the cache folder, one file for each processor, instruction set, number of threads and version of
the kernels. Where nothing can be written, rates of a typical machine serve, so that two runs choose alike.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from enum import Enum
from functools import cache
from hashlib import blake2b
from math import ceil, isfinite, log2
from pathlib import Path

from graphdsl.backends import kept
from graphdsl.backends.cpu.library import Library, processor
from graphdsl.backends.cpu.program import seconds
from graphdsl.backends.cpu.task import BINDERS, Machine, Plan, Step, room
from graphdsl.backends.cpu.winograd import POINTS, TILE, convolution, rows_of, tiles_at_once
from graphdsl.ir import Array, Call
from graphdsl.ops import Conv, ConvKernelGradient, Elementwise
from graphdsl.ops.expression import Operand
from graphdsl.report import dataclass

WORTH = 0.92
"""Winograd rounds a little more: it must save this much."""
CACHE = 1 << 18
"""Transformed weights that stay near between blocks of tiles."""
SUMS = 1 << 21
"""Sums of a kernel gradient that no cache of one thread holds; of fewer, some are still there."""
BUDGET, ROUNDS = 0.01, 3
"""Seconds for each thing that is measured, and in how many rounds."""
MEMORY = 4.5e9
"""Numbers a second that a thread reads of weights that come from memory: where they are measured they are nearer."""
PRODUCTS_HERE, MADE_HERE = 1.1, 1.5
"""What a product, and a number that is made, take longer with strides (conv_half.py)."""
STEP = 4e-6
"""Seconds that one more step takes: waking, waiting."""
SETTINGS = ((1, 1), ((1, 1), (1, 1)), (1, 1), 1)


class Way(Enum):
    DIRECT = "direct"
    NEAR = "near"
    FAR = "far"


@dataclass(frozen=True)
class Rates:
    """What all threads together do in a second.

    few, some, many  multiplications of direct convolutions of 16, 64 and 256 channels
    back_few, ...    the same of their kernel gradients
    streaming        numbers that a formula over large tensors reads and writes
    products         multiplications in Winograd's products
    transforms       numbers that Winograd makes of inputs, or takes to make results
    packing          transformed weights made
    reading          numbers read from far
    """

    few: float
    some: float
    many: float
    back_few: float
    back_some: float
    back_many: float
    streaming: float
    products: float
    transforms: float
    packing: float
    reading: float


NEVER = Rates(*(1e12,) * 7, *(1e3,) * 4)
"""While rates are measured, nothing is faster than the direct way."""


@dataclass(frozen=True)
class Work:
    """Of a convolution: results [batch, height, width, filters]; channels of the inputs.

    ahead, behind  numbers read and written by formulas before, by sums behind, where these do not ride on it
    """

    batch: int
    height: int
    width: int
    channels: int
    filters: int
    ahead: int = 0
    behind: int = 0

    @property
    def tiles(self) -> int:
        return self.batch * ceil(self.height / TILE) * ceil(self.width / TILE)

    @property
    def weights(self) -> int:
        """Transformed ones."""
        return POINTS * self.channels * self.filters


def convolution_way(work: Work, machine: Machine, *, fixed: bool) -> Way:
    """The fastest for a convolution or an input gradient. fixed: weights are transformed once, not in every run."""
    if not _possible(work, machine):
        return Way.DIRECT
    r, threads, lanes = rates(machine), machine.threads, machine.lanes
    filters, channels = ceil(work.filters / lanes) * lanes, ceil(work.channels / lanes) * lanes
    made = POINTS * work.tiles * (channels + filters)
    packing = 0.0 if fixed else work.weights / r.packing + STEP
    product = _products(work, machine) / r.products
    both = product + made / r.transforms + packing
    blocks = ceil(work.tiles / threads / tiles_at_once(work.channels, machine))
    once = work.weights / (min(r.reading, MEMORY * threads) if fixed else r.reading)
    again = (blocks * threads - 1) * work.weights / r.reading
    near = both + (0.0 if work.weights < CACHE else once + again)
    rows = min(1.0, work.tiles / rows_of(machine))
    far = both + product * (1 - rows) + once + 2 * made / r.reading + STEP + work.ahead / r.streaming
    passes = (work.ahead + work.behind) / r.streaming
    return _least(work, near, far, _between(work, r.few, r.some, r.many), machine, passes)


def gradient_way(work: Work, machine: Machine) -> Way:
    """The fastest for a kernel gradient."""
    if not _possible(work, machine):
        return Way.DIRECT
    r, threads, lanes = rates(machine), machine.threads, machine.lanes
    filters, channels = ceil(work.filters / lanes) * lanes, ceil(work.channels / lanes) * lanes
    sums, made = POINTS * channels * filters, POINTS * work.tiles * (channels + filters)
    both = _products(work, machine) / r.products + made / r.transforms + 2 * STEP
    blocks = ceil(work.tiles / threads / tiles_at_once(work.channels + work.filters, machine))
    missed = min(1.0, sums / SUMS)
    near = both + (2 * blocks * missed + 1) * threads * sums / r.reading
    far = both + (3 * made + 2 * sums) / r.reading
    return _least(work, near, far, _between(work, r.back_few, r.back_some, r.back_many), machine)


def shorter(work: Work, products: int, made: int, weights: int, machine: Machine, *, kernel: bool) -> bool:
    """Whether so many products of points, numbers of points and weights made take less time than the direct way.

    kernel  for a kernel gradient
    """
    r = rates(machine)
    rate = _between(work, r.back_few, r.back_some, r.back_many) if kernel else _between(work, r.few, r.some, r.many)
    spent = PRODUCTS_HERE * products / r.products + MADE_HERE * made / r.transforms + weights / r.packing
    return spent < WORTH * 9 * work.batch * work.height * work.width * work.channels * work.filters / rate


def _possible(work: Work, machine: Machine) -> bool:
    """Few channels are mostly transforms of vectors that they do not fill."""
    return machine.fast and work.tiles > 0 and 2 * work.channels >= machine.lanes


def _products(work: Work, machine: Machine) -> float:
    """Multiplications in Winograd's products; those with few filters count for more, as they do not fill a panel."""
    filters = ceil(work.filters / machine.lanes) * machine.lanes
    return POINTS * work.tiles * work.channels * filters * (1.3 if filters == machine.lanes else 1.0)


def _least(work: Work, near: float, far: float, rate: float, machine: Machine, passes: float = 0.0) -> Way:
    """passes: seconds of what rides on Winograd alone."""
    filters = ceil(work.filters / machine.lanes) * machine.lanes
    direct = passes + 9 * work.batch * work.height * work.width * work.channels * filters / rate
    if min(near, far) > WORTH * direct:
        return Way.DIRECT
    return Way.NEAR if near < far else Way.FAR


def _between(work: Work, few: float, some: float, many: float) -> float:
    """The rate for so many channels, from those of 16, 64 and 256."""
    at = min(max(log2(min(work.channels, work.filters)), 4.0), 8.0) / 2 - 2
    return few + (some - few) * at if at < 1 else some + (many - some) * (at - 1)


# --- rates -----------------------------------------------------------------------------------------------------------

_known: dict[str, Rates] = {}


def rates(machine: Machine) -> Rates:
    """Of this machine: measured now where they were never before."""
    name = name_of(machine.library)
    if name not in _known:
        found = _read(kept.text(name))
        if found is None and kept.writable():
            _known[name] = NEVER
            measured = _measured(machine)
            found = measured if kept.keep(name, json.dumps(asdict(measured), indent=1)) else None
        _known[name] = found or typical(machine)
    return _known[name]


@cache
def name_of(library: Library) -> str:
    """Of the file for this processor, these kernels and so many threads."""
    known = blake2b(Path(library.c._name).read_bytes(), digest_size=8)
    known.update(f"{processor()} {library.isa} {library.threads}".encode())
    return f"rates-{known.hexdigest()}.json"


def typical(machine: Machine) -> Rates:
    """Of a machine of which nothing is known but its vectors and threads, 3 GHz."""
    vectors = machine.lanes * machine.threads
    direct = (3e9 * vectors, 4e9 * vectors, 4.5e9 * vectors)
    return Rates(
        *direct, *direct, 4e9 * machine.threads, 4.5e9 * vectors, 6e8 * vectors, 2e8 * vectors, 4e9 * machine.threads
    )


def _read(text: str | None) -> Rates | None:
    """None where the text is missing or not what was written."""
    try:
        numbers = json.loads(text or "")
        found = Rates(**{f.name: float(numbers[f.name]) for f in fields(Rates)})
    except (ValueError, KeyError, TypeError):
        return None
    return found if all(isfinite(rate) and rate > 0 for rate in asdict(found).values()) else None


def _measured(machine: Machine) -> Rates:
    machine = replace(machine, fixed=frozenset({1}))
    few, some, many = (Work(2, 28, 28, 16, 16), Work(2, 28, 28, 64, 64), Work(1, 14, 14, 256, 256))
    direct = [_direct(machine, channels, back=back) for back in (False, True) for channels in (16, 64, 256)]
    direct.append(_streaming(machine))
    tried = [_winograd(machine, work, staged=work is many) for work in (some, few, many)]
    plans = [one.plan for one in (*direct, *tried)]
    *spent, fast, slow, far, packing = _least_seconds(machine, [*(p.steps for p in plans), plans[-1].once])
    # Two kinds of work, in different proportions: two equations.
    a, b = (_products(w, machine) for w in (some, few))
    c, d = (POINTS * w.tiles * (w.channels + w.filters) for w in (some, few))
    transform = max((slow - fast * b / a) / (d - c * b / a), 0.2 * slow / d)
    product = max((fast - c * transform) / a, 0.5 * fast / a)
    made = POINTS * many.tiles * 2 * many.channels
    rest = far - product * many.tiles * many.weights - transform * made
    reading = (many.weights + 2 * made) / max(rest, 0.1 * far)
    sums = tuple(one.count / time for one, time in zip(direct, spent, strict=True))
    return Rates(*(*sums, 1 / product, 1 / transform, many.weights / packing, reading))


@dataclass(frozen=True)
class _Tried:
    """A plan that is timed, the arrays that it works on, and its multiplications."""

    plan: Plan
    arrays: tuple[Array, ...]
    count: int


def _least_seconds(machine: Machine, plans: Sequence[Sequence[Step]]) -> list[float]:
    """Of each plan. On one thread, as if each were as fast: all would wait for one that others keep busy. In rounds:
    whoever else computes for a moment disturbs all plans, and once.
    """
    alone = [[replace(step, serial=True) for step in steps] for steps in plans]
    rounds = [[seconds(machine.library, steps, BUDGET / ROUNDS) for steps in alone] for _ in range(ROUNDS)]
    return [min(times) / machine.threads for times in zip(*rounds, strict=True)]


def _filled(*shape: int) -> Array:
    """Ones: zeros that nobody has written yet are all read from one page, which is near."""
    array = room(*shape)
    array.fill(1)
    return array


def _direct(machine: Machine, channels: int, *, back: bool) -> _Tried:
    """A direct convolution that takes about a millisecond on one thread, and its multiplications."""
    batch, side = {16: (8, 28), 64: (2, 28), 256: (1, 14)}[channels]
    x, kernel = _filled(batch, side, side, channels), _filled(3, 3, channels, channels)
    y = _filled(batch, side, side, channels)
    op = ConvKernelGradient(*SETTINGS, (3, 3)) if back else Conv(*SETTINGS)
    inputs, output = ((x, y), kernel) if back else ((x, kernel), y)
    plan = BINDERS[type(op)](Call(op.name, op, (0, 1), (2,)), inputs, (output,), machine)
    assert plan is not None
    return _Tried(plan, (x, kernel, y), kernel.size * batch * side * side)


def _streaming(machine: Machine) -> _Tried:
    """The sum of two tensors of 8 MB."""
    x, y, z = (_filled(1 << 21) for _ in range(3))
    op = Elementwise(Operand(0) + Operand(1), 2)
    plan = BINDERS[Elementwise](Call(op.name, op, (0, 1), (2,)), (x, y), (z,), machine)
    assert plan is not None
    return _Tried(plan, (x, y, z), 3 * x.size)


def _winograd(machine: Machine, work: Work, *, staged: bool) -> _Tried:
    """Steps without the transforms of weights; these are made once."""
    x = _filled(work.batch, work.height, work.width, work.channels)
    y = _filled(work.batch, work.height, work.width, work.filters)
    kernel = _filled(3, 3, work.channels, work.filters)
    return _Tried(convolution(x, kernel, y, (1, 1), machine, fixed=True, staged=staged), (x, kernel, y), 0)
