"""Whether both sides compute the same: a benchmark of different computations says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tests.benchmarks.cases import STILL, Case
from tests.benchmarks.ours import Ours
from tests.benchmarks.peers import CONTIGUOUS, Server, Trainer, made

RATE = 0.01
STEPS = 3
OUTPUTS = 1e-3
"""The largest difference of an output that passes, relative to the largest output."""

LOSS = 1e-3
"""The largest relative difference of a loss, over STEPS steps."""

CHANGE = 2e-2
"""The largest difference of all weights' first change, relative to the change: ReLUs near 0 flip by rounding."""


def difference(case: Case, ours: Ours, samples: int) -> dict[str, float]:
    """How far the sides are apart, as `outputs`, or as `loss` and `change`. Raises ValueError where it is too far."""
    batch, weights = case.batch(samples), ours.weights()
    if ours.train:
        found = _trained(case, ours, batch, weights)
        allowed = {"loss": LOSS, "change": CHANGE}
    else:
        found = {"outputs": _served(case, ours, batch, weights)}
        allowed = {"outputs": OUTPUTS}
    for what, limit in allowed.items():
        if not found[what] <= limit:
            raise ValueError(f"{case.name}: the sides differ in {what} by {found[what]:.1e}, more than {limit:.0e}")
    return found


def demand_alike(name: str, mine: Any, theirs: Any) -> None:
    """Raises ValueError where the losses or the outputs of one step of both sides are too far apart."""
    pairs = [(mine, theirs)] if isinstance(mine, float) else list(zip(mine, map(np.asarray, theirs), strict=True))
    apart = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
    if not apart <= OUTPUTS:
        raise ValueError(f"{name}: the sides differ by {apart:.1e}, more than {OUTPUTS:.0e}")


def _served(case: Case, ours: Ours, batch: dict[str, np.ndarray], weights: list[np.ndarray]) -> float:
    theirs = [result.numpy() for result in Server(case, batch, weights, CONTIGUOUS).step()]
    pairs = zip(ours.step(), theirs, strict=True)
    return max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)


def _trained(case: Case, ours: Ours, batch: dict[str, np.ndarray], weights: list[np.ndarray]) -> dict[str, float]:
    """Both make the same few steps; the weights are then as before."""
    peer = Trainer(case, batch, weights, CONTIGUOUS, RATE)
    ours.set_rate(RATE)
    apart = []
    change = 0.0
    for index in range(STEPS):
        mine, theirs = ours.step(), peer.step()
        apart.append(abs(mine - theirs) / abs(theirs))
        change = change if index else _change(case, weights, ours.weights(), peer)
    ours.set_rate(STILL)
    ours.restore(weights)
    return {"loss": max(apart), "change": change}


def _change(case: Case, before: list[np.ndarray], after: list[np.ndarray], peer: Trainer) -> float:
    """The length of the difference between the two changes of all weights that learn, relative to PyTorch's change."""
    start, mine = made(case, before, CONTIGUOUS), made(case, after, CONTIGUOUS)
    apart = moved = 0.0
    with torch.no_grad():
        for a, b, c in zip(start.parameters(), mine.parameters(), peer.network.parameters(), strict=True):
            apart += float((b - c).double().square().sum())
            moved += float((c - a).double().square().sum())
    return (apart / moved) ** 0.5
