"""The parts of tests/benchmarks: that both sides compute the same, and what the commands print. Nothing is timed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tests.benchmarks import nms
from tests.benchmarks.agree import demand_alike, difference
from tests.benchmarks.cases import CASES, INFER, TRAIN
from tests.benchmarks.compare import best, line, operators, parse, summary
from tests.benchmarks.nets import NETWORKS
from tests.benchmarks.ours import Ours
from tests.benchmarks.peak_memory import RESET_PEAK, measure
from tests.benchmarks.peers import CHANNELS_LAST, CONTIGUOUS, Variant, variants
from tests.benchmarks.scaling import CURVES, PLAIN, measured, points
from tests.benchmarks.timing import duel, quartiles

ROOT = Path(__file__).parents[1]
SMALL = ("mlp", "lenet5", "separable", "lstm", "qa")
KEYS = {
    "net",
    "mode",
    "batch",
    "ours_ms",
    "peer",
    "peer_ms",
    "ratio",
    "quartiles",
    "compile_s",
    "arena_bytes",
    "gflops",
}


def test_every_network_has_a_spec_and_a_module() -> None:
    assert {*CASES, PLAIN.name} == set(NETWORKS) == {path.stem for path in PLAIN.spec.parent.glob("*.dag")}


@pytest.mark.parametrize("name", SMALL)
def test_both_sides_train_alike(name: str) -> None:
    ours = Ours(CASES[name], TRAIN, 3, "reference")
    ours.scatter()
    before = ours.weights()
    found = difference(CASES[name], ours, 3)
    assert found["loss"] < 1e-4 and found["change"] < 1e-4
    assert all(np.array_equal(a, b) for a, b in zip(before, ours.weights(), strict=True))


@pytest.mark.parametrize("name", ["lenet", "resnet20", "inception"])
def test_both_sides_serve_alike(name: str) -> None:
    ours = Ours(CASES[name], INFER, 2, "reference")
    ours.scatter()
    assert difference(CASES[name], ours, 2)["outputs"] < 1e-5


def test_another_computation_is_refused() -> None:
    ours = Ours(CASES["mlp"], INFER, 2, "reference")
    wrong = ours.weights
    ours.weights = lambda: [1.1 * array for array in wrong()]  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="differ in outputs"):
        difference(CASES["mlp"], ours, 2)


@pytest.mark.parametrize("mode", [TRAIN, INFER])
@pytest.mark.parametrize("kind", ["onnxruntime", "jax"])
def test_other_peers_compute_the_same(kind: str, mode: str) -> None:
    pytest.importorskip(kind)
    pytest.importorskip("onnxscript")
    for variant in variants(CASES["lenet5"], mode, (kind,)):
        ours = Ours(CASES["lenet5"], mode, 2, "reference")
        peer = variant.build(CASES["lenet5"], mode, CASES["lenet5"].batch(2), ours.weights(), 1)
        demand_alike(kind, ours.step(), peer.step())
        if mode == INFER:
            with pytest.raises(ValueError, match="differ"):
                demand_alike(kind, [2 * array for array in ours.step()], peer.step())


def test_layouts_are_tried_where_there_are_pictures() -> None:
    assert variants(CASES["mlp"], TRAIN, ("eager",)) == [Variant("eager")]
    pictures = variants(CASES["lenet"], TRAIN, ("eager", "onnxruntime"))
    assert pictures == [Variant("eager", CONTIGUOUS), Variant("eager", CHANNELS_LAST)]


def test_turns_and_quartiles() -> None:
    found = duel(lambda: sum(range(1000)), lambda: sum(range(2000)), rounds=2, burst=0.001)
    assert found.ours > 0 and found.peer > 0 and found.quartiles[0] <= found.ratio <= found.quartiles[1]
    assert quartiles([3.0]) == (3.0, 3.0, 3.0)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2.0, 3.0, 4.0)


def test_curves() -> None:
    assert all(list(points(curve, 2)) for curve in CURVES)
    assert next(points("threads", 2)).x == 2


def test_a_point_of_a_curve() -> None:
    point = next(points("depth", 1))
    found = measured(point, "reference", 1)
    assert found["curve"] == "depth" and found["ratio"] > 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's account of memory")
@pytest.mark.parametrize("side", ["reference", CONTIGUOUS])
def test_peak_memory(side: str) -> None:
    assert RESET_PEAK and measure(CASES["mlp"], TRAIN, 4, side)["peak"] >= 0


def test_the_command_prints_json_only() -> None:
    command = [sys.executable, "tests/benchmarks/compare.py", "--nets", "mlp", "--backend", "reference"]
    done = subprocess.run(
        [*command, "--rounds", "1", "--format", "json"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    (entry,) = json.loads(done.stdout)
    assert set(entry) >= KEYS
    assert entry["net"] == "mlp" and entry["mode"] == "train" and entry["peer"] == "eager contiguous"
    assert line(entry) and operators(entry) in done.stderr and summary([entry]) in done.stderr
    faster = {**entry, "peer": "eager channels_last", "peer_ms": 0.0}
    assert best([entry, faster]) == {"eager": {"mlp 32": faster}}


def test_unknown_words_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--nets", "mlp,nonet"])
    assert "there is no nonet" in capsys.readouterr().err


@pytest.mark.parametrize("scene", nms.SCENES)
def test_suppression_of_boxes(scene: str) -> None:
    """Every side keeps the same boxes, or it is said which does not."""
    rows = nms.measured(scene, 300, 1)
    assert {"numpy", "torch boxes", "torch blocks"} <= {row["peer"] for row in rows}
    assert all(0 < row["kept"] < 300 and row["ratio"] > 0 for row in rows)
