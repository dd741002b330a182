"""What passes do for speed changes no number: a training step of every spec we ship, in float64, with them and without.

Specs that would take minutes here are left out; their layers are those of the others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.ir import Array, Graph, Input, Role, Weight
from graphdsl.ir import evaluate as size_of
from graphdsl.lang import elaborate, read_source
from graphdsl.passes import MACHINE, apply, for_machine, inference, learned, training
from tests.passes.test_shipped_specs import SPECS, sizes
from tests.support.evaluate import evaluate, parameters
from tests.support.language import VOCABULARY
from tests.support.rules import Momentum

FOR_SPEED = {"shrink", "fold", "sums", "hoist", "fuse"}
MOST_FLOPS = 5e9
MOST_PARAMETERS = 5_000_000


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_spec(path: Path) -> None:
    graph = elaborate(read_source(str(path)), VOCABULARY, {}).graph
    stages = training(Momentum()) if graph.of_role(Role.LOSS) and learned(graph) else inference()
    plain = apply(graph, [s for s in stages if s.name not in FOR_SPEED])
    if flops(plain, sizes(plain)) > MOST_FLOPS or parameters(plain) > MOST_PARAMETERS:
        pytest.skip("too large")
    given = feeds(plain)
    expected = evaluate(plain, given)
    for made in (apply(graph, stages), apply(graph, (*stages, *for_machine(MACHINE)))):
        found = evaluate(made, given)
        assert found.keys() == expected.keys()
        for key, array in found.items():
            scale = float(np.max(np.abs(expected[key]), initial=1e-3))
            np.testing.assert_allclose(array, expected[key], rtol=1e-6, atol=1e-8 * scale, err_msg=str(key))


def flops(graph: Graph, binding: dict[str, int]) -> float:
    """Of the whole graph."""
    total = 0.0
    for name, node in graph.items():
        total += size_of(node.op.flops([v.type for v in graph.operands(name)], node.types), binding)
    return total


def feeds(graph: Graph) -> dict[str, Array]:
    """Inputs and weights, all of them float64 where they are floats; sequences of several lengths."""
    generator = np.random.default_rng(0)
    binding = sizes(graph)
    found: dict[str, Array] = {}
    for name, node in graph.items():
        if not isinstance(node.op, Input | Weight):
            continue
        shape, made = node.types[0].bind(binding), node.types[0]
        if isinstance(node.op, Weight):
            found[name] = node.op.init.sample(shape, generator) + 0.05 * generator.random(shape)
        elif made.dtype.is_float:
            found[name] = np.float64(0.1) * generator.standard_normal(shape)
        else:
            found[name] = generator.integers(0, max(made.kind.classes, 2), shape).astype(made.dtype.numpy)
        if name.startswith("lengths/"):
            found[name] = np.full(shape, binding[name.removeprefix("lengths/")], made.dtype.numpy)
    return found
