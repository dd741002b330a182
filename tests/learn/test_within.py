"""`within`: weights that stay between two numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import Array
from graphdsl.report import Failed

TEXT = """
weight a: float[3] = 0.5
weight b: float[3] = 0.5
train {{
  loss = [[a, a * 0 + 2] -> mse, [b, b * 0 - 2] -> mse]
  optimizer = {optimizer}
  {within}
  steps = 40
}}
output y = a + b
"""


def trained(folder: Path, within: str, optimizer: str = "sgd(lr=0.5)") -> tuple[Array, Array]:
    path = folder / "bound.dag"
    path.write_text(TEXT.format(within=within, optimizer=optimizer))
    model = graphdsl.compile(path)
    model.fit(runs=None, shown=False)
    weights = model.executor.weights
    return weights["a"], weights["b"]


def test_a_weight_stays_where_it_may(tmp_path: Path) -> None:
    free, bound = trained(tmp_path, ""), trained(tmp_path, "within = [a, 0, 1]")
    np.testing.assert_allclose(free, [[2] * 3, [-2] * 3], atol=1e-3)
    np.testing.assert_allclose(bound, [[1] * 3, [-2] * 3], atol=1e-3)


@pytest.mark.parametrize("optimizer", ["adam(lr=0.3)", "lbfgs", "rmsprop(lr=0.1)"])
def test_each_of_several(tmp_path: Path, optimizer: str) -> None:
    """The last that names a weight counts."""
    got = trained(tmp_path, "within = [[a, b, 0, 1], [b, -0.5, 0.6]]", optimizer)
    np.testing.assert_allclose(got, [[1] * 3, [-0.5] * 3], atol=1e-6)


@pytest.mark.triggers("E0218")
def test_bounds_of_what_does_not_learn(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0218.*`within` names `a`.*nothing there learns"):
        trained(tmp_path, "within = [a, 0, 1] freeze = a")


@pytest.mark.triggers("E0208")
@pytest.mark.parametrize("written", ["[a, 1]", "[a, 1, 1]", "[a, 2, 1]", '[a, 0, "x"]', "a", "[a, true, 3]"])
def test_what_are_no_bounds(tmp_path: Path, written: str) -> None:
    with pytest.raises(Failed, match=r"E0208.*`within` needs"):
        trained(tmp_path, f"within = {written}")
