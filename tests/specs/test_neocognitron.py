"""What the shipped Neocognitron learns of digits whose names it is never told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.data import Digits, Places
from graphdsl.ir import Array

ZOO = Path(__file__).parents[2] / "specs" / "zoo"


def digits(part: str) -> tuple[Array, Array]:
    columns = Digits(part=part).read(Places()).columns
    return columns["image"].take(slice(None)), columns["label"].take(slice(None))


def recognised(winners: dict[str, Array]) -> float:
    """How many of the test digits have the name that most digits of their winning plane have in training."""
    names = digits("train")[1]
    known = {plane: np.bincount(names[winners["train"] == plane]).argmax() for plane in set(winners["train"])}
    return float(np.mean([known.get(w) == name for w, name in zip(winners["test"], digits("test")[1], strict=True)]))


def test_patterns_are_no_running_averages() -> None:
    patterns = 3 * 3 * 1 * 12 + 12 + 8 * 8 * 12 * 100 + 100
    line = f"parameters: 1,010 (1,010 trainable, 0 frozen), and {patterns:,} learned without gradients\n"
    assert line in graphdsl.compile(ZOO / "neocognitron.dag").summary()


@pytest.mark.slow
def test_planes_become_digits_without_a_gradient(tmp_path: Path) -> None:
    """A plane wins where its cells answer most. Planes that have learned nothing do not tell digits apart."""
    text = (ZOO / "neocognitron.dag").read_text(encoding="utf-8")
    spec = tmp_path / "cells.dag"
    spec.write_text(text.replace("output digit", "output planes = features\noutput digit").split("train readout")[0])
    model = graphdsl.compile(spec)
    assert not any(o.terms for plan in model.plans for o in plan.objectives)

    def winners() -> dict[str, Array]:
        return {p: model.predict({"image": digits(p)[0]})["planes"].argmax(1) for p in ("train", "test")}

    unlearned = recognised(winners())
    model.fit(runs=None, shown=False)
    assert unlearned < 0.4
    assert recognised(winners()) > 0.8
