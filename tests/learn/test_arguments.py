"""Arguments of the Python API that do not suit are told before anything happens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.model import Model
from graphdsl.report import Failed

SPEC = """
input x: float[4]
target t: float[1]
output y = x -> dense(1)
train { loss = [y, t] -> mse }
"""
X, T = np.zeros((8, 4), np.float32), np.zeros((8, 1), np.float32)


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.chdir(tmp_path)
    Path("small.dag").write_text(SPEC)
    made: Model = graphdsl.compile("small.dag")
    return made


@pytest.mark.triggers("E0618")
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda m: m.fit(X, T, batch=0), "`batch` takes a whole number from 1, got 0"),
        (lambda m: m.fit(X, T, batch=2.5), "`batch` takes a whole number from 1, got 2.5"),
        (lambda m: m.fit(X, T, epochs="3"), "`epochs` takes a whole number from 1, got '3'"),
        (lambda m: m.fit(X, T, epochs=0), "`epochs` takes a whole number from 1, got 0"),
        (lambda m: m.fit(X, T, epochs=True), "`epochs` takes a whole number from 1, got True"),
        (lambda m: m.fit(X, T, valid=1.5), "`valid` takes a fraction from 0, below 1, or samples, got 1.5"),
        (lambda m: m.fit(X, T, valid=-0.1), "`valid` takes a fraction"),
        (lambda m: m.fit(X, T, valid=(X, T, T)), "`valid` takes samples as"),
        (lambda m: m.fit(valid=0.2), "`valid` goes with samples"),
        (lambda m: m.fit(X, T, callbacks=["early_stop"]), "`callbacks` takes a list of callbacks, got 'early_stop'"),
        (lambda m: m.fit(X, T, callbacks="early_stop"), "`callbacks` takes a list of callbacks"),
        (lambda m: m.fit("new.csv"), "`inputs` takes arrays or a Dataset, got 'new.csv'"),
        (lambda m: m.fit(X, "new.csv"), "`targets` takes arrays or a Dataset, got 'new.csv'"),
        (lambda m: m.predict("new.csv"), "`inputs` takes arrays or a Dataset, got 'new.csv'"),
        (lambda m: m.evaluate(Path("new.csv")), "`inputs` takes arrays or a Dataset"),
    ],
)
def test_refused(asked: Callable[[Model], Any], said: str, model: Model) -> None:
    with pytest.raises(Failed) as caught:
        asked(model)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0618"
    assert said in diagnostic.message
    assert not Path("runs").exists()


def test_numbers_of_numpy_are_numbers(model: Model) -> None:
    model.fit(X, T, batch=np.int64(4), epochs=np.int32(1), valid=np.float32(0.5), shown=False)
    model.fit(X, T, valid=0, epochs=1, shown=False, runs=None)
