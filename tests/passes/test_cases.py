"""Passes as text: what goes in, a line of dashes, what comes out. `pytest --update-golden` writes what comes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from graphdsl.ir import Graph, demand_valid, parse_graph, print_graph
from graphdsl.passes import (
    MACHINE,
    Mode,
    fold,
    fuse,
    gradient,
    hoist,
    learned,
    narrow,
    shrink,
    simplify,
    specialise,
    sums,
    total_loss,
    update,
)
from tests.support.rules import Plain

CASES = sorted(Path(__file__).parent.glob("cases/*.graph"))
LINE = "-" * 80 + "\n"

PASSES: dict[str, Callable[[Graph], Graph]] = {
    "specialise_training": partial(specialise, mode=Mode.TRAINING),
    "specialise_inference": partial(specialise, mode=Mode.INFERENCE),
    "total_loss": lambda graph: total_loss(graph, learned(graph), {"half": 0.5}),
    "gradient": lambda graph: gradient(graph, learned(graph)),
    "update": partial(update, rule=Plain()),
    "shrink": shrink,
    "simplify": simplify,
    "sums": sums,
    "fold": fold,
    "fuse": fuse,
    "hoist": hoist,
    "narrow": narrow,
    **MACHINE,
}


@pytest.mark.parametrize("path", CASES, ids=lambda p: p.stem)
def test_case(path: Path, pytestconfig: pytest.Config) -> None:
    before, _, after = path.read_text(encoding="utf-8").partition(LINE)
    run = next(p for name, p in PASSES.items() if path.stem.startswith(name))
    graph = parse_graph(before)
    demand_valid(graph, "reading")
    made = run(graph)
    demand_valid(made, path.stem)
    if pytestconfig.getoption("--update-golden"):
        path.write_text(before + LINE + print_graph(made), encoding="utf-8", newline="\n")
        return
    assert print_graph(made) == after


def test_every_pass_has_a_case() -> None:
    assert all(any(p.stem.startswith(name) for p in CASES) for name in PASSES)
