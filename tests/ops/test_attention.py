"""Attention and positions: as PyTorch has them, blind to what is padded and to what is to come."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import LAYERS, Array
from graphdsl.report import Failed
from tests.support.layers import check, numbers_of, wave

BIASES = ("query_bias", "key_bias", "value_bias", "output_bias")


def weights(
    features: int, memory: int, width: int, value_width: int, units: int, bias: bool = True
) -> dict[str, Array]:
    sizes = {"query": (features, width), "key": (memory, width), "value": (memory, value_width)}
    sizes["output"] = (value_width, units)
    found = {n: wave(*s, speed=0.3 + i) for i, (n, s) in enumerate(sizes.items())}
    ends = {f"{n}_bias": wave(s[1], speed=2.3 + i) for i, (n, s) in enumerate(sizes.items())}
    return {**found, **(ends if bias else {})}


def in_torch(heads: int, causal: bool = False) -> Any:
    def run(torch: Any, x0: Any, **given: Any) -> Any:
        xs = [x0, given.pop("x1", x0)]
        xs.append(given.pop("x2", xs[1]))
        from_ = dict(zip(("query", "key", "value"), xs, strict=True))
        q, k, v = (x @ given[n] + given.get(f"{n}_bias", 0) for n, x in from_.items())
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return y.transpose(1, 2).flatten(2) @ given["output"] + given.get("output_bias", 0)

    return run


@pytest.mark.parametrize(("bias", "causal"), [(True, False), (False, True)])
def test_a_sequence_reads_itself(bias: bool, causal: bool) -> None:
    given = {"x0": wave(2, 5, 6), **weights(6, 6, 6, 6, 6, bias)}
    check("attention", given, in_torch(3, causal), heads=3, bias=bias, causal=causal)


def test_a_sequence_reads_another() -> None:
    given = {"x0": wave(2, 5, 6), "x1": wave(2, 3, 4, speed=0.7), **weights(6, 4, 8, 4, 7)}
    check("attention", given, in_torch(2), heads=2, width=8, value_width=4, units=7)


def test_keys_and_values_may_differ() -> None:
    given = {
        "x0": wave(2, 5, 6),
        "x1": wave(2, 3, 4, speed=0.7),
        "x2": wave(2, 3, 4, speed=0.2),
        **weights(6, 4, 6, 6, 6),
    }
    check("attention", given, in_torch(2), heads=2)


def test_it_is_torchs_layer() -> None:
    torch = pytest.importorskip("torch")
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    torch.nn.init.normal_(theirs.in_proj_bias)
    x, memory = wave(2, 5, 8), wave(2, 4, 8, speed=0.4)
    kernels = zip(
        *(p.detach().numpy().reshape(3, 8, -1) for p in (theirs.in_proj_weight, theirs.in_proj_bias)), strict=True
    )
    given = {"output": theirs.out_proj.weight.detach().numpy().T, "output_bias": theirs.out_proj.bias.detach().numpy()}
    for name, (kernel, bias) in zip(("query", "key", "value"), kernels, strict=True):
        given |= {name: kernel.T, f"{name}_bias": bias[:, 0]}
    (found,) = numbers_of("attention", {"x0": x, "x1": memory, **given}, heads=2)
    wanted = theirs(*(torch.from_numpy(a) for a in (x, memory, memory)))[0].detach().numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)


def test_what_is_to_come_changes_nothing() -> None:
    x, given = wave(1, 9, 4), weights(4, 4, 4, 4, 4)
    later = np.concatenate([x[:, :5], x[:, 5:] * -3], axis=1)
    (one,), (other,) = (numbers_of("attention", {"x0": a, **given}, heads=2, causal=True) for a in (x, later))
    np.testing.assert_array_equal(one[:, :5], other[:, :5])
    assert np.abs(one[:, 5:] - other[:, 5:]).min() > 1e-6


def test_waves_are_those_of_the_paper() -> None:
    (found,) = numbers_of("positions", {"x0": np.zeros((1, 7, 6))}, kind="sinusoidal")
    angles = np.arange(7)[:, None] / 10_000 ** (np.arange(0, 6, 2) / 6)
    np.testing.assert_allclose(found[0, :, 0::2], np.sin(angles), atol=1e-6)
    np.testing.assert_allclose(found[0, :, 1::2], np.cos(angles), atol=1e-6)


def test_learned_positions_are_added() -> None:
    x, table = wave(2, 5, 3), wave(8, 3, speed=0.4)
    np.testing.assert_allclose(numbers_of("positions", {"x0": x, "table": table}, limit=8)[0], x + table[:5], rtol=1e-6)


FREE = """
input x: float[T, 6]
input memory: float[S, 5]
output own   = x -> positions(8) -> attention(2, causal=true)
output other = [x, memory] -> attention(3)
output all   = x -> attention(2) -> global_avg_pool
"""


@pytest.fixture
def free(tmp_path: Path) -> graphdsl.Model:
    spec = tmp_path / "free.dag"
    spec.write_text(FREE)
    return graphdsl.compile(spec)


def samples(count: int) -> Mapping[str, list[Array]]:
    times = {"x": (3, 7, 5), "memory": (4, 1, 9)}
    made = {n: [wave(t, 6 if n == "x" else 5, speed=0.1 * t).astype(np.float32) for t in ts] for n, ts in times.items()}
    return {n: arrays[:count] for n, arrays in made.items()}


def test_padding_changes_nothing(free: graphdsl.Model) -> None:
    given = samples(3)
    together = free.predict(given)
    for i in range(3):
        alone = free.predict({n: [arrays[i]] for n, arrays in given.items()})
        for name, found in alone.items():
            wanted = np.asarray(found[0])
            np.testing.assert_allclose(np.asarray(together[name][i])[: len(wanted)], wanted, rtol=1e-4, atol=1e-6)


def test_more_steps_than_positions_stop(free: graphdsl.Model) -> None:
    with pytest.raises(Failed) as caught:
        free.predict({"x": [wave(9, 6).astype(np.float32)], "memory": samples(1)["memory"]})
    assert caught.value.diagnostics[0].code == "E0408"


def test_pages_say_what_they_learn() -> None:
    assert "4 * features * (features + 1)" in LAYERS["attention"].doc
