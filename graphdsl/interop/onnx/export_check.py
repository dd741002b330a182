"""Whether an exported file says what the spec says: both are run on the same random inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from graphdsl.interop.onnx.export_sheet import first, graph_inputs
from graphdsl.ir import BATCH, Array, Graph, Role, TensorType
from graphdsl.passes import apply, inference, shortest
from graphdsl.runtime import Compiled, Executor

SAMPLES, STEPS = 2, 5
"""Of a random batch; steps beyond the least that the network needs, where lengths are free."""


def difference(path: Path, graph: Graph, executor: Executor, *, nchw: bool = False) -> float | None:
    """The largest difference between an ONNX file and the outputs of graph, divided by the largest of that output.

    nchw: the file takes pictures channels-first. None where `onnxruntime` is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        return None
    graph = graph.with_results(graph.of_role(Role.OUTPUT))
    feeds = random_inputs(graph)
    ours = Compiled(apply(graph, inference()), executor).run(feeds)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = {name: array.transpose(first(4)) if nchw and array.ndim == 4 else array for name, array in feeds.items()}
    theirs = dict(zip([node.name for node in session.get_outputs()], session.run(None, given), strict=True))
    return max((_apart(ours[name], np.asarray(theirs[name])) for name in ours), default=0.0)


def random_inputs(graph: Graph, seed: int = 0) -> dict[str, Array]:
    """Something for every input: normal numbers, whole numbers below their bound, lengths, one of them whole."""
    generator = np.random.default_rng(seed)
    sizes = {name: least + STEPS for name, least in shortest(graph).items()}
    sizes[str(BATCH)] = SAMPLES
    types = graph_inputs(graph)
    return {name: _random(name, type, sizes, generator) for name, type in types.items()}


def _random(name: str, type: TensorType, sizes: Mapping[str, int], generator: np.random.Generator) -> Array:
    shape = type.bind(sizes)
    if name.startswith("lengths/"):
        longest = sizes[name.removeprefix("lengths/")]
        return np.array([longest, *[longest - STEPS + 2] * (SAMPLES - 1)], type.dtype.numpy)
    if type.kind.name == "indices":
        return generator.integers(0, type.kind.classes, shape).astype(type.dtype.numpy)
    return generator.standard_normal(shape).astype(type.dtype.numpy)


def _apart(ours: Array, theirs: Array) -> float:
    return float(np.abs(ours - theirs).max()) / (float(np.abs(ours).max()) or 1.0)
