"""Looking into a model: its graph after a pass, the values and weights of a layer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import Array, Graph, Value, Weight
from graphdsl.lang import Spec
from graphdsl.learn import Plan
from graphdsl.passes import MACHINE, apply, for_machine, inference
from graphdsl.report import did_you_mean, fail

ELABORATED = "elaborate"


def stage_text(graph: Graph, plans: Sequence[Plan], after: str) -> str:
    """The graph of the first train section after the pass called so; of use, where nothing is trained.

    After the last comes what machines may ask for.

    Raises E0804 where there is no such pass.
    """
    found = {ELABORATED: graph}
    if plans:
        objective = plans[0].objectives[0]
        start = objective.graph(graph)
        stages = objective.stages
    else:
        start, stages = graph, inference()
    stages = (*stages, *for_machine(MACHINE))
    names = [ELABORATED, *(stage.name for stage in stages)]
    if after not in names:
        help = did_you_mean(after, names) or f"there are {', '.join(names)}"
        raise fail("E0804", f"there is no pass `{after}`", help=help)
    apply(start, stages, found.__setitem__)
    return graph_text(found[after])


def graph_text(graph: Graph) -> str:
    """A line a node: its name, its operation, what it reads, the type of what it makes; then the results."""
    lines = []
    for name, node in graph.items():
        reads = ", ".join(v.node + (f".{v.port}" if v.port else "") for v in graph.operands(name))
        made = ", ".join(map(str, node.types))
        lines.append(f"{name} = {getattr(node.op, 'title', node.op.name)}({reads}): {made}")
    lines += [f"{r.role} {r.name} = {r.value.node}{f'.{r.value.port}' if r.value.port else ''}" for r in graph.results]
    return "\n".join(lines)


def made_by(spec: Spec, layer: str) -> Value:
    """The result of a layer, or the tensor of that name in the spec. Raises E0805 where there is neither."""
    if layer in spec.names:
        return spec.names[layer]
    last = {node.layer.path: name for name, node in spec.graph.items() if node.layer is not None}
    return spec.graph.value(last[_meant(layer, tuple(last), tuple(spec.names))])


def kernel_of(graph: Graph, layer: str) -> str:
    """The name of the largest weight of a layer. Raises E0805 where no layer of that name has weights."""
    found: dict[str, list[str]] = {}
    for name, node in graph.items():
        if isinstance(node.op, Weight) and node.layer is not None:
            found.setdefault(name.rpartition("/")[0], []).append(name)
    return max(found[_meant(layer, tuple(found))], key=lambda name: graph.value(name).type.rank)


def _meant(layer: str, paths: Sequence[str], others: Sequence[str] = ()) -> str:
    """The one path that is layer, or that ends in it: `conv_1` is enough where only one layer is called so."""
    if layer in paths:
        return layer
    ending = [path for path in paths if path.endswith(f"/{layer}")]
    if len(ending) == 1:
        return ending[0]
    if ending:
        listed = ", ".join(f"`{path}`" for path in ending[:5]) + (" …" if len(ending) > 5 else "")
        raise fail("E0805", f"{len(ending)} layers are called `{layer}`", help=f"write one of {listed}")
    short = [path.rpartition("/")[2] for path in paths]
    help = did_you_mean(layer, [*others, *paths, *short]) or "`graphdsl show` lists the layers"
    raise fail("E0805", f"there is no layer `{layer}`", help=help)


def joined(parts: Sequence[Array]) -> Array:
    """Batches one after another; where they were padded to different lengths, the shorter are padded with zeros."""
    longest = [max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True)]
    padded = [
        np.pad(p, [(0, 0), *((0, want - have) for want, have in zip(longest, p.shape[1:], strict=True))]) for p in parts
    ]
    return np.concatenate(padded)
