"""The benchmarks for GPUs, without one: everything but the GPU itself is called, nothing is timed."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from graphdsl.ops import Conv
from tests.benchmarks import compare, gpu_compare, gpu_convolutions, gpu_nms, gpu_timing
from tests.benchmarks.cases import CASES, TRAIN
from tests.benchmarks.gpu_machine import model_of
from tests.benchmarks.gpu_model import MACHINES, entry, foretold
from tests.benchmarks.gpu_peers import PLAIN, RECORDED, ways
from tests.benchmarks.gpu_timing import FEWEST, STEPS, duel, kernel_us, length, run
from tests.benchmarks.planned import PlannedDevice, planned
from tests.support.cuda.simulated import SimulatedDevice, compiler

QUICK = ("--dry", "--rounds", "2", "--run", "0.00001")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of one step."""
    monkeypatch.setattr(gpu_timing, "STEPS", 1)
    monkeypatch.setattr(gpu_timing, "FEWEST", 1)


def test_a_step_is_planned_without_a_gpu() -> None:
    net = planned(CASES["mlp"], TRAIN, 32, "float32", PlannedDevice())
    assert net.left == () and net.kernels >= len(net.calls) > 10
    assert all(n < number for number, one in enumerate(net.calls) for n in one.after)


def test_a_faster_gpu_is_foretold_to_be_faster() -> None:
    net = planned(CASES["resnet20"], TRAIN, 64, "tf32", PlannedDevice())
    small = planned(CASES["resnet20"], TRAIN, 8, "tf32", PlannedDevice())
    one, other = (foretold(net, MACHINES[name]) for name in ("H100", "H200"))
    assert foretold(small, MACHINES["H100"]).us < one.us and other.us <= one.us
    said = entry(net, MACHINES["H100"])
    assert sum(said["launches"].values()) == said["kernels"]
    assert model_of("NVIDIA H200") is MACHINES["H200"] and model_of("another") is MACHINES["H100"]


def test_steps_beside_pytorch(brief: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.on_gpu(["--device", "cuda", "--nets", "mlp"]) == ["--nets", "mlp"]
    assert compare.on_gpu(["--nets", "mlp"]) is None
    options = (*QUICK, "--nets", "mlp,lenet", "--ways", f"{PLAIN},{RECORDED}", "--precision", "tf32", "--batch", "2")
    found = gpu_compare.run(gpu_compare.parse(options))
    sides = [e["side"] for e in found if e["net"] == "lenet"]
    assert sides == ["ours", "ours eager", "torch eager", "torch eager channels_last", "torch recorded channels_last"]
    assert [e["side"] for e in found if "failed" in e] == ["torch recorded", "torch recorded channels_last"]
    assert [e["net"] for e in found if e.get("best")] == ["mlp", "lenet"]
    assert all({"kernels", "arena_bytes", "compile_s", "predicted_ms", "rounding"} <= set(e) for e in found)
    json.dumps(found)
    assert "best of PyTorch" in capsys.readouterr().out


def test_ways_of_pytorch() -> None:
    assert [way.name for way in ways(CASES["lstm"], (PLAIN, RECORDED))] == ["eager", "recorded"]
    with pytest.raises(SystemExit):
        gpu_compare.parse(["--ways", "slowly"])


def test_convolutions_of_the_networks() -> None:
    found = gpu_convolutions.shapes(["resnet50", "lenet"])
    assert len([s for s in found if s.net == "resnet50"]) == 23
    assert found[0].text == "64x224x224 3-64 7x7 / 2" and found[0].passes == ("forward", "kernel")
    assert found[0].flops == 2.0 * 64 * 112 * 112 * 64 * 147


def test_convolutions_by_pytorch_are_ours() -> None:
    """The same numbers, whatever the order of axes."""
    op = Conv((2, 2), ((1, 1), (1, 1)), (1, 1), 1)
    shape = gpu_convolutions.Shape("", op, (2, 7, 6, 3), (3, 3, 3, 4), (2, 4, 3, 4))
    rng = np.random.default_rng(0)
    values = {name: rng.standard_normal(getattr(shape, name)).astype(np.float32) for name in ("x", "kernel", "y")}
    given = {n: gpu_convolutions.tensor(torch.from_numpy(v), n, torch.float32) for n, v in values.items()}
    for which in ("forward", "input", "kernel"):
        op, reads, makes = shape.operation(which)
        right = torch.from_numpy(op.reference(*(values[n] for n in reads)))
        mine = gpu_convolutions.tensor(right, makes, torch.float32)
        torch.testing.assert_close(gpu_convolutions.theirs(shape, which, given)(), mine, rtol=1e-4, atol=1e-4)


def test_convolutions_one_by_one(
    brief: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = gpu_convolutions.shapes(["lenet"])[1]
    tiny = gpu_convolutions.Shape("lenet", one.op, (2, *one.x[1:]), one.kernel, (2, *one.y[1:]))
    monkeypatch.setattr(gpu_convolutions, "shapes", lambda nets: [tiny])
    monkeypatch.setattr(gpu_convolutions, "kernel_us", lambda call: kernel_us(call, 1, 1e-5))
    options = gpu_convolutions.parse(["--dry", "--nets", "lenet", "--precision", "tf32"])
    found = gpu_convolutions.run(options)
    assert [e["pass"] for e in found] == ["forward", "input", "kernel"]
    assert all(e.get("of_cudnn") or e["failed"] == "no kernel serves it" for e in found)
    assert "cuDNN" in capsys.readouterr().out


@pytest.mark.skipif(compiler() is None, reason="kernels run here with g++ on x86-64 only")
def test_suppression_of_boxes(brief: None) -> None:
    found = gpu_nms.measured(150, SimulatedDevice(), "cpu", lambda: None, 1)
    assert found["same_as_numpy"] and found["same_as_torch"] and 0 < found["kept"] < 150


def test_runs_are_long_enough() -> None:
    ran: list[int] = []
    assert length(lambda: ran.append(1), lambda: None, 0.0, 10) == max(FEWEST, STEPS // 10)
    assert len(ran) == 2 * FEWEST
    done = duel(lambda: None, lambda: sum(range(2000)), lambda: None, 5, 1e-4)
    assert done.ratio[1] < 1 and done.ours[0] <= done.ours[1] <= done.ours[2] and done.steps >= STEPS
    order: list[str] = []
    run(lambda: order.append("step"), 2, lambda: order.append("synchronize"))
    assert order == ["synchronize", "step", "step", "synchronize"]
