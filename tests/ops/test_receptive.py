"""How far tensors see, against what changing one step of the input changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.ops import Sight, sight_of
from graphdsl.report import Failed

STEPS = 64
CHAINS = {
    "conv(3, 3)": (3, 0),
    "conv(3, 3, pad=same) -> relu": (3, 1),
    "conv(3, 2, dilation=4, pad=causal) -> conv(3, 2, dilation=8, pad=causal)": (13, 12),
    "conv(3, 5, stride=2) -> conv(3, 3) -> batch_norm": (9, 0),
    "max_pool(2) -> conv(3, 3, pad=1) -> avg_pool(3, stride=1)": (10, 2),
    "conv(4, 1) -> dense(3) -> softmax": (1, 0),
    "pad(2, 0) -> conv(2, 3) -> slice(1, axis=0)": (3, 1),
    "conv_transpose(2, 4, stride=2)": (2, 1.5),
    "conv_transpose(2, 3, stride=1) -> conv(2, 3)": (5, 2),
    "separable_conv(4, 3, dilation=2, pad=2)": (5, 2),
}


def model(tmp_path: Path, chain: str, more: str = "") -> graphdsl.Model:
    spec = tmp_path / "chain.dag"
    spec.write_text(f"input x: float[{STEPS}, 2]\noutput y = x -> {chain}\n{more}\n")
    return graphdsl.compile(spec)


def sight(made: graphdsl.Model) -> Sight | None:
    (result,) = made.graph.of_role("output")  # type: ignore[arg-type]
    return sight_of(result.value, lambda v: made.graph.node(v.node).op, lambda v: made.graph.operands(v.node))


@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_seen_is_what_changes_a_step(tmp_path: Path, chain: str) -> None:
    """All that is told to matter may, nothing else does, and both ends do for some step."""
    made = model(tmp_path, chain)
    seen = sight(made)
    steps, before = CHAINS[chain]
    assert seen is not None and (seen.steps, seen.first) == (steps, -before)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, STEPS, 2)).astype(np.float32)
    plain = made.predict(x)["y"][0]
    met = set()
    for place in range(20, 44):
        other = x.copy()
        other[0, place] += rng.normal(size=2).astype(np.float32) * 50
        changed = np.flatnonzero((made.predict(other)["y"][0] != plain).any(axis=1))
        met |= {float(place - seen.stride * j) for j in changed}
    assert seen.first - 1e-6 <= min(met) < seen.first + 1 and seen.last - 1 < max(met) <= seen.last + 1e-6


@pytest.mark.parametrize("chain", ["lstm(3, sequence=true)", "reverse", "conv(3, 3) -> cumsum", "transpose"])
def test_what_sees_everything(tmp_path: Path, chain: str) -> None:
    seen = sight(model(tmp_path, chain))
    assert seen is not None and seen.steps is None
    with pytest.raises(Failed, match="any number of steps"):
        model(tmp_path, chain, "assert y.receptive_field == 3")


def test_it_is_a_fact_and_stands_in_the_summary(tmp_path: Path) -> None:
    chain = "conv(4, 2, dilation=2, pad=causal) -> conv(4, 2, dilation=4, pad=causal)"
    made = model(tmp_path, chain, "assert y.receptive_field == 1 + 2 + 4")
    assert "receptive field of y: 7 steps, 6 before and 0 after\n" in made.summary()
    with pytest.raises(Failed, match="receptive_field == 8"):
        model(tmp_path, chain, "assert y.receptive_field == 8")
    strided = model(tmp_path, "conv(4, 4, stride=2)").summary()
    assert "receptive field of y: 4 steps, 0 before and 3 after; the next begins 2 further\n" in strided


def test_paths_that_join_see_what_each_sees(tmp_path: Path) -> None:
    spec = tmp_path / "join.dag"
    spec.write_text(
        "input x: float[T, 2]\na = x -> conv(2, 5, pad=same)\nb = x -> conv(2, 2, dilation=7, pad=causal)\n"
        "output y = [a, b] -> concat\noutput z = a * b\nassert y.receptive_field == z.receptive_field\n"
        "assert y.receptive_field == 10\n"
    )
    assert "receptive field of z: 10 steps, 7 before and 2 after" in graphdsl.compile(spec).summary()
