"""Steps of whole networks on a GPU beside PyTorch's: what `compare.py --device cuda` runs.

Ours: a step as one recorded graph, and launch by launch (`eager`). PyTorch: gpu_peers.WAYS. Samples lie on the GPU for
both (`ms`), or come from the host for every step (`fed`). Nothing reads a loss while the clock runs. What cannot be
done is reported with its reason, and the rest goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import torch

from graphdsl.backends import BACKENDS, backend, registry
from graphdsl.backends.cuda.backend import CudaBackend, Fallback
from tests.benchmarks.cases import CASES, INFER, TRAIN, Case
from tests.benchmarks.gpu_machine import described, model_of
from tests.benchmarks.gpu_model import NETS, PRECISIONS, RESULTS, entry
from tests.benchmarks.gpu_peers import WAYS, GpuPeer, Way, forget, precise, rounding, ways
from tests.benchmarks.gpu_timing import GpuDuel, alone, duel
from tests.benchmarks.ours import TOTAL, Ours
from tests.benchmarks.planned import Fixed, PlannedDevice, planned

EAGER = "GRAPHDSL_EAGER"
APART = {"float32": 1e-3, "tf32": 2e-2, "bf16": 1e-1}
"""Relative differences of losses, or of outputs, beyond which an entry is marked."""

Entry = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where both sides run. dry: ours on no GPU at all, PyTorch on the CPU, to see that all is called rightly."""

    dry: bool = False

    @property
    def on(self) -> str:
        return "cpu" if self.dry else "cuda"

    def backend(self, precision: str) -> CudaBackend:
        """Ours, whose precision no spec changes."""
        if self.dry:
            return Fixed(PlannedDevice("dry"), precision=precision)
        whole = backend("cuda")
        assert isinstance(whole, CudaBackend)
        return Fixed(whole.device, precision=precision)

    def synchronize(self) -> None:
        """Until both sides have done all."""
        if not self.dry:
            backend("cuda").synchronize()
            torch.cuda.synchronize()


@contextmanager
def ours_on(
    place: Place, case: Case, mode: str, samples: int, precision: str, *, eager: bool = False
) -> Iterator[Ours]:
    """Our side, with its samples on the GPU."""
    name = f"{place.on} {precision} {eager}"
    BACKENDS[name] = lambda: place.backend(precision)
    before = os.environ.get(EAGER, "")
    os.environ[EAGER] = "1" if eager else before
    try:
        side = Ours(case, mode, samples, name)
        side.scatter()
        side.executor.run(side.ready, side.arrays)
        yield side
    finally:
        os.environ[EAGER] = before
        del BACKENDS[name]
        registry.backend.cache_clear() if place.dry else None


def entries(case: Case, samples: int, precision: str, options: argparse.Namespace) -> Iterator[Entry]:
    """Ours in both ways, then ours beside each way of PyTorch."""
    place, mode = Place(options.dry), options.mode
    with ours_on(place, case, mode, samples, precision) as ours, precise(precision):
        known = about(case, mode, samples, precision, ours, options)
        yield {**known, **alone_(ours, place, options), "side": "ours"}
        yield {**known, **_eagerly(case, mode, samples, precision, place, options), "side": "ours eager"}
        weights, batch = ours.weights(), case.batch(samples)
        for way in ways(case, options.ways):
            said: Entry = {"side": f"torch {way.name}"}
            try:
                said |= beside(ours, case, batch, weights, way, precision, place, options)
            except Exception as error:  # one way that fails must not end a run of many
                said["failed"] = (
                    f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error) else ''}"
                )
            forget()
            yield {**known, **said}


