"""A whole training step, recorded: only legal calls, and the same bits whatever order its branches take."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pytest

from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.cupy_device import CupyDevice
from graphdsl.backends.cuda.device import Device
from graphdsl.ir import Role
from graphdsl.learn import plans
from graphdsl.learn.optimizers import Sgd
from graphdsl.passes import apply, inference, training
from graphdsl.runtime import Compiled, Executor
from tests.support.cuda.fake_driver import FakeDriver
from tests.support.cuda.simulated import SimulatedDevice, compiler
from tests.support.language import fine

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the simulated device")

SPEC = """
input  image: float[6, 6, 2]
target label: int(4)
x = image -> conv(4, 3) -> relu
a = x -> conv(4, 1) -> relu
b = x -> conv(4, 1) -> sigmoid
output digit = [a, b] -> concat -> max_pool(2) -> flatten -> dense(4) -> softmax
train { data = digits(batch=4)  loss = [digit, label] -> categorical_crossentropy  optimizer = sgd(momentum=0.9) }
"""
ALLOWED = {"launchKernel", "eventRecord", "streamWaitEvent"}


def step_on(device: Device) -> Compiled:
    spec = fine(SPEC)
    (objective,) = plans(spec)[0].objectives
    graph = spec.graph.with_results(objective.losses)
    return Compiled(apply(graph, training(Sgd(lr=0.1, momentum=0.9))), Executor(CudaBackend(device)), seed=3)


def trained(model: Compiled, steps: int = 3) -> Mapping[str, np.ndarray]:
    draw = np.random.default_rng(0)
    for _ in range(steps):
        image = draw.standard_normal((5, 6, 6, 2)).astype(np.float32)
        model.step({"image": image, "label": draw.integers(0, 4, 5), "train/rate": 0.1})
    return model.executor.weights.snapshot()


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_branches_does_not_matter(seed: int) -> None:
    driver = FakeDriver(seed)
    np.testing.assert_equal(trained(step_on(CupyDevice(driver.api))), trained(step_on(SimulatedDevice())))
    (recording,) = driver.captures
    assert set(recording) == ALLOWED
    assert len(driver.recorded) >= 20


def test_a_later_step_is_copies_and_one_launch() -> None:
    """Nothing is allocated, loaded or recorded any more."""
    driver = FakeDriver()
    model = step_on(CupyDevice(driver.api))
    trained(model, 1)
    driver.calls.clear()
    trained(model, 1)
    assert driver.calls.count("graphLaunch") == 1
    copying = {"memcpyAsync", "eventRecord", "eventSynchronize", "streamWaitEvent"}
    assert set(driver.calls) <= copying | {"graphLaunch", "streamSynchronize"}


@pytest.mark.parametrize("seed", range(2))
def test_use_between_steps_of_training(seed: int) -> None:
    """Two programs in the same memory: what is made of weights for the one is made anew after the other has run."""
    asked = {"image": np.random.default_rng(1).standard_normal((3, 6, 6, 2)).astype(np.float32)}
    said = []
    for device in (CupyDevice(FakeDriver(seed).api), SimulatedDevice()):
        model = step_on(device)
        graph = fine(SPEC).graph
        used = Compiled(apply(graph.with_results(graph.of_role(Role.OUTPUT)), inference()), model.executor)
        answers = []
        for _ in range(3):
            trained(model, 1)
            answers += used.run(asked).values()
        said.append(answers)
    np.testing.assert_equal(*said)
    assert not np.array_equal(said[0][0], said[0][1])


def test_launch_by_launch_gives_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "GRAPHDSL_EAGER", "1")
    driver = FakeDriver(5)
    eager = trained(step_on(CupyDevice(driver.api)))
    assert not driver.captures
    monkeypatch.delitem(os.environ, "GRAPHDSL_EAGER")
    np.testing.assert_equal(eager, trained(step_on(CupyDevice(FakeDriver(6).api))))
