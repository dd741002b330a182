"""Writes data.npz: pairs of sequences of 128 features, and whether both of them carry the message."""

from pathlib import Path

import numpy as np

TARGET = Path(__file__).with_name("data.npz")
PAIRS, STEPS, FEATURES = 1200, 20, 128


def sequences(rng: np.random.Generator, carries: np.ndarray, message: np.ndarray) -> np.ndarray:
    """Noise, into which the message (three steps) is laid at a random place where `carries` says so."""
    made = rng.normal(0, 0.5, (len(carries), STEPS, FEATURES))
    starts = rng.integers(0, STEPS - len(message) + 1, len(carries))
    for row in np.flatnonzero(carries):
        made[row, starts[row] : starts[row] + len(message)] += message
    return made.astype(np.float32)


def main(path: Path = TARGET) -> None:
    rng = np.random.default_rng(0)
    message = rng.normal(0, 1, (3, FEATURES))
    same = rng.random(PAIRS) < 0.5
    left = same | (rng.random(PAIRS) < 0.5)
    right = np.where(left, same, rng.random(PAIRS) < 0.5)
    np.savez_compressed(
        path,
        left=sequences(rng, left, message),
        right=sequences(rng, right, message),
        same=same[:, None].astype(np.float32),
    )


if __name__ == "__main__":
    main()
