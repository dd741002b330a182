"""LeNet on MNIST from beginning to end: `graphdsl run specs/lenet_mnist.dag` beside the same training in PyTorch.

Run `python tests/benchmarks/mnist.py DATA [--epochs 5] [--rounds 3] [--device cuda] [--write]`; DATA holds the four
idx files. Each
side is a process of its own, in turns, timed from start to end: reading the data, training, testing. `--peer` is
PyTorch's side alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BATCH = 64
RATE = 0.002


def read(data: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures [n, 1, 28, 28] between 0 and 1, and labels."""
    pictures = gzip.decompress((data / f"{part}-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((data / f"{part}-labels-idx1-ubyte.gz").read_bytes())[8:]
    floats = np.frombuffer(pictures, np.uint8).reshape(-1, 1, 28, 28).astype(np.float32) / 255
    return floats, np.frombuffer(labels, np.uint8).astype(np.int64)


def peer(data: Path, epochs: int, threads: int, device: str = "cpu") -> float:
    """The test accuracy of the same network trained by PyTorch: Adam, its rate along half a cosine, batches of 64."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    net = nn.Sequential(
        *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
        *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
    ).to(device)
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE, eps=1e-7)
    x, y = (torch.from_numpy(array).to(device) for array in read(data, "train"))
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 * (1 + math.cos(math.pi * step / steps)))
    for _ in range(epochs):
        for chosen in torch.randperm(len(x), device=device)[: len(x) // BATCH * BATCH].split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
    x, y = (torch.from_numpy(array).to(device) for array in read(data, "t10k"))
    with torch.inference_mode():
        return float((torch.cat([net(part) for part in x.split(500)]).argmax(1) == y).float().mean())


def timed(command: list[str], threads: int) -> tuple[float, str]:
    """Seconds of a process, and its last line."""
    start = time.perf_counter()
    environment = {**os.environ, "GRAPHDSL_THREADS": str(threads)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT, env=environment)
    return time.perf_counter() - start, done.stdout.splitlines()[-1]


def compare(data: Path, epochs: int, rounds: int, threads: int, device: str = "cpu") -> dict[str, Any]:
    """Both sides in turns: medians of seconds, their ratio, test accuracies."""
    run = [sys.executable, "-m", "graphdsl", "run", "specs/lenet_mnist.dag", "--format", "json", "--device", device]
    theirs = [sys.executable, __file__, str(data), "--peer", "--epochs", str(epochs), "--threads", str(threads)]
    theirs += ["--device", device]
    with TemporaryDirectory() as runs:
        ours = [*run, "--set", f"data={data}", "--epochs", str(epochs), "--runs", runs]
        pairs = [(timed(ours, threads), timed(theirs, threads)) for _ in range(rounds)]
    (_, ours_said), (_, theirs_said) = pairs[-1]
    return {
        "device": device,
        "epochs": epochs,
        "threads": threads,
        "ours_s": round(statistics.median(a[0] for a, _ in pairs), 2),
        "pytorch_s": round(statistics.median(b[0] for _, b in pairs), 2),
        "ratio": round(statistics.median(a[0] / b[0] for a, b in pairs), 3),
        "ours_accuracy": json.loads(ours_said)["metrics"]["test"]["digit.accuracy"],
        "pytorch_accuracy": float(theirs_said),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.peer:
        print(peer(options.data, options.epochs, options.threads, options.device))
        return
    found = compare(options.data.resolve(), options.epochs, options.rounds, options.threads, options.device)
    print(json.dumps(found))
    if options.write:
        target = Path(__file__).with_name("results") / f"{'gpu_' if options.device == 'cuda' else ''}mnist.json"
        target.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
