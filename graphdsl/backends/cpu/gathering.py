"""What is gathered of the results of a convolution while they are stored: moments, or sums of formulas.

Σ y                 y, the results
Σ y * (x - mean)    up to two of them; x of y's shape, mean one number a channel
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from math import ceil

import numpy as np

from graphdsl.backends.cpu.task import Arrays, Machine, Step, Task, address, all_float32, i64, pointer, room
from graphdsl.ir import Array
from graphdsl.ops.expression import Apply, Expression, Operand
from graphdsl.report import dataclass

PANEL = 32
MOMENTS, SUMS = 1, 2
"""As in gathering.h."""


class Statistics(ctypes.Structure):
    """Those of a share of the work: `statistics` in gathering.h."""

    _fields_ = (("count", i64), ("wide", i64), ("sums", address), ("pivots", address))


class gathered_moments_task(Task):
    _fields_ = (("parts", address), ("count", i64), ("filters", i64), ("mean", address), ("variance", address))


class gathered_sums_task(Task):
    _fields_ = (
        *(("parts", address), ("count", i64), ("filters", i64)),
        *((n, address) for n in ("sums", "products", "second_products")),
    )


@dataclass(frozen=True)
class Gathered:
    """outputs  mean and variance; or Σ y, or None, and for each of the factors (x, mean) the sum of its products."""

    kind: int
    outputs: tuple[Array | None, ...]
    factors: tuple[tuple[Array, Array], ...] = ()

    @property
    def keeps(self) -> tuple[Array, ...]:
        return tuple(a for a in self.outputs if a is not None) + tuple(a for pair in self.factors for a in pair)


def moments_of(outputs: Arrays) -> Gathered:
    return Gathered(MOMENTS, tuple(outputs))


def sums_of(formulas: Sequence[Expression], y: Array, others: Arrays, outputs: Arrays) -> Gathered | None:
    """None where one of the formulas, whose operand 0 is y, is none of those that can be gathered."""
    plain: Array | None = None
    factors: list[tuple[Array, Array]] = []
    products: list[Array] = []
    if not all_float32(y, *others, *outputs):
        return None
    for formula, output in zip(formulas, outputs, strict=True):
        if formula == Operand(0) and plain is None:
            plain = output
            continue
        factor = _factor(formula, y, others)
        if factor is None:
            return None
        factors.append(factor)
        products.append(output)
    return Gathered(SUMS + len(factors), (plain, *products), tuple(factors)) if len(factors) <= 2 else None


def _factor(formula: Expression, y: Array, others: Arrays) -> tuple[Array, Array] | None:
    """What y is multiplied by: x, and what is subtracted from it."""
    match formula:
        case Apply("multiply", (Operand(0), factor)) | Apply("multiply", (factor, Operand(0))):
            pass
        case _:
            return None
    match factor:
        case Operand(i) if i:
            x, mean = others[i - 1], room(y.shape[-1])
        case Apply("subtract", (Operand(i), Operand(j))) if i and j:
            x, mean = others[i - 1], others[j - 1]
        case _:
            return None
    by_channel = mean.ndim and mean.size == mean.shape[-1] == y.shape[-1]
    return (x, mean) if x.shape == y.shape and by_channel else None


class Shares:
    """Room for what every thread's share of each of several sweeps gathers."""

    def __init__(self, what: Gathered, sweeps: int, filters: int, machine: Machine) -> None:
        wide = ceil(filters / PANEL) * PANEL
        self.what, self.filters, self.count = what, filters, sweeps * machine.threads
        self.sums = room(self.count, 3, wide, dtype=np.float64)
        self.pivots = room(self.count, wide)
        rows = (Statistics(0, wide, pointer(s), pointer(p)) for s, p in zip(self.sums, self.pivots, strict=True))
        self.parts = (Statistics * self.count)(*rows)
        self.threads = machine.threads

    def of(self, sweep: int) -> int:
        """Where the shares of a sweep lie."""
        return ctypes.addressof(self.parts) + sweep * self.threads * ctypes.sizeof(Statistics)

    def fields(self, sweep: int = 0, start: int = 0) -> dict[str, int]:
        """What a task says of what is gathered; the sweep's first result is number start of y."""
        named = zip(("", "second_"), self.what.factors, strict=False)
        arrays = {f"{which}{name}": a for which, pair in named for name, a in zip(("other", "mean"), pair, strict=True)}
        factors = {name: pointer(a) + 4 * start * name.endswith("other") for name, a in arrays.items()}
        return {"gathers": self.what.kind, "statistics": self.of(sweep)} | factors

    def ended(self, machine: Machine) -> Step:
        """The step that puts them together."""
        name = "gathered_moments" if self.what.kind == MOMENTS else "gathered_sums"
        where = [0 if a is None else pointer(a) for a in self.what.outputs]
        kind = gathered_moments_task if self.what.kind == MOMENTS else gathered_sums_task
        task = kind(self.of(0), self.count, self.filters, *where)
        task.keeps = self.parts
        return machine.step(name, task, serial=True, keeps=(self.sums, self.pivots, *self.what.keeps))
