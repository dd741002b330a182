"""The ROC curve as a run and `evaluate` leave it, against the pairs counted one by one."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from graphdsl.cli import app
from graphdsl.learn import rates_of, roc_files

SPEC = """
input  x: float[3]
target who: int(6)
output code = x -> dense(2)
train {
  data    = npz("some.npz", batch=8, each=2)
  valid   = npz("other.npz")
  loss    = [code, who] -> triplet(mining=all)
  metrics = [[code, who] -> equal_error_rate, [code, who] -> tar(far=0.1)]
  epochs  = 2
}
"""


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_by_hand() -> None:
    """Genuine pairs at 1, 2 and 2, impostors at 2, 3, 4 and 5."""
    files = roc_files({"code": rates_of(np.array([1.0, 2, 2]), [np.array([2.0, 3]), np.array([4.0, 5])])})
    rows = [
        [float(row[c]) for c in ("threshold", "false_accept_rate", "true_accept_rate")]
        for row in table(files["roc.csv"])
    ]
    assert rows == [[1, 0, pytest.approx(1 / 3, rel=1e-5)], [2, 0.25, 1]]
    drawn = ElementTree.fromstring(files["roc.svg"].decode())
    texts = ["".join(t.itertext()) for t in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "code" in texts and "equal error 0.1818" in texts
    assert roc_files({}) == {}


def test_as_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A run leaves the curve of its validation, one for both metrics; `evaluate -o` writes the same."""
    random = np.random.default_rng(0)
    for name in ("some", "other"):
        who = np.repeat(np.arange(6), 4)
        np.savez(tmp_path / f"{name}.npz", x=random.normal(size=(24, 3)) + who[:, None] / 2, who=who)
    (tmp_path / "net.dag").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    assert app.run(["run", "net.dag"]) == 0
    left = {path.name: path.read_bytes() for path in (tmp_path / "runs" / "net-1").glob("roc.*")}
    assert sorted(left) == ["roc.csv", "roc.svg"]
    capsys.readouterr()
    assert app.run(["evaluate", "net.dag", "-o", "quality", "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["metrics"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "quality").iterdir()} == left
    assert f"equal error {told['code.equal_error_rate']:.4f}" in left["roc.svg"].decode()
    rows = table(left["roc.csv"])
    assert {row["output"] for row in rows} == {"code"} and len(rows) == 6 * len(list(combinations(range(4), 2)))
    allowed = [float(row["true_accept_rate"]) for row in rows if float(row["false_accept_rate"]) <= 0.1]
    assert max(allowed) == pytest.approx(told["code.tar_0.1"], rel=1e-5)