def about(case: Case, mode: str, samples: int, precision: str, ours: Ours, options: argparse.Namespace) -> Entry:
    """What is known of our step before it is timed, with what the model says of it."""
    steps = ours.ready.steps[ours.ready.program.once :]
    net = planned(case, mode, samples, precision, PlannedDevice())
    said = entry(net, model_of("" if options.dry else torch.cuda.get_device_name(0)))
    return {
        "net": case.name,
        "mode": mode,
        "batch": samples,
        "precision": precision,
        "kernels": net.kernels,
        "unserved": sorted({call.op.name for call, k in steps if isinstance(k, Fallback)}),
        "arena_bytes": ours.arena_bytes,
        "compile_s": round(ours.compile_s, 2),
        "gflop": round(ours.flops / 1e9, 4),
        "predicted_ms": round(said["step_us"] / 1e3, 4),
    }


def alone_(ours: Ours, place: Place, options: argparse.Namespace) -> Entry:
    """Our step with nothing beside it; with samples from the host; what it comes to."""
    times = alone(ours.ready.run, place.synchronize, options.rounds, options.run)
    fed = alone(lambda: ours.executor.run(ours.ready, ours.arrays), place.synchronize, options.rounds, options.run)
    tflops = ours.flops / times[1] / 1e9
    return {"ms": _rounded(times), "fed_ms": _rounded(fed), "tflops": round(tflops, 2)}


def _eagerly(case: Case, mode: str, samples: int, precision: str, place: Place, options: argparse.Namespace) -> Entry:
    """Launch by launch, where GPUs have no graph of the step. The same bits?"""
    try:
        with ours_on(place, case, mode, samples, precision, eager=True) as ours:
            return {"ms": _rounded(alone(ours.ready.run, place.synchronize, options.rounds, options.run))}
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"[:200]}


def beside(
    ours: Ours,
    case: Case,
    batch: Mapping[str, np.ndarray],
    weights: Sequence[np.ndarray],
    way: Way,
    precision: str,
    place: Place,
    options: argparse.Namespace,
) -> Entry:
    """Both in turns."""
    peer = GpuPeer(case, options.mode, batch, weights, way, precision, place.on)
    apart = difference(ours, peer)
    found: GpuDuel = duel(ours.ready.run, peer.step, place.synchronize, options.rounds, options.run)
    fed = alone(peer.fed, place.synchronize, options.rounds, options.run)
    return {
        "ms": _rounded(found.peer),
        "ours_ms": _rounded(found.ours),
        "ratio": _rounded(found.ratio),
        "fed_ms": _rounded(fed),
        "steps": found.steps,
        "difference": float(f"{apart:.2g}"),
        "agrees": apart <= APART[precision],
        "peer_compile_s": round(peer.compile_s, 1),
    }


def difference(ours: Ours, peer: GpuPeer) -> float:
    """How far losses, or outputs, are apart: relative to the largest."""
    keys = [TOTAL] if ours.train else [head.output for head in ours.case.heads]
    ours.executor.run(ours.ready, ours.arrays)
    pairs = [(ours.executor.read(ours.ready, key), b) for key, b in zip(keys, peer.results(), strict=True)]
    return max(float(np.abs(a - b.reshape(a.shape)).max() / max(np.abs(b).max(), 1e-30)) for a, b in pairs)


def _rounded(numbers: Sequence[float]) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers]


# --- text -------------------------------------------------------------------------------------------------------------

HEADER = (
    f"{'net':9} {'batch':>5} {'':8} {'side':29} {'ms':>8} {'quartiles':>17} {'fed ms':>8} {'ours/peer':>9} "
    f"{'quartiles':>13} {'predicted':>9} {'kernels':>7} {'arena MB':>8} {'compile s':>9}"
)


