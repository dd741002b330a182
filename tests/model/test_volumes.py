"""A network over volumes trains: no kernel knows them, the operators' own references serve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from tests.support.layers import wave

SPEC = """
input  x: float[4, 4, 4, 2]
target t: float[1]
output y = x -> conv(4, 3, pad=same) -> batch_norm -> relu -> max_pool(2) -> avg_pool(2) -> flatten -> dense(1)
train { loss = [y, t] -> mse  optimizer = sgd(lr=0.05) }
"""


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_network_over_volumes_learns(backend: str, tmp_path: Path) -> None:
    path = tmp_path / "volume.dag"
    path.write_text(SPEC)
    model = graphdsl.compile(path, backend=backend)
    given, truth = {"x": wave(8, 4, 4, 4, 2).astype(np.float32)}, {"t": wave(8, 1).astype(np.float32)}
    first, last = (
        model.fit(given, truth, epochs=n, batch=8, runs=None, shown=False).metrics["train"]["loss"] for n in (1, 40)
    )
    assert last < first / 2
