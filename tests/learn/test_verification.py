"""Verification over all pairs: against loops over thresholds, scikit-learn, and by hand where distances are equal."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import Array
from graphdsl.learn import METRICS, Pair, Reading, rates_of, rates_of_embeddings
from graphdsl.model import Model
from graphdsl.report import Failed, Source

WORDS = ("verification_accuracy", "equal_error_rate", "tar", "verification_auc")


def people(seed: int, spread: float = 1.0, grid: float = 0.0) -> tuple[Array, Array]:
    """Embeddings of 12 people, 1 to 6 of each; on a grid many distances are equal."""
    random = np.random.default_rng(seed)
    classes = np.repeat(np.arange(12), random.integers(1, 7, 12))
    found = random.normal(size=(12, 3))[classes] + spread * random.normal(size=(len(classes), 3))
    found = np.round(found / grid) * grid if grid else found
    order = random.permutation(len(classes))
    return found[order], classes[order]


def pairs(x: Array, classes: Array) -> tuple[Array, Array]:
    """Squared distances, and whether the two are of one class."""
    each = list(combinations(range(len(x)), 2))
    return np.array([((x[i] - x[j]) ** 2).sum() for i, j in each]), np.array(
        [classes[i] == classes[j] for i, j in each]
    )


def judged(name: str, x: Array, classes: Array, **settings: Any) -> float:
    """In batches of 5, as an epoch has it."""
    made = METRICS[name].make(**settings)
    parts = [slice(i, i + 5) for i in range(0, len(x), 5)]
    seen = [made.observe(Pair(Reading.EMBEDDINGS, x[part], classes[part])) for part in parts]
    return float(made.value(made.merge(seen)))


def staircase(apart: Array, same: Array) -> tuple[Array, Array]:
    """False and true accept rates at every distance that occurs, by counting."""
    limits = [-1.0, *np.unique(apart)]
    false = [(apart[~same] <= t).mean() for t in limits]
    true = [(apart[same] <= t).mean() for t in limits]
    return np.array(false), np.array(true)


def crossing(false: Array, true: Array) -> float:
    """Where the line between two thresholds has as many errors of both kinds."""
    for (f, t), (g, u) in zip(zip(false, true, strict=True), zip(false[1:], true[1:], strict=True), strict=False):
        if g >= 1 - u:
            part = (1 - t - f) / ((1 - t - f) - (1 - u - g))
            return float(f + part * (g - f))
    raise AssertionError


@pytest.mark.parametrize("grid", [0.0, 0.5])
@pytest.mark.parametrize("seed", range(6))
def test_against_all_thresholds(seed: int, grid: float) -> None:
    x, classes = people(seed, 0.6, grid)
    apart, same = pairs(x, classes)
    false, true = staircase(apart, same)
    assert judged("verification_accuracy", x, classes) == pytest.approx(((true + 1 - false) / 2).max(), rel=1e-12)
    assert judged("equal_error_rate", x, classes) == pytest.approx(crossing(false, true), rel=1e-9)
    for far in (0.0, 0.001, 0.05, 0.5):
        assert judged("tar", x, classes, far=far) == pytest.approx(true[false <= far].max(), rel=1e-12)
    rates = rates_of_embeddings(x, classes)
    for limit in rates.thresholds[::3]:
        near = apart <= limit * (1 + 1e-6)
        wanted = near[~same].mean(), near[same].mean()
        assert rates.at(limit) == pytest.approx(wanted, rel=1e-12)
    assert rates.at(rates.threshold(0.05))[0] <= 0.05 and rates.threshold(0.0) >= 0


@pytest.mark.parametrize("grid", [0.0, 0.5])
def test_against_sklearn(grid: float) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    x, classes = people(9, 0.8, grid)
    apart, same = pairs(x, classes)
    assert judged("verification_auc", x, classes) == pytest.approx(sklearn.roc_auc_score(same, -apart), rel=1e-12)
    false, true, _ = sklearn.roc_curve(same, -apart, drop_intermediate=False)
    mine = rates_of_embeddings(x, classes).curve
    assert np.trapezoid(mine[1], mine[0]) == pytest.approx(sklearn.auc(false, true), rel=1e-12)


def test_equal_distances_by_hand() -> None:
    """Genuine at 1 and 2, impostors at 2, 2, 3, 4: the area is (4 + 2 + 2 halves) / 8."""
    rates = rates_of(np.array([2.0, 1.0]), [np.array([2.0, 3.0]), np.array([4.0, 2.0])])
    assert rates.area == 7 / 8
    assert rates.true_accepts(0.0) == 0.5 and rates.true_accepts(0.5) == 1.0
    assert rates.accuracy == 0.75
    assert rates.equal_error == pytest.approx(0.25), "halfway along the line from (0, 1/2) to (1/2, 1)"


def test_perfect_and_useless() -> None:
    x, classes = np.array([[0.0], [0.1], [5.0], [5.1]]).repeat(2, axis=1), np.array([0, 0, 1, 1])
    assert [judged(name, x, classes) for name in WORDS] == [1.0, 0.0, 1.0, 1.0]
    assert [judged(name, np.ones((4, 2)), classes) for name in WORDS] == [0.5, 0.5, 0.0, 0.5]


@pytest.mark.parametrize("alike", [False, True])
def test_two_towers_tell_distances_or_likeness(alike: bool) -> None:
    x, classes = people(3)
    apart, same = pairs(x, classes)
    reading = Reading.TOWERS_ALIKE if alike else Reading.TOWERS
    told = Pair(reading, (-apart if alike else apart)[:, None], same[:, None].astype(np.float32))
    for name in WORDS:
        made = METRICS[name].make(alike=alike)
        assert made.value(made.observe(told)) == pytest.approx(judged(name, x, classes), rel=1e-12)


@pytest.mark.triggers("E0622")
def test_what_cannot_be_judged() -> None:
    with pytest.raises(Failed, match=r"E0622.*no pair of one class"):
        judged("equal_error_rate", np.eye(3), np.arange(3))
    with pytest.raises(Failed, match=r"E0622.*no pair of two classes"):
        judged("tar", np.eye(3), np.zeros(3, int))
    with pytest.raises(Failed, match=r"E0622.*2 of 4 samples is no finite number"):
        judged("tar", np.array([[1.0, 2], [np.nan, 1], [np.inf, 0], [0, 0]]), np.array([0, 0, 1, 1]))
    with pytest.raises(Failed, match="E0622"):
        METRICS["tar"].make().value(np.zeros((0, 3)))


SPEC = """
input  x: float[4]
target who: int(3)
output code = x -> dense(2)
output far  = code -> dense(1)
target same: float[1]
train { loss = [far, same] -> mse  metrics = METRIC }
"""


def test_what_they_are_asked_of(tmp_path: Path) -> None:
    path = tmp_path / "s.dag"
    path.write_text(SPEC.replace("METRIC", "[[code, who] -> tar(far=0.01), [far, same] -> equal_error_rate]"))
    watches = graphdsl.compile(path).plans[0].watches
    assert [w.name for w in watches] == ["code.tar_0.01", "far.equal_error_rate"]
    assert [w.reading for w in watches] == [Reading.EMBEDDINGS, Reading.TOWERS]
    path.write_text(SPEC.replace("METRIC", "[far, who] -> tar"))
    with pytest.raises(Failed, match=r"E0303.*`tar` judges pairs, got float\[1\] against int\(3\)"):
        graphdsl.compile(path)
    path.write_text(SPEC.replace("METRIC", "[code, same] -> tar"))
    with pytest.raises(Failed, match=r"E0303.*`tar` judges pairs"):
        graphdsl.compile(path)


def test_random_triplets_behind_dropout() -> None:
    """Both ask for random numbers of one counter, the layer when a pass is met and the loss when the spec is read."""
    text = """
    input  x: float[4]
    target who: int(3)
    output code = x -> dense(8) -> dropout(0.5) -> dense(2)
    train {
      loss    = [code, who] -> triplet(mining=random)
      metrics = [code, who] -> equal_error_rate
      epochs  = 1
    }
    """
    model = Model(Source("s.dag", text))
    random = np.random.default_rng(0)
    done = model.fit({"x": random.normal(size=(12, 4))}, {"who": np.arange(12) % 3}, runs=None, shown=False)
    assert 0 <= done.metrics["train"]["code.equal_error_rate"] <= 1
