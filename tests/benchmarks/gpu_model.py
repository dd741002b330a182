"""How long a step should take on a GPU, by arithmetic: so that the first run on one is a test of the arithmetic.

    python tests/benchmarks/gpu_model.py                      all networks, H100 and H200
    python tests/benchmarks/gpu_model.py --nets lenet --calls 20   with the calls that take longest
    python tests/benchmarks/gpu_model.py --write              to results/gpu_predictions.json

A launch takes LAUNCH and then the longest of: its bytes through memory; its sums, of whole tiles, on the units that add
them; what its tiles read of the second cache and of shared memory. A step takes its longest chain of launches, or all
its work where that is more, and what the host does. README.md has the figures and where the constants come from.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil, prod
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from graphdsl.backends.cuda.calls import Fallback, Native  # noqa: E402
from graphdsl.backends.cuda.launch import Launch  # noqa: E402
from graphdsl.backends.cuda.tiles import BEGIN, STAGES  # noqa: E402
from graphdsl.ir import DType, TensorType, evaluate  # noqa: E402
from graphdsl.ops import Fused  # noqa: E402
from tests.benchmarks.cases import CASES, TRAIN  # noqa: E402
from tests.benchmarks.planned import Net, Planned, PlannedDevice, planned  # noqa: E402

RESULTS = Path(__file__).with_name("results")
LAUNCH = 2.5
"""µs of a launch that waits for another one in a graph: until it begins, begins to write, and is seen to have ended."""

NODE = 0.7
"""µs that the GPU takes to begin one of many launches that wait for nothing."""

HOST = 30.0
"""µs of the host a step, inputs there already: one request, and looking whether it is done."""

LATENCY = 700
"""Cycles until a first number of memory is there, and the last are written."""

WALK = 900
"""Cycles of one step of a recurrence in one launch: products out of registers, two barriers, the gates."""

SMALL = 24e6
"""Bytes that stay in the second cache between one launch and the next."""


@dataclass(frozen=True)
class Machine:
    """A GPU.

    memory, cache  bytes a second that kernels get
    sums           multiplications and additions of a processor in a cycle, by precision: those that mma.sync reaches
    ceilings       TFLOP/s of a large product by NVIDIA's library
    """

    name: str
    processors: int
    gigahertz: float
    memory: float
    cache: float
    sums: dict[str, float]
    ceilings: dict[str, float]

    @property
    def each(self) -> float:
        """Bytes of the second cache for a processor in a cycle."""
        return self.cache / self.processors / self.gigahertz / 1e9


HOPPER = {"float32": 96.0, "tf32": 644.0, "bf16": 1288.0}
"""Plain units add 128, of which an inner loop with its loads leaves three quarters; mma.sync reaches 62.9 % of the
1,024 and 2,048 that wgmma has (arXiv 2501.12084)."""

REACHED = {"float32": 50.0, "tf32": 412.0, "bf16": 750.0}
MACHINES = {
    "H100": Machine("H100", 132, 1.755, 2.9e12, 5.7e12, HOPPER, REACHED),
    "H200": Machine("H200", 132, 1.755, 4.3e12, 5.7e12, HOPPER, REACHED),
}
NETS = (("mlp", 32), ("lenet", 128), ("resnet20", 128), ("lstm", 128), ("resnet50", 64))
PRECISIONS = {"resnet50": ("tf32", "bf16")}
"""What each is timed in; the others in float32 and tf32."""

_SUMS = re.compile(r"(plain|tensor)_sums<(\d+), (\d+), (\d+), (\d+), (\d+)")
_TILE = re.compile(r"product<tile<(\d+), (\d+), (\d+), (\d+), (\d+), (\d+), (\d+)>")
SHARED_LINE = 128
"""Bytes of shared memory that a processor moves in a cycle."""
SHARED, REGISTERS, THREADS = 227 << 10, 1 << 16, 2048


@dataclass(frozen=True)
class Time:
    """Of a launch, in µs after LAUNCH. bound: what it waits for. busy: of the processors, between 0 and 1."""

    work: float
    bound: str
    busy: float


def seconds(launch: Launch, moved: float, flops: float, made: int, machine: Machine, precision: str) -> Time:
    """moved: bytes read and written; flops: multiplications and additions; made: numbers that it makes."""
    blocks = prod(launch.grid)
    through = machine.cache if moved < SMALL else machine.memory
    share = min(1.0, blocks * max(launch.block, 256) / 256 / machine.processors)
    bounds = {"memory": 1e6 * moved / (through * max(share, 1e-3))}
    if found := _SUMS.search(launch.unit.expression):
        bounds |= _tiles(launch, found, flops / 2 / made, machine, precision)
    elif found := _TILE.search(launch.unit.expression):
        bounds |= _product(launch, found, flops, machine)
    elif launch.unit.stem == "recurrence" and hasattr(launch.arguments, "time"):
        bounds["walk"] = launch.arguments.time * WALK / machine.gigahertz / 1e3
    bound = max(bounds, key=lambda name: bounds[name])
    return Time(bounds[bound], bound, share)


def _tiles(launch: Launch, found: re.Match[str], k: float, machine: Machine, precision: str) -> dict[str, float]:
    """tiles.cuh: blocks of rows x columns results of k sums each, in shares."""
    kind, *numbers = found.groups()
    rows, columns, depth, down, along = map(int, numbers)
    k = ceil(k / launch.grid[1] / depth + BEGIN) * depth
    warps = launch.block // 32
    per_k = {
        "sums": rows * columns / machine.sums[precision if kind == "tensor" else "float32"],
        "cache": 4 * (rows + columns) / machine.each,
    }
    if kind == "tensor":
        per_k["shared memory"] = 4 * (warps * (down + along) + rows + columns) / SHARED_LINE
    resident = _resident(launch, 230 if down * along >= 4096 or (kind == "plain" and along == down == 8) else 128)
    each = prod(launch.grid) / machine.processors
    rounds = ceil(each) if each < 4 * resident else each
    found_us = {name: rounds * k * cycles / machine.gigahertz / 1e3 for name, cycles in per_k.items()}
    alone = ceil(each / resident) * LATENCY * (1 + k / depth / (STAGES - 1) / 2)
    return {**found_us, "latency": alone / machine.gigahertz / 1e3}


def _resident(launch: Launch, registers: int) -> int:
    """Blocks that a processor holds at once."""
    fit = (SHARED // (launch.shared + 1024), THREADS // launch.block, REGISTERS // (registers * launch.block))
    return max(1, min(fit))


def _product(launch: Launch, found: re.Match[str], flops: float, machine: Machine) -> dict[str, float]:
    """product.cuh, on plain units: blocks of rows x columns, groups of threads share k."""
    rows, columns, _, _, groups, depth, stages = map(int, found.groups())
    blocks = prod(launch.grid)
    k = flops / 2 / (blocks * rows * columns)
    each = ceil(blocks / machine.processors)
    sums = each * rows * columns * k / machine.sums["float32"]
    cache = each * 4 * (rows + columns) * k / machine.each
    waiting = LATENCY * (1 + k / (groups * depth) / (stages - 1))
    cycles = {"sums": sums, "cache": cache, "latency": waiting}
    return {name: number / machine.gigahertz / 1e3 for name, number in cycles.items()}


# --- a step -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Foretold:
    """Of a call: µs with its launches; work of the processors."""

    planned: Planned
    us: float
    work: float
    bound: str


@dataclass(frozen=True)
class Step:
    """Of a step, all in µs.

    chain  the longest way through what waits for what
    whole  all work and all launches, one after the other where they fill the GPU
    """

    calls: tuple[Foretold, ...]
    chain: float
    whole: float

    @property
    def gpu(self) -> float:
        return max(self.chain, self.whole)

    @property
    def us(self) -> float:
        return HOST + self.gpu


def foretold(net: Net, machine: Machine) -> Step:
    """The step of a network on a GPU."""
    calls = tuple(call(one, machine, net.precision) for one in net.calls)
    ended: list[float] = []
    for one, known in zip(calls, net.calls, strict=True):
        ended.append(one.us + max((ended[n] for n in known.after), default=0.0))
    whole = sum(one.work + NODE * len(one.planned.launches) for one in calls)
    return Step(calls, max(ended, default=0.0), whole)


def call(one: Planned, machine: Machine, precision: str) -> Foretold:
    """A call with several launches: their bytes are shared out evenly. What no kernel serves yet: see _unserved."""
    made = one.made
    moved = float(sum(a.nbytes for a in (*made.inputs, *made.outputs)))
    flops = sum(map(_flops, one.members))
    if isinstance(made, Fallback):
        work = _unserved(moved, flops, machine, precision)
        return Foretold(one, LAUNCH + work, work, "no kernel yet")
    count, results = max(1, len(one.launches)), max(1, made.outputs[0].size)
    times = [seconds(x, moved / count, flops / count, results, machine, precision) for x in one.launches]
    longest = max(times, key=lambda t: t.work, default=Time(0.0, "nothing", 0.0))
    us = sum(LAUNCH + t.work for t in times)
    return Foretold(one, us, sum(t.work * t.busy for t in times), longest.bound)


def _unserved(moved: float, flops: float, machine: Machine, precision: str) -> float:
    """An operator that has no kernel yet, as if it had one that adds at a third of what mma.sync reaches."""
    rate = machine.sums[precision] * machine.processors * machine.gigahertz * 2e9 / 3
    return max(1e6 * flops / rate, 1e6 * moved / machine.memory)


def _flops(made: Native | Fallback) -> float:
    op = made.call.op
    given = made.inputs[: len(made.inputs) - op.others] if isinstance(op, Fused) else made.inputs
    op = op.producer if isinstance(op, Fused) else op
    types = [[TensorType(a.shape, DType(a.dtype.name)) for a in arrays] for arrays in (given, made.outputs)]
    return float(evaluate(op.flops(*types), {}))


# --- what is printed and kept -----------------------------------------------------------------------------------------


def entry(net: Net, machine: Machine) -> dict[str, Any]:
    step = foretold(net, machine)
    return {
        "net": net.case.name,
        "mode": net.mode,
        "batch": net.samples,
        "precision": net.precision,
        "machine": machine.name,
        "step_us": round(step.us, 1),
        "chain_us": round(step.chain, 1),
        "work_us": round(step.whole, 1),
        "kernels": net.kernels,
        "unserved": list(net.left),
        "arena_bytes": net.arena_bytes,
        "gflop": round(net.flops / 1e9, 4),
        "by_operator": _by_operator(step.calls),
        "launches": _launches(net),
    }


def _by_operator(calls: Iterable[Foretold]) -> dict[str, float]:
    total: dict[str, float] = {}
    for one in calls:
        total[one.planned.call.op.name] = total.get(one.planned.call.op.name, 0.0) + one.us
    return {name: round(us, 1) for name, us in sorted(total.items(), key=lambda item: -item[1])}


def _launches(net: Net) -> dict[str, int]:
    count: dict[str, int] = {}
    for one in net.calls:
        count[one.call.op.name] = count.get(one.call.op.name, 0) + len(one.launches)
    return dict(sorted(count.items(), key=lambda item: -item[1]))


def line(found: dict[str, Any]) -> str:
    longest = ", ".join(f"{name} {us:.0f}" for name, us in list(found["by_operator"].items())[:4])
    return (
        f"{found['net']:9} {found['batch']:4} {found['precision']:8} {found['machine']:5} "
        f"{found['step_us']:9.0f} {found['chain_us']:9.0f} {found['work_us']:9.0f} {found['kernels']:6} "
        f"{found['arena_bytes'] / 1e6:9.1f}   {longest}"
    )


HEADER = f"{'net':9} {'batch':>4} {'':8} {'':5} {'step µs':>9} {'chain':>9} {'work':>9} {'kernels':>6} {'arena MB':>9}"


def nets(names: Sequence[str]) -> Iterable[Net]:
    for name, samples in NETS:
        if name in names:
            for precision in PRECISIONS.get(name, ("float32", "tf32")):
                yield planned(CASES[name], TRAIN, samples, precision, PlannedDevice())


def longest(net: Net, machine: Machine, count: int) -> Iterable[str]:
    for one in sorted(foretold(net, machine).calls, key=lambda c: -c.us)[:count]:
        kernels = [f"{x.unit.expression.split('>')[0]} {x.grid}" for x in one.planned.launches]
        yield f"    {one.us:8.1f} {one.bound:13} {one.planned.call.op.name} {one.planned.call.name}: {kernels}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nets", default=",".join(name for name, _ in NETS))
    parser.add_argument("--calls", type=int, default=0, help="how many of the longest calls are shown")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = []
    print(HEADER)
    for net in nets(options.nets.split(",")):
        for machine in MACHINES.values():
            found.append(entry(net, machine))
            print(line(found[-1]), flush=True)
            print(*longest(net, machine, options.calls), sep="\n", end="\n" if options.calls else "")
    if options.write:
        target = RESULTS / "gpu_predictions.json"
        old = json.loads(target.read_text()) if target.exists() else {}
        kept = {**old, "measured": False, "date": date.today().isoformat(), "steps": found}
        target.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
