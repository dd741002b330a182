"""The specs we ship through every pass: valid between passes, readable as text, and programs that fit their memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.ir import Graph, Role, demand_valid, names_of, parse_graph, print_graph
from graphdsl.lang import elaborate, read_source
from graphdsl.passes import MACHINE, apply, for_machine, inference, learned, lower, shortest, training
from tests.support.language import VOCABULARY
from tests.support.rules import Momentum

FOLDER = Path(__file__).parents[2] / "specs"
DEEPER = {"resnet101", "resnet152", "resnet101v2", "resnet152v2", "densenet169", "densenet201", "vgg19"}
"""More of the same blocks: left out to save time."""
SPECS = sorted(p for p in [*FOLDER.glob("*.dag"), *FOLDER.glob("zoo/*.dag")] if p.stem not in DEEPER)


def sizes(graph: Graph) -> dict[str, int]:
    """The shortest legal sequences, in batches of four."""
    free = {n for _, node in graph.items() for t in node.types for d in t.shape for n in names_of(d)}
    return {name: shortest(graph).get(name, 4) for name in free}


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_spec(path: Path) -> None:
    graph = elaborate(read_source(str(path)), VOCABULARY, {}).graph
    demand_valid(graph, "elaborate")
    used = apply(graph.with_results(graph.of_role(Role.OUTPUT)), inference(), lambda name, g: demand_valid(g, name))
    small = lower(used, sizes(graph))
    if not graph.of_role(Role.LOSS) or not learned(graph):
        return
    step = apply(graph, training(Momentum()), lambda name, g: demand_valid(g, name))
    for passes in ((), MACHINE):
        made = apply(step, for_machine(passes), lambda name, g: demand_valid(g, name))
        assert print_graph(parse_graph(print_graph(made))) == print_graph(made)
        program = lower(made, sizes(graph))
        assert program.arena_bytes >= small.arena_bytes
        copies = [c for c in program.calls if getattr(c.op, "title", "") == "copy"]
        assert not copies, "every weight is written straight"
