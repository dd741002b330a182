"""The memory that steps take at most, of one side, in a process of its own.

Run `python tests/benchmarks/peak_memory.py NET MODE BATCH SIDE`: SIDE is `contiguous` or `channels_last` for eager
PyTorch, else the name of one of our backends. Prints JSON:

    libraries   MB resident when all is imported and the samples are made
    peak        MB that a few steps, after some to warm up, need at most beyond that: weights, optimizer, activations
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.benchmarks.cases import CASES, Case  # noqa: E402 - the repository's, not an installed one

LAYOUTS = ("contiguous", "channels_last")
WARM, STEPS = 3, 3
RESET_PEAK = "5"
"""What /proc/self/clear_refs takes to make the peak what is resident now (Linux)."""


def measured(case: Case, mode: str, samples: int, side: str) -> dict[str, float]:
    """In megabytes, by a process that does nothing else."""
    command = [sys.executable, __file__, case.name, mode, str(samples), side]
    done = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True)
    return json.loads(done.stdout)


def status(field: str) -> float:
    """A line of /proc/self/status, in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1]) / 1024


def measure(case: Case, mode: str, samples: int, side: str) -> dict[str, float]:
    """What `measured` gives, of this process."""
    case.batch(samples)
    make = _torch if side in LAYOUTS else _ours
    build = make(case, mode, samples, side)
    before = status("VmRSS")
    step = build()
    for _ in range(WARM):
        step()
    Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    for _ in range(STEPS):
        step()
    return {"libraries": round(before, 1), "peak": round(status("VmHWM") - before, 1)}


def _ours(case: Case, mode: str, samples: int, side: str) -> Any:
    from tests.benchmarks.ours import Ours

    return lambda: Ours(case, mode, samples, side).step


def _torch(case: Case, mode: str, samples: int, side: str) -> Any:
    from tests.benchmarks.peers import eager

    return lambda: eager(case, mode, case.batch(samples), None, side).step


if __name__ == "__main__":
    name, mode, samples, side = sys.argv[1:]
    print(json.dumps(measure(CASES[name], mode, int(samples), side)))
