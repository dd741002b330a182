"""Non-maximum suppression of 10,000 boxes on a GPU: ours beside torchvision's, PyTorch's operators, and NumPy.

    python tests/benchmarks/gpu_nms.py [--boxes 10000] [--write]

Boxes and scores lie on the GPU; ours leaves which boxes stay, and how many, there: three launches. torchvision's goes
through the CPU to find them. Where torchvision is missing, PyTorch's operators stand for it: the same matrix of
overlaps, walked through on the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

from graphdsl.backends import backend  # noqa: E402
from graphdsl.backends.cuda.array import DeviceArray  # noqa: E402
from graphdsl.backends.cuda.backend import CudaBackend  # noqa: E402
from graphdsl.backends.cuda.device import Device, Recording  # noqa: E402
from graphdsl.backends.cuda.launch import Step  # noqa: E402
from graphdsl.backends.cuda.launcher import Gpu  # noqa: E402
from graphdsl.backends.cuda.nms import suppression  # noqa: E402
from tests.benchmarks.gpu_machine import described, model_of  # noqa: E402
from tests.benchmarks.gpu_model import LAUNCH, MACHINES, RESULTS, Machine  # noqa: E402
from tests.benchmarks.gpu_timing import alone  # noqa: E402

OVERLAP = 0.5
SIDE, LARGEST = 1000.0, 100.0
"""Of the picture and of a box."""

RANKING, SWEEP = 20, 3700
"""Cycles for a score that is held against all; to sweep 64 boxes, one after the other, and then all words behind."""

PAIR, ISSUED = 18, 128
"""Instructions for a pair of boxes; those of a processor in a cycle, of single threads."""


def boxes(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Made-up boxes [n, 4] and scores [n], no two the same."""
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, SIDE, (count, 2)), rng.uniform(1, LARGEST, (count, 2))
    found = np.concatenate([corner, corner + size], 1).astype(np.float32)
    return found, (rng.permutation(count) / count).astype(np.float32)


class OursNms:
    """Three launches as one recording."""

    def __init__(self, device: Device, given: np.ndarray, scores: np.ndarray) -> None:
        gpu = Gpu(device)
        self.device = device
        self.kept, self.count = gpu.room(len(scores), dtype="int64"), gpu.room(1, dtype="int64")
        self.given = gpu.constant(given), gpu.constant(scores)
        plan = suppression(gpu, *self.given, None, self.kept, self.count, overlap=OVERLAP, score=0.0)
        device.compile({launch.unit for launch in plan.launches})
        self.run: Recording = device.record([Step(plan.launches, ())])

    def result(self) -> np.ndarray:
        self.run()
        count = self._read(self.count)
        return self._read(self.kept)[: count[0]]

    def _read(self, array: DeviceArray) -> np.ndarray:
        made = np.zeros(array.shape, array.dtype)
        self.device.read(array.address, made)
        return made


def by_numpy(given: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The best first; each takes with it what overlaps it."""
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = given[order].T
    areas = (right - left) * (bottom - top)
    stays = np.ones(len(order), bool)
    for i in range(len(order)):
        if stays[i]:
            wide = np.minimum(right[i], right[i + 1 :]) - np.maximum(left[i], left[i + 1 :])
            high = np.minimum(bottom[i], bottom[i + 1 :]) - np.maximum(top[i], top[i + 1 :])
            both = wide.clip(0) * high.clip(0)
            stays[i + 1 :] &= both <= OVERLAP * (areas[i] + areas[i + 1 :] - both)
    return order[stays]


def by_torch(given: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """The matrix of overlaps on the GPU, the walk on the CPU."""
    order = scores.argsort(descending=True)
    sorted_ = given[order]
    low = torch.maximum(sorted_[:, None, :2], sorted_[None, :, :2])
    high = torch.minimum(sorted_[:, None, 2:], sorted_[None, :, 2:])
    both = (high - low).clamp(min=0).prod(2)
    areas = (sorted_[:, 2:] - sorted_[:, :2]).prod(1)
    meets = (both > OVERLAP * (areas[:, None] + areas[None] - both)).cpu().numpy()
    gone = np.zeros(len(order), bool)
    for i in range(len(order)):
        if not gone[i]:
            gone[i + 1 :] |= meets[i, i + 1 :]
    return order[torch.from_numpy(~gone).to(order.device)]


def predicted_us(count: int, machine: Machine) -> float:
    """Every thread holds its score against all others; half of all pairs of boxes; then 64 boxes at a time."""
    pairs = count * count / 2 * PAIR / (ISSUED * machine.processors)
    cycles = count * RANKING + pairs + count / 64 * SWEEP
    return 3 * LAUNCH + cycles / machine.gigahertz / 1e3


def peers(given: np.ndarray, scores: np.ndarray, on: str) -> dict[str, Callable[[], Any]]:
    a, b = torch.from_numpy(given).to(on), torch.from_numpy(scores).to(on)
    found: dict[str, Callable[[], Any]] = {"torch": lambda: by_torch(a, b), "numpy": lambda: by_numpy(given, scores)}
    try:
        from torchvision.ops import nms
    except Exception as error:  # absent, or made for another PyTorch
        print(f"torchvision cannot: {type(error).__name__}: {error}", file=sys.stderr)
        return found
    return {"torchvision": lambda: nms(a, b, OVERLAP), **found}


def measured(count: int, device: Device, on: str, synchronize: Callable[[], object], rounds: int) -> dict[str, Any]:
    """Milliseconds of each side, and whether all keep the same boxes."""
    given, scores = boxes(count)
    ours = OursNms(device, given, scores)
    right = by_numpy(given, scores)
    made = ours.result()
    said: dict[str, Any] = {
        "boxes": count,
        "kept": len(right),
        "same_as_numpy": bool(np.array_equal(made, right)),
        "predicted_ms": round(predicted_us(count, model_of(device.name)) / 1e3, 4),
        "ours_ms": alone(ours.run, synchronize, rounds)[1],
        "ours_read_ms": alone(ours.result, synchronize, rounds)[1],
    }
    for name, run in peers(given, scores, on).items():
        said[f"{name}_ms"] = alone(run, synchronize, 1 if name == "numpy" else rounds)[1]
        if name != "numpy":
            said[f"same_as_{name}"] = bool(np.array_equal(run().cpu().numpy(), right))
    rival = said.get("torchvision_ms", said["torch_ms"])
    beside = "torchvision" if "torchvision_ms" in said else "torch"
    return {**said, "ratio": round(said["ours_ms"] / rival, 4), "beside": beside}


def predict(options: argparse.Namespace) -> None:
    kept = len(by_numpy(*boxes(options.boxes)))
    found = {name: round(predicted_us(options.boxes, machine), 1) for name, machine in MACHINES.items()}
    said = {"boxes": options.boxes, "kept": kept, "us": found}
    print(json.dumps(said))
    if options.write:
        target = RESULTS / "gpu_predictions.json"
        old = json.loads(target.read_text()) if target.exists() else {}
        target.write_text(json.dumps({**old, "measured": False, "nms": said}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--predict", action="store_true", help="what is expected, without a GPU")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.predict:
        predict(options)
        return
    whole = backend("cuda")
    assert isinstance(whole, CudaBackend)
    device = whole.device

    def synchronize() -> None:
        device.synchronize()
        torch.cuda.synchronize()

    found = measured(options.boxes, device, "cuda", synchronize, options.rounds)
    print(json.dumps(found, indent=1))
    if options.write:
        text = json.dumps({"machine": described(), "results": found}, indent=1)
        (RESULTS / "gpu_nms.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
