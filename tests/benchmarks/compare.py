"""graphdsl beside PyTorch and others: the same networks, weights and samples, in turns A B A B in one process.

    python tests/benchmarks/compare.py                       training steps against eager PyTorch
    python tests/benchmarks/compare.py --mode infer          inference against eager, torch.compile and ONNX Runtime
    python tests/benchmarks/compare.py --nets mlp,lenet --peers eager,compile --memory --format json
    python tests/benchmarks/compare.py --device cuda         on a GPU, against every way of PyTorch: gpu_compare.py

README.md beside this file says what the columns mean and how numbers come about.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # a third pool of threads would only get in the way

from tests.benchmarks.instructions import given, hold_peers  # noqa: E402

hold_peers()  # they look when they are imported

import torch  # noqa: E402

from graphdsl.backends import AUTO, BACKENDS, DEFAULT  # noqa: E402 - the repository's, not an installed one
from tests.benchmarks import gpu_compare  # noqa: E402
from tests.benchmarks.agree import demand_alike, difference  # noqa: E402
from tests.benchmarks.cases import CASES, INFER, TRAIN, Case  # noqa: E402
from tests.benchmarks.machine import description, keep_freed_memory  # noqa: E402
from tests.benchmarks.ours import Ours  # noqa: E402
from tests.benchmarks.peak_memory import LAYOUTS, measured  # noqa: E402
from tests.benchmarks.peers import COMPILE, EAGER, KINDS, ONNX, Variant, variants  # noqa: E402
from tests.benchmarks.timing import duel  # noqa: E402

RESULTS = Path(__file__).with_name("results")
USUAL = {TRAIN: (EAGER,), INFER: (EAGER, COMPILE, ONNX)}
COSTLIEST = 6
"""Operators that the text shows."""

Entry = dict[str, Any]


def entries(case: Case, samples: int, options: argparse.Namespace, machine: Entry) -> Iterator[Entry]:
    """Our side against each peer, the peers made one at a time."""
    ours = Ours(case, options.mode, samples, options.backend)
    ours.scatter()
    apart = difference(case, ours, samples)
    batch, weights = case.batch(samples), ours.weights()
    known = {
        "net": case.name,
        "mode": options.mode,
        "batch": samples,
        "backend": ours.executor.backend.name,
        "threads": options.threads,
        "difference": {name: float(f"{value:.2g}") for name, value in apart.items()},
        "compile_s": round(ours.compile_s, 3),
        "weights_s": round(ours.weights_s, 3),
        "arena_bytes": ours.arena_bytes,
        "gflop": round(ours.flops / 1e9, 4),
        "operators": ours.operators(),
        "isa": machine["isa"],
        "malloc": machine["malloc"],
        "date": machine["date"],
    }
    for variant in variants(case, options.mode, options.peers):
        try:
            peer = variant.build(case, options.mode, batch, weights, options.threads)
            demand_alike(f"{case.name} beside {variant.name}", ours.step(), peer.step())
        except Exception as error:  # a peer that cannot run a network must not end a run of many
            print(f"{case.name}: {variant.name} cannot: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        found = duel(ours.step, peer.step, options.rounds)
        speed = ours.flops / found.ours / 1e6
        yield {
            **known,
            "peer": variant.name,
            "ours_ms": round(found.ours, 4),
            "peer_ms": round(found.peer, 4),
            "ratio": round(found.ratio, 4),
            "quartiles": [round(quartile, 4) for quartile in found.quartiles],
            "rounds": options.rounds,
            "gflops": round(speed, 1),
            "of_peak": round(speed / machine["matmul_gflops"], 3),
            "peer_compile_s": round(peer.compile_s, 2),
            **_memory(case, samples, variant, options),
        }


def _memory(case: Case, samples: int, variant: Variant, options: argparse.Namespace) -> Entry:
    """Peak memory of both sides, where it is asked for and the peer is eager PyTorch."""
    if not options.memory or variant.kind != EAGER:
        return {}
    sides = {"memory_mb": options.backend, "peer_memory_mb": variant.layout}
    assert set(LAYOUTS) >= {variant.layout}
    return {key: measured(case, options.mode, samples, side)["peak"] for key, side in sides.items()}


# --- text ------------------------------------------------------------------------------------------------------------

HEADER = (
    f"{'net':10} {'batch':>5} {'peer':21} {'ours ms':>9} {'peer ms':>9} {'ratio':>6} {'quartiles':>13} "
    f"{'GFLOP/s':>7} {'of peak':>7} {'arena MB':>8} {'compile s':>9} {'peer’s':>6} {'apart':>7}"
)


def line(entry: Entry) -> str:
    first, third = entry["quartiles"]
    memory = (
        f"   memory {entry['memory_mb']:.0f} MB, peer {entry['peer_memory_mb']:.0f} MB" if "memory_mb" in entry else ""
    )
    return (
        f"{entry['net']:10} {entry['batch']:5} {entry['peer']:21} {entry['ours_ms']:9.3f} {entry['peer_ms']:9.3f} "
        f"{entry['ratio']:6.3f} {first:6.3f}-{third:<6.3f} {entry['gflops']:7.1f} {entry['of_peak']:7.0%} "
        f"{entry['arena_bytes'] / 1e6:8.1f} {entry['compile_s']:9.2f} {entry['peer_compile_s']:6.1f} "
        f"{max(entry['difference'].values()):7.0e}{memory}"
    )


def operators(entry: Entry) -> str:
    """The costliest operators of our step."""
    whole = sum(entry["operators"].values())
    shown = list(entry["operators"].items())[:COSTLIEST]
    return "  ours: " + ", ".join(f"{name} {ms:.3g} ms ({ms / whole:.0%})" for name, ms in shown)


def best(found: list[Entry]) -> dict[str, dict[str, Entry]]:
    """By kind of peer, by network and batch: the entry of the peer's fastest variant."""
    chosen: dict[str, dict[str, Entry]] = {}
    for entry in found:
        nets = chosen.setdefault(entry["peer"].split()[0], {})
        key = f"{entry['net']} {entry['batch']}"
        nets[key] = min(entry, nets.get(key, entry), key=lambda e: e["peer_ms"])
    return chosen


