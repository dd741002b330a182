"""How a batch becomes what a graph takes, and what metrics see of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.data import Wanted, arrays, bind
from graphdsl.ir import BATCH, Dim, TensorType, Value, symbol
from graphdsl.learn import METRICS, Feeder, Reading
from graphdsl.learn.feed import pair
from graphdsl.learn.plan import Watch
from tests.support.language import fine

T, U = symbol("T"), symbol("U")


@pytest.mark.parametrize(
    ("reading", "sizes", "expected"),
    [
        (Reading.NUMBERS, (T, U), [[[1, 0, 0], [1, 0, 0]], [[1, 1, 1], [0, 0, 0]]]),
        (Reading.NUMBERS, (2, U), [[[1, 0, 0]] * 2, [[1, 1, 1]] * 2]),
        (Reading.CLASSES, (T,), [[1, 1], [1, 0]]),
        (Reading.ONE_HOT, (T, 3), [[1, 1], [1, 0]]),
        (Reading.ONE_HOT, (U,), None),
    ],
)
def test_metrics_count_what_exists_along_every_free_axis(
    reading: Reading, sizes: tuple[Dim, ...], expected: Any
) -> None:
    fed = {"lengths/T": np.array([2, 1]), "lengths/U": np.array([1, 3])}
    value = Value("y", 0, TensorType((BATCH, *sizes)))
    array = np.zeros((2, *({T: 2, U: 3}.get(size, size) for size in sizes)))
    found = pair(
        Watch("m", METRICS["mse"].make(), reading, value, value),
        dict.fromkeys(["tap/m/prediction", "tap/m/target"], array),
        fed,
    )
    assert (None if found.real is None else found.real.tolist()) == expected


def test_a_size_that_all_samples_share_is_their_length() -> None:
    spec = fine("input x: float[8, W, 3]\noutput y = x -> conv(2, 3, pad=same) -> global_avg_pool")
    port = spec.inputs["x"]
    bound = bind(arrays(np.zeros((4, 8, 5, 3))), [Wanted(port.name, "input", port.type, port.span)])
    fed = Feeder(spec).feed(bound.take(np.arange(2)))
    assert fed["lengths/W"].tolist() == [5, 5]
