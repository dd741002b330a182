"""Rows with everything in them: made-up adverts, real houses, clothes with two heads."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.data import Csv, Images, Joined, Places
from tests.support.shared import DATA, needs

ROOT = Path(__file__).parents[2]
NAMES = ("bedrooms", "bathrooms", "area", "zip", "price")


def test_adverts_are_learned_from_all_that_they_tell(tmp_path: Path) -> None:
    data = runpy.run_path(str(ROOT / "examples/houses/make_data.py"))["main"](tmp_path)
    model = graphdsl.compile(ROOT / "specs/house_adverts.dag", {"data": str(data)})
    got = model.fit(runs=None, shown=False).metrics
    assert got["test"]["loss"] < 0.2, "the best price for all is off by 0.74"


@needs("houses")
def test_real_houses_with_four_photographs_each(tmp_path: Path) -> None:
    info = DATA / "houses/HousesInfo.txt"
    rows = Joined(str(info), names=NAMES, delimiter=" ", pictures=("images/{row}_{view}.jpg",)).read(Places())
    views = [name for name, column in rows.columns.items() if isinstance(column, Images)]
    assert len(rows) == 400 and views == ["bathroom", "bedroom", "frontal", "kitchen"]
    numbers = {name: rows.columns[name].take(np.arange(len(rows))) for name in NAMES}
    np.savez(tmp_path / "houses.npz", views=np.zeros((len(rows), 2048), np.float32), **numbers)
    model = graphdsl.compile(ROOT / "specs/houses_numbers.dag", {"data": str(tmp_path / "houses.npz")})
    assert model.fit(runs=None, shown=False).metrics["test"]["loss"] < 0.4


@needs("clothing")
def test_real_photographs_named_in_a_table(tmp_path: Path) -> None:
    rows = Csv(str(DATA / "clothing/labels.csv"), ignore=("split", "sender_id")).read(Places())
    files = rows.columns["file"]
    assert isinstance(files, Images) and len(files) == 1367
    assert files.sized(8, 8, 3).take(np.array([0, 1366])).shape == (2, 8, 8, 3)


def test_two_heads_of_unlike_weight_both_learn(tmp_path: Path) -> None:
    """Ten kinds and a rare mark, each told by other features."""
    chance = np.random.default_rng(0)
    label, kids = chance.integers(0, 10, 800), (chance.random(800) < 0.1).astype(np.int64)
    seen = chance.normal(0, 1, (800, 512)).astype(np.float32)
    seen[np.arange(800), label] += 12
    seen[:, 20:40] += 3 * kids[:, None]
    np.savez(tmp_path / "clothing.npz", seen=seen, label=label, kids=kids)
    settings = {"data": str(tmp_path / "clothing.npz")}
    got = graphdsl.compile(ROOT / "specs/clothing_heads.dag", settings).fit(runs=None, shown=False, epochs=15).metrics
    assert got["test"]["kind.accuracy"] > 0.8
    assert got["test"]["young.accuracy"] > 0.94 and got["test"]["young.recall"] > 0.7
    assert got["test"]["loss"] == pytest.approx(got["test"]["kind.loss"] + 0.5 * got["test"]["young.loss"], rel=1e-5)