def line(found: Entry) -> str:
    start = f"{found['net']:9} {found['batch']:5} {found['precision']:8} {found['side']:29}"
    if "failed" in found:
        return f"{start} failed: {found['failed']}"
    low, middle, high = found["ms"]
    fed = f"{found['fed_ms'][1]:8.3f}" if "fed_ms" in found else " " * 8
    times = f"{middle:8.3f} {low:8.3f}-{high:<8.3f} {fed}"
    if "ratio" in found:
        low, middle, high = found["ratio"]
        note = "" if found["agrees"] else f"   apart by {found['difference']:.0e}"
        compiled = f"{found['peer_compile_s']:9.1f}" if found["peer_compile_s"] else " " * 9
        return f"{start} {times} {middle:9.3f} {low:6.3f}-{high:<6.3f} {' ' * 26} {compiled}{note}"
    note = f"   on the CPU: {', '.join(found['unserved'])}" if found["unserved"] else ""
    return (
        f"{start} {times} {' ' * 23} {found['predicted_ms']:9.3f} {found['kernels']:7} "
        f"{found['arena_bytes'] / 1e6:8.1f} {found['compile_s']:9.2f}{note}"
    )


def best(found: Sequence[Entry]) -> str:
    """Ours beside the fastest way of PyTorch, by network."""
    lines = []
    for key in dict.fromkeys((e["net"], e["batch"], e["precision"]) for e in found):
        peers = [e for e in found if (e["net"], e["batch"], e["precision"]) == key and "ratio" in e]
        if peers:
            one = min(peers, key=lambda e: e["ms"][1])
            one["best"] = True
            ratio, name = one["ratio"][1], " ".join(map(str, key))
            lines.append(f"{name}: ours {one['ours_ms'][1]:.3f} ms / {one['side']} {one['ms'][1]:.3f} ms = {ratio:.3f}")
    return "\n".join(["best of PyTorch:", *lines])


# --- command ----------------------------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare.py --device cuda", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mode", choices=(TRAIN, INFER), default=TRAIN)
    parser.add_argument("--nets", default=",".join(name for name, _ in NETS))
    parser.add_argument("--batch", type=int, help="in place of what each network is timed with")
    parser.add_argument("--precision", choices=("float32", "tf32", "bf16"), help="in place of those of each network")
    parser.add_argument("--ways", default=",".join(WAYS), help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--run", type=float, default=0.02, help="seconds of steps between two synchronisations")
    parser.add_argument("--dry", action="store_true", help="ours nowhere, PyTorch on the CPU: only whether it runs")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--write", action="store_true", help="keep the results in tests/benchmarks/results")
    options = parser.parse_args(arguments)
    options.nets, options.ways = options.nets.split(","), options.ways.split(",")
    for name, known in ((options.nets, CASES), (options.ways, WAYS)):
        if unknown := [one for one in name if one not in known]:
            parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return options


def run(options: argparse.Namespace) -> list[Entry]:
    """Everything asked for; each line is printed, and kept where that is wanted, as it is found."""
    machine = described(dry=options.dry)
    print(json.dumps(machine), HEADER, sep="\n", flush=True)
    found: list[Entry] = []
    for name in options.nets:
        case = CASES[name]
        samples = options.batch or dict(NETS).get(name) or case.train or 1
        for precision in (options.precision,) if options.precision else PRECISIONS.get(name, ("float32", "tf32")):
            with precise(precision):
                checked = {"rounding": rounding("cpu" if options.dry else "cuda")}
            for one in entries(case, samples, precision, options):
                print(line(one), flush=True)
                found.append({**one, **checked, "date": date.today().isoformat()})
            if options.write:
                write(found, machine, options.mode)
    print(best(found))
    if options.write:
        write(found, machine, options.mode)
    return found


def write(found: Sequence[Entry], machine: Entry, mode: str) -> None:
    """Puts the entries into the file of results, in place of older ones of the same network and side."""
    target = RESULTS / f"gpu_{mode}.json"
    old = json.loads(target.read_text())["results"] if target.exists() else []
    merged = {(e["net"], e["batch"], e["precision"], e["side"]): e for e in [*old, *found]}
    target.write_text(json.dumps({"machine": machine, "results": list(merged.values())}, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse(arguments)
    if options.format == "text":
        run(options)
        return
    with redirect_stdout(sys.stderr):
        found = run(options)
    print(json.dumps(found, indent=1))
