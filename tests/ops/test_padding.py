"""What stands behind a sequence's end changes nothing: every sample gives what it gives alone."""

from __future__ import annotations

from re import findall

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import Array, Role
from graphdsl.passes import apply, inference
from graphdsl.runtime import Compiled, Executor
from tests.support.language import elaborated, fine

LENGTHS = {"T": np.array([6, 3, 1, 4], np.int32), "U": np.array([7, 2, 5, 1], np.int32)}
SIZES = {"T": 6, "U": 7}
DECLARED = {"s": ("T", ()), "x": ("T", (4,)), "u": ("U", (4,))}
"""Each input: its free dimension, and the features behind it."""

FLOWS = {
    "softmax": "s -> softmax(temperature=2) -> reduce_max",
    "dot": "[s, s + 1] -> dot",
    "cosine": "[s, 2 * s + 1] -> dot(normalize=true)",
    "matrix": "[x -> transpose, x -> transpose] -> dot",
    "attention": "[[u, x] -> dot -> softmax, x -> transpose] -> dot -> lstm(3)",
    "scores": "[[u, x] -> dot, x -> transpose] -> dot -> global_max_pool",
    "pairs": "[u, x] -> dot -> reduce_max",
    "mean": "x -> reduce_mean(0)",
    "flat": "x -> flatten -> reduce_mean",
    "same": "x -> conv(3, 4, pad=same) -> conv(2, 3, pad=1) -> global_avg_pool",
    "strided": "x -> conv(3, 2, stride=2, pad=1) -> gru(3)",
    "transposed": "x -> conv_transpose(3, 4, stride=2, pad=1, output_pad=1) -> gru(2, reverse=true)",
    "max_pool": "x -> max_pool(3, stride=2, pad=1) -> global_avg_pool",
    "avg_pool": "x -> avg_pool(3, stride=2, pad=1, count_padding=true) -> global_avg_pool",
    "upsample": "x -> upsample(2) -> gru(3, sequence=true) -> reduce_sum",
    "both_ways": "x -> lstm(3, sequence=true, reverse=true) -> lstm(2)",
    "batch_norm": "x -> batch_norm -> lstm(2)",
}


@pytest.mark.parametrize("flow", FLOWS)
def test_a_sample_is_what_it_is_alone(flow: str) -> None:
    used = [name for name in DECLARED if name in findall(r"\w+", FLOWS[flow])]
    free = [(name, *DECLARED[name]) for name in used]
    inputs = "".join(f"input {n}: float[{', '.join([dim, *map(str, behind)])}]\n" for n, dim, behind in free)
    graph = fine(f"{inputs}output y = {FLOWS[flow]}").graph
    model = Compiled(apply(graph.with_results(graph.of_role(Role.OUTPUT)), inference()), Executor(backend("reference")))
    together = model.run({**_garbage(used), **_lengths(used)})["y"]
    for sample in range(4):
        alone = {n: _real(n, sample)[None] for n in used}
        lengths = {name: array[sample : sample + 1] for name, array in _lengths(used).items()}
        (expected,) = model.run({**alone, **lengths})["y"]
        np.testing.assert_allclose(together[sample], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", ["reduce_max(0)", "global_max_pool", "max_pool(2, stride=1, pad=1)"])
def test_a_sequence_without_steps_has_the_largest_0(layer: str) -> None:
    graph = fine(f"input x: float[T, 4]\noutput y = x -> {layer}").graph
    model = Compiled(apply(graph, inference()), Executor(backend("reference")))
    fed = {"x": np.full((1, 3, 4), 7.0, np.float32), "lengths/T": np.array([0], np.int32)}
    assert not model.run(fed)["y"].any()


@pytest.mark.parametrize("layer", ["layer_norm(scale=false, center=false)", "batch_norm"])
def test_features_of_no_known_number_are_not_normalised(layer: str) -> None:
    _, mistakes = elaborated(f"input x: float[T]\noutput y = x -> {layer}")
    assert [m.code for m in mistakes] == ["E0401"]


def test_softmax_never_mixes_samples() -> None:
    _, mistakes = elaborated("input x: float\noutput y = x -> softmax")
    assert [m.code for m in mistakes] == ["E0301"]


def _real(name: str, sample: int) -> Array:
    dim, behind = DECLARED[name]
    generator = np.random.default_rng([sample, len(name), ord(name)])
    return generator.normal(size=(LENGTHS[dim][sample], *behind)).astype(np.float32)


def _garbage(used: list[str]) -> dict[str, Array]:
    """All samples of each input, a large number behind the end of each."""
    made = {}
    for name in used:
        dim, behind = DECLARED[name]
        made[name] = np.full((4, SIZES[dim], *behind), 1000.0, np.float32)
        for sample in range(4):
            made[name][sample, : LENGTHS[dim][sample]] = _real(name, sample)
    return made


def _lengths(used: list[str]) -> dict[str, Array]:
    return {f"lengths/{DECLARED[name][0]}": LENGTHS[DECLARED[name][0]] for name in used}
