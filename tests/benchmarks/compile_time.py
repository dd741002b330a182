"""How long a check takes: against the number of layers, and from a cold start against its imports; and how long it
takes to make the training step of ResNet-50 ready.

Run `python tests/benchmarks/compile_time.py [--write]`. Prints a line a measurement: medians of several runs, each a
process of its own for the cold start. --write keeps them in tests/benchmarks/results/compile_time.json.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SIZES = (1000, 2000, 5000, 10_000)
IMPORTS = "import numpy, networkx, lark, click"
TRAINING = """
from tests.benchmarks.cases import CASES
from tests.benchmarks.ours import Ours
ours = Ours(CASES["resnet50"], "train", 32, "{}")
print(ours.compile_s, ours.weights_s)
"""


def seconds(command: Sequence[str]) -> float:
    """Wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def chain(layers: int) -> str:
    """A spec of that many layers, each a definition of its own: the parser has as much to do as the compiler."""
    lines = ["input x: float[8]", "h0 = x -> dense(8)"]
    lines += [f"h{i} = h{i - 1} -> {'relu' if i % 2 else 'dense(8)'}" for i in range(1, layers)]
    return "\n".join([*lines, f"output y = h{layers - 1} -> linear", ""])


def check_curve(rounds: int) -> dict[int, float]:
    """Median seconds of `graphdsl check` by the number of layers, start-up included."""
    found = {}
    for layers in SIZES:
        with tempfile.NamedTemporaryFile("w", suffix=".dag") as file:
            file.write(chain(layers))
            file.flush()
            command = [sys.executable, "-m", "graphdsl", "check", file.name]
            found[layers] = statistics.median(seconds(command) for _ in range(rounds))
        print(f"check of {layers:6,} layers: {found[layers]:.2f} s")
    return found


def cold_start(rounds: int) -> dict[str, float]:
    """Median seconds of importing what graphdsl is built on, and of checking ResNet-50, in turns A B A B."""
    pairs = []
    for _ in range(rounds):
        imports = seconds([sys.executable, "-c", IMPORTS])
        pairs.append((imports, seconds([sys.executable, "-m", "graphdsl", "check", "specs/zoo/resnet50.dag"])))
    imports, check = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{IMPORTS}: {imports:.2f} s; check specs/zoo/resnet50.dag: {check:.2f} s; ratio {ratio:.2f}")
    return {"imports": imports, "check_resnet50": check, "ratio": ratio}


def training_step(rounds: int, backend: str) -> dict[str, float]:
    """Median seconds of a new process: from spec to a training step of ResNet-50 that is ready to run on 32 pictures,
    without its weights; of making and filling the weights; and of the whole process.
    """
    parts = []
    for _ in range(rounds):
        start = time.perf_counter()
        command = [sys.executable, "-c", TRAINING.format(backend)]
        made = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
        parts.append((*map(float, made.split()), time.perf_counter() - start))
    compiling, weights, process = (statistics.median(part) for part in zip(*parts, strict=True))
    print(f"training step of ResNet-50, {backend}: {compiling:.2f} s; weights {weights:.2f} s; process {process:.2f} s")
    return {"compile": compiling, "weights": weights, "process": process}


def import_cost(rounds: int) -> float:
    """Seconds that `import graphdsl` adds to a bare Python."""
    pairs = [
        (seconds([sys.executable, "-c", ""]), seconds([sys.executable, "-c", "import graphdsl"])) for _ in range(rounds)
    ]
    cost = statistics.median(b - a for a, b in pairs)
    print(f"import graphdsl: {cost * 1000:.0f} ms over bare Python")
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--backend", default="cpu")
    options = parser.parse_args()
    result = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "import_graphdsl": import_cost(options.rounds),
        "cold_start": cold_start(options.rounds),
        "train_resnet50": training_step(options.rounds, options.backend),
        "check_seconds_by_layers": check_curve(options.rounds),
    }
    if options.write:
        target = Path(__file__).with_name("results") / "compile_time.json"
        target.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
