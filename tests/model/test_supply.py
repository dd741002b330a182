"""Data on their way into a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.report import Failed

SHORT = """input  text: int(20)[T]
target kind: float[1]
output guess = text -> embedding(4) -> conv(6, 5) -> relu -> max_pool(5) -> conv(3, 3) -> global_avg_pool
  -> dense(1) -> sigmoid
train { loss = [guess, kind] -> binary_crossentropy  epochs = 1 }
"""
NEEDED = 5 * 3 + 4


@pytest.fixture
def model(tmp_path: Path) -> graphdsl.Model:
    (tmp_path / "short.dag").write_text(SHORT)
    return graphdsl.compile(tmp_path / "short.dag")


def sequences(*lengths: int) -> list[np.ndarray]:
    chance = np.random.default_rng(3)
    return [chance.integers(1, 20, length) for length in lengths]


@pytest.mark.parametrize("lengths", [(3, 7, 5, 1), (4, 4, 4, 4)])
def test_short_sequences_are_padded_to_what_the_network_needs(model: graphdsl.Model, lengths: tuple[int, ...]) -> None:
    given = {"text": sequences(*lengths)}
    done = model.fit(given, {"kind": np.array([0, 1, 0, 1])}, runs=None, shown=False)
    assert np.isfinite(done.metrics["train"]["loss"])
    assert model.predict(given)["guess"].shape == (4, 1)


def test_padding_changes_no_result(model: graphdsl.Model) -> None:
    found = sequences(3, NEEDED + 1, NEEDED, 60)
    together = model.predict({"text": found})["guess"]
    alone = np.concatenate([model.predict({"text": [one]})["guess"] for one in found])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


def test_pictures_are_not_padded(tmp_path: Path) -> None:
    (tmp_path / "p.dag").write_text("input x: float[H, W, 1]\noutput y = x -> conv(2, 5) -> global_avg_pool\n")
    with pytest.raises(Failed, match="E0408"):
        graphdsl.compile(tmp_path / "p.dag").predict({"x": np.zeros((2, 3, 9, 1))})


def test_a_limit_takes_the_first_rows_before_some_are_split_off(tmp_path: Path) -> None:
    (tmp_path / "d.dag").write_text(
        "input image: float[8, 8, 1]\noutput y = image -> conv(1, 1)\n"
        "train { data = digits(limit=20, valid=0.25, batch=4)  loss = [y, image] -> mse }"
    )
    model = graphdsl.compile(tmp_path / "d.dag")
    feeds = model._supply.feeds(model.plans[0])
    assert sorted([*feeds.train.bound.rows, *feeds.valid.bound.rows]) == list(range(20))
    assert (len(feeds.train), len(feeds.valid)) == (4, 2)
