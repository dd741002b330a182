"""How the time of a training step grows: with the batch, the channels, the depth and the threads. Ours and PyTorch's.

    python tests/benchmarks/scaling.py [--curves batch,threads] [--format json] [--write]

Prints a line a point: PyTorch's time is that of the faster layout. --write keeps them in results/scaling.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a third pool of threads would only get in the way

import torch  # noqa: E402

from graphdsl.backends import AUTO, BACKENDS, DEFAULT  # noqa: E402 - the repository's, not an installed one
from tests.benchmarks.cases import CASES, TRAIN, Case, Head  # noqa: E402
from tests.benchmarks.machine import description, keep_freed_memory  # noqa: E402
from tests.benchmarks.ours import Ours  # noqa: E402
from tests.benchmarks.peers import EAGER, variants  # noqa: E402
from tests.benchmarks.timing import duel  # noqa: E402

PLAIN = Case("plain", (Head("class"),), {"image": (16, 16, 3)}, train=32, settings={"width": 32, "depth": 4})
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
WIDTHS = (8, 16, 32, 64, 128, 256)
DEPTHS = (1, 2, 4, 8, 16, 32)
THREADED = ("mlp", "lenet", "resnet20", "lstm")
CURVES = ("batch", "channels", "depth", "threads")


@dataclass(frozen=True)
class Point:
    """A network at one size. x: what the curve varies."""

    curve: str
    x: int
    case: Case
    samples: int


def points(curve: str, threads: int) -> Iterator[Point]:
    match curve:
        case "batch":
            yield from (Point(curve, n, CASES["resnet20"], n) for n in BATCHES)
        case "channels":
            yield from (Point(curve, n, replace(PLAIN, settings={"width": n, "depth": 4}), 32) for n in WIDTHS)
        case "depth":
            yield from (Point(curve, n, replace(PLAIN, settings={"width": 32, "depth": n}), 32) for n in DEPTHS)
        case _:
            yield from (Point(curve, threads, CASES[name], CASES[name].train or 1) for name in THREADED)


def measured(point: Point, backend: str, rounds: int) -> dict[str, Any]:
    """Our time and that of PyTorch's faster layout, in milliseconds."""
    ours = Ours(point.case, TRAIN, point.samples, backend)
    batch, weights = point.case.batch(point.samples), ours.weights()
    found = []
    for variant in variants(point.case, TRAIN, (EAGER,)):
        peer = variant.build(point.case, TRAIN, batch, weights, torch.get_num_threads())
        found.append((duel(ours.step, peer.step, rounds), variant))
    best, variant = min(found, key=lambda pair: pair[0].peer)
    return {
        "curve": point.curve,
        "x": point.x,
        "net": point.case.name,
        "batch": point.samples,
        "ours_ms": round(best.ours, 4),
        "peer": variant.name,
        "peer_ms": round(best.peer, 4),
        "ratio": round(best.ratio, 4),
        "quartiles": [round(quartile, 4) for quartile in best.quartiles],
        "gflops": round(ours.flops / best.ours / 1e6, 1),
    }


def curves(options: argparse.Namespace) -> list[dict[str, Any]]:
    """All points of the curves asked for. The threads of a process are set once, so their counts have their own."""
    found: list[dict[str, Any]] = []
    for curve in options.curves:
        if curve == "threads" and len(options.threads) > 1:
            for count in options.threads:
                found += _elsewhere(count, options)
            continue
        for point in points(curve, options.threads[-1]):
            found.append(measured(point, options.backend, options.rounds))
            if options.format == "text":
                print(line(found[-1]), flush=True)
    return found


def _elsewhere(threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--curves", "threads", "--threads", str(threads), "--format", "json"]
    command += ["--backend", options.backend, "--rounds", str(options.rounds)]
    made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: list[dict[str, Any]] = json.loads(made)
    if options.format == "text":
        print(*map(line, found), sep="\n", flush=True)
    return found


def line(point: dict[str, Any]) -> str:
    times = f"ours {point['ours_ms']:9.3f} ms, {point['peer']} {point['peer_ms']:9.3f} ms"
    return (
        f"{point['curve']:8} {point['x']:4}  {point['net']:9} {times}, ratio {point['ratio']:.3f}, "
        f"{point['gflops']:.0f} GFLOP/s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=lambda text: text.split(","), default=list(CURVES))
    parser.add_argument("--threads", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2])
    parser.add_argument("--backend", choices=(AUTO, *BACKENDS), default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--write", action="store_true", help="keep the curves in tests/benchmarks/results")
    options = parser.parse_args()
    threads = options.threads[-1]
    os.environ["GRAPHDSL_THREADS"] = str(threads)
    torch.set_num_threads(threads)
    keep_freed_memory()
    found = curves(options)
    if options.format == "json":
        print(json.dumps(found, indent=1))
    if options.write:
        target = Path(__file__).with_name("results") / "scaling.json"
        target.write_text(json.dumps({"machine": description(threads), "points": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