def summary(found: list[Entry]) -> str:
    """Ratios to each kind of peer at its best, and their geometric mean."""
    lines = []
    for kind, nets in best(found).items():
        ratios = {key: entry["ratio"] for key, entry in nets.items()}
        mean = statistics.geometric_mean(ratios.values())
        listed = ", ".join(f"{key} {ratio:.3f}" for key, ratio in ratios.items())
        lines.append(f"ours / best {kind}: {listed}; geometric mean {mean:.3f}")
    return "\n".join(lines)


# --- command ---------------------------------------------------------------------------------------------------------


def write(found: list[Entry], machine: Entry, mode: str) -> None:
    """Puts the entries into the file of results, in place of older ones of the same network, batch and peer."""
    target = RESULTS / f"{'_'.join(filter(None, ('cpu', mode, given())))}.json"
    old = json.loads(target.read_text())["results"] if target.exists() else []
    merged = {(e["net"], e["batch"], e["peer"]): e for e in [*old, *found]}
    places = {name: index for index, name in enumerate(CASES)}
    ordered = sorted(merged.values(), key=lambda e: (places[e["net"]], e["batch"]))
    RESULTS.mkdir(exist_ok=True)
    target.write_text(json.dumps({"machine": machine, "results": ordered}, indent=1) + "\n")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=(TRAIN, INFER), default=TRAIN)
    parser.add_argument("--nets", type=_listed(CASES), help=f"some of {','.join(CASES)}")
    parser.add_argument("--peers", type=_listed(KINDS), help=f"some of {','.join(KINDS)}")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda: see gpu_compare.py")
    parser.add_argument("--backend", choices=(AUTO, *BACKENDS), default=DEFAULT)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--malloc", choices=("kept", "default"), default="kept", help="what becomes of freed memory")
    parser.add_argument("--memory", action="store_true", help="also the peak memory of both sides")
    parser.add_argument("--write", action="store_true", help="keep the results in tests/benchmarks/results")
    options = parser.parse_args(arguments)
    options.nets = options.nets or tuple(CASES)
    options.peers = options.peers or USUAL[options.mode]
    return options


def _listed(known: Any) -> Any:
    """Reads `a,b`, all of which must be known."""

    def read(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
        return names

    return read


def run(options: argparse.Namespace) -> list[Entry]:
    """Measures everything asked for; prints each line as it is found."""
    os.environ["GRAPHDSL_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    kept = options.malloc == "kept" and keep_freed_memory()
    machine = {**description(options.threads), "malloc": "kept" if kept else "default"}
    print(json.dumps(machine), HEADER, sep="\n", flush=True)
    found: list[Entry] = []
    for case in (CASES[name] for name in options.nets):
        for samples in case.batches(options.mode):
            fresh: list[Entry] = []
            for entry in entries(case, samples, options, machine):
                print(line(entry), flush=True)
                fresh.append(entry)
            print(*map(operators, fresh[-1:]), flush=True)
            found += fresh
    print(summary(found))
    if options.write:
        write(found, machine, options.mode)
    return found


def on_gpu(arguments: list[str]) -> list[str] | None:
    """What is left of the arguments where they say `--device cuda`; None where they do not."""
    chooser = argparse.ArgumentParser(add_help=False)
    chooser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    chosen, rest = chooser.parse_known_args(arguments)
    return rest if chosen.device == "cuda" else None


def main() -> None:
    rest = on_gpu(sys.argv[1:])
    if rest is not None:
        gpu_compare.main(rest)
        return
    options = parse()
    if options.format == "text":
        run(options)
        return
    with redirect_stdout(sys.stderr):  # what else is said, also by libraries: only JSON goes out
        found = run(options)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
