"""Non-maximum suppression of 10,000 boxes on the CPU: our kernel beside NumPy and PyTorch.

    python tests/benchmarks/nms.py [--boxes 10000] [--threads 1] [--rounds 9] [--write]

Two scenes: `scattered`, where most boxes stay, and `crowded`, where 100 things are seen 100 times each, as a detector
sees them, and some hundred stay. PyTorch is shown at its best of two ways that it can be written without operators of
its own in C++: a box at a time against all behind it, and blocks of boxes against all behind them. torchvision takes
part where it is installed. All sides must keep the same boxes. Ours runs on one thread, the others on as many as they
use. Sides take turns A B A B.
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

from graphdsl.backends.cpu import nms as ours  # noqa: E402
from tests.benchmarks.machine import description, keep_freed_memory  # noqa: E402
from tests.benchmarks.timing import duel  # noqa: E402

RESULTS = Path(__file__).parent / "results"
OVERLAP = 0.5
SIDE, LARGEST = 1000.0, 100.0
"""Of the picture and of a box."""
THINGS = 100
BLOCK = 256

Nms = Callable[[np.ndarray, np.ndarray], np.ndarray]


def scattered(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [n, 4] anywhere, and scores [n], no two the same."""
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, SIDE, (count, 2)), rng.uniform(1, LARGEST, (count, 2))
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    return boxes, (rng.permutation(count) / count).astype(np.float32)


def crowded(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The same around THINGS things."""
    rng = np.random.default_rng(seed)
    things = rng.uniform(0, SIDE, (THINGS, 2)), rng.uniform(LARGEST / 2, LARGEST, (THINGS, 2))
    corner, size = (np.repeat(part, -(-count // THINGS), 0)[:count] for part in things)
    corner, size = corner + rng.normal(0, 5, (count, 2)), size * rng.uniform(0.9, 1.1, (count, 2))
    boxes = np.concatenate([corner, corner + size], 1).astype(np.float32)
    return boxes, (rng.permutation(count) / count).astype(np.float32)


SCENES = {"scattered": scattered, "crowded": crowded}


def by_kernel(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return ours.nms(boxes, scores, overlap=OVERLAP)


def by_numpy(boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The best first; each takes with it what overlaps it. What is gone is looked at no more."""
    order = np.argsort(-scores, kind="stable")
    left, top, right, bottom = boxes.T
    areas = (right - left) * (bottom - top)
    kept = []
    while len(order):
        i, order = order[0], order[1:]
        kept.append(i)
        wide = np.minimum(right[i], right[order]) - np.maximum(left[i], left[order])
        high = np.minimum(bottom[i], bottom[order]) - np.maximum(top[i], top[order])
        both = wide.clip(0) * high.clip(0)
        order = order[both <= OVERLAP * (areas[i] + areas[order] - both)]
    return np.array(kept)


@torch.inference_mode()
def by_torch_boxes(given: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The same with PyTorch's operators."""
    boxes = torch.from_numpy(given)
    order = torch.from_numpy(scores).argsort(descending=True, stable=True)
    rest, kept = boxes[order], []
    areas = (rest[:, 2:] - rest[:, :2]).prod(1)
    while len(order):
        kept.append(order[0])
        sides = (torch.minimum(rest[:1, 2:], rest[1:, 2:]) - torch.maximum(rest[:1, :2], rest[1:, :2])).clamp_(min=0)
        both = sides[:, 0] * sides[:, 1]
        stay = both <= OVERLAP * (areas[0] + areas[1:] - both)
        order, rest, areas = order[1:][stay], rest[1:][stay], areas[1:][stay]
    return torch.stack(kept).numpy()


@torch.inference_mode()
def by_torch_blocks(given: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Of the best BLOCK that are left those that stay, one after the other; then all behind them at once."""
    boxes = torch.from_numpy(given)
    order = torch.from_numpy(scores).argsort(descending=True, stable=True)
    kept = []
    while len(order):
        head = boxes[order[:BLOCK]]
        inside = meeting(head, head).numpy()
        gone = np.zeros(len(head), bool)
        for i in range(len(head)):
            if not gone[i]:
                gone[i + 1 :] |= inside[i, i + 1 :]
        stay = torch.from_numpy(~gone)
        kept.append(order[:BLOCK][stay])
        order = order[BLOCK:]
        order = order[~meeting(head[stay], boxes[order]).any(0)]
    return torch.cat(kept).numpy()


def meeting(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """bool [len(a), len(b)]: which share more than OVERLAP."""
    wide = torch.minimum(a[:, None, 2], b[:, 2]).sub_(torch.maximum(a[:, None, 0], b[:, 0])).clamp_(min=0)
    high = torch.minimum(a[:, None, 3], b[:, 3]).sub_(torch.maximum(a[:, None, 1], b[:, 1])).clamp_(min=0)
    both = wide.mul_(high)
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    return both > OVERLAP * (areas[0][:, None] + areas[1] - both)


def peers() -> dict[str, Nms]:
    found: dict[str, Nms] = {"numpy": by_numpy, "torch boxes": by_torch_boxes, "torch blocks": by_torch_blocks}
    try:
        from torchvision.ops import nms
    except Exception as error:  # absent, or made for another PyTorch
        print(f"torchvision cannot: {type(error).__name__}: {error}", file=sys.stderr)
        return found
    return {**found, "torchvision": lambda b, s: nms(torch.from_numpy(b), torch.from_numpy(s), OVERLAP).numpy()}


def measured(scene: str, count: int, rounds: int) -> list[dict[str, Any]]:
    """A row a peer. Raises AssertionError where a side keeps other boxes."""
    given = SCENES[scene](count)
    right = by_kernel(*given)
    rows = []
    for name, peer in peers().items():
        assert np.array_equal(peer(*given), right), f"{name} keeps other boxes"
        found = duel(lambda: by_kernel(*given), lambda peer=peer: peer(*given), rounds)  # type: ignore[misc]
        numbers = {"ours_ms": found.ours, "peer_ms": found.peer, "ratio": found.ratio}
        row = {"scene": scene, "boxes": count, "kept": len(right), "peer": name}
        quartiles = [float(f"{q:.3g}") for q in found.quartiles]
        rows.append({**row, **{key: float(f"{n:.3g}") for key, n in numbers.items()}, "quartiles": quartiles})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boxes", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(options.threads)
    rows = [row for scene in SCENES for row in measured(scene, options.boxes, options.rounds)]
    for row in rows:
        told = f"{row['scene']:<10} {row['kept']:>6,} stay  {row['peer']:<12}"
        print(
            f"{told} ours {row['ours_ms']:>8} ms  peer {row['peer_ms']:>8} ms  ratio {row['ratio']} {row['quartiles']}"
        )
    if options.write:
        text = json.dumps({"machine": description(options.threads), "results": rows}, indent=1)
        (RESULTS / "nms.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
