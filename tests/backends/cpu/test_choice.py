"""Which way a 3x3 convolution is calculated: what the model of times says, and how its rates are kept."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from graphdsl.backends.cpu import choice
from graphdsl.backends.cpu.backend import CpuBackend, Native
from graphdsl.backends.cpu.choice import Rates, Way, Work, convolution_way, gradient_way, rates, typical
from graphdsl.backends.cpu.conv_kernel import conv_kernel_amx_task
from graphdsl.backends.cpu.library import available, load
from graphdsl.backends.cpu.task import Machine, Task
from graphdsl.backends.cpu.winograd import winograd_kernel_task, winograd_task
from graphdsl.ir import Call
from graphdsl.ops.conv import Conv, ConvInputGradient, ConvKernelGradient

pytestmark = pytest.mark.skipif(not available(), reason="no compiled kernels")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing is known, and what is measured is kept here."""
    monkeypatch.setenv("GRAPHDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "_known", {})
    return tmp_path / "cache"


@pytest.fixture
def machine() -> Machine:
    library = load(available()[0])
    return Machine(library, library.threads)


@pytest.fixture
def common(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine with the rates of any other."""
    monkeypatch.setattr(choice, "_known", {choice.name_of(machine.library): typical(machine)})
    return machine


def test_large_convolutions_are_transformed(common: Machine) -> None:
    for fixed in (False, True):
        assert convolution_way(Work(8, 56, 56, 64, 64), common, fixed=fixed) is Way.NEAR
        assert convolution_way(Work(8, 28, 28, 512, 512), common, fixed=fixed) is Way.FAR
    assert gradient_way(Work(8, 56, 56, 64, 64), common) is Way.NEAR
    assert gradient_way(Work(8, 28, 28, 512, 512), common) is Way.FAR


def test_others_are_not(common: Machine) -> None:
    for work in (Work(8, 224, 224, 3, 64), Work(1, 7, 7, 512, 512), Work(32, 1, 1, 64, 64), Work(0, 56, 56, 64, 64)):
        assert convolution_way(work, common, fixed=False) is Way.DIRECT


def test_what_rides_counts(common: Machine) -> None:
    work = Work(1, 7, 7, 512, 512)
    assert convolution_way(replace(work, ahead=10**9), common, fixed=False) is Way.NEAR
    assert convolution_way(replace(work, behind=10**9), common, fixed=False) is not Way.DIRECT


def test_weights_that_stay_are_transformed_for_nothing(common: Machine) -> None:
    some = [Work(1, side, side, 256, 256) for side in (14, 16, 18, 20, 22, 24)]
    ways = {fixed: [convolution_way(w, common, fixed=fixed) for w in some] for fixed in (False, True)}
    assert ways[False].count(Way.DIRECT) > ways[True].count(Way.DIRECT)


def test_strict_machines_take_no_shortcut(common: Machine) -> None:
    strict = replace(common, fast=False)
    assert convolution_way(Work(8, 56, 56, 64, 64), strict, fixed=False) is Way.DIRECT
    assert gradient_way(Work(8, 56, 56, 64, 64), strict) is Way.DIRECT


def tasks(
    machine: CpuBackend, op: Conv | ConvInputGradient | ConvKernelGradient, *shapes: tuple[int, ...]
) -> set[type[Task]]:
    *inputs, output = (np.zeros(shape, np.float32) for shape in shapes)
    kernel = machine.kernel(Call(op.name, op, (0, 1), (2,)), inputs, [output])
    assert isinstance(kernel, Native)
    return {type(step.task) for step in kernel.plan.steps}


def test_backends_ask(common: Machine) -> None:
    op, pictures, weights = Conv((1, 1), ((1, 1), (1, 1)), (1, 1), 1), (4, 32, 32, 64), (3, 3, 64, 64)
    fast = CpuBackend(common.library)
    for machine, way in ((fast, True), (fast.precise("strict"), False)):
        assert (winograd_task in tasks(machine, op, pictures, weights, pictures)) is way
        assert (winograd_task in tasks(machine, op.for_input((32, 32)), pictures, weights, pictures)) is way
        found = tasks(machine, op.for_kernel((3, 3)), pictures, pictures, weights)
        assert (winograd_kernel_task in found) is (way and not common.library.tiles)
        assert (conv_kernel_amx_task in found) is (way and bool(common.library.tiles))


def test_measured_once(machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = rates(machine)
    assert all(rate > 0 for rate in asdict(first).values())
    (file,) = folder.iterdir()
    assert file.name == choice.name_of(machine.library)
    monkeypatch.setattr(choice, "_measured", None)
    monkeypatch.setattr(choice, "_known", {})
    assert rates(machine) == first


def test_what_is_timed_was_written(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that nobody wrote is one page of zeros: reading it tells nothing about memory."""
    timed: list[choice._Tried] = []
    kept = choice._Tried
    monkeypatch.setattr(choice, "_Tried", lambda *parts: timed.append(kept(*parts)) or timed[-1])
    monkeypatch.setattr(choice, "_least_seconds", lambda machine, plans: [1e-3] * len(plans))
    choice._measured(machine)
    assert timed
    assert all((array == 1).all() for one in timed for array in one.arrays)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"few": "x"}', "\xff"])
def test_damaged_files_are_measured_again(
    machine: Machine, folder: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    made = typical(machine)
    monkeypatch.setattr(choice, "_measured", lambda _: made)
    folder.mkdir()
    (folder / choice.name_of(machine.library)).write_bytes(text.encode("latin-1"))
    assert rates(machine) == made
    assert len(list(folder.iterdir())) == 1


def test_where_nothing_can_be_written_the_model_serves(machine: Machine, folder: Path) -> None:
    folder.write_text("not a folder")
    assert rates(machine) == typical(machine)


def test_rates_must_be_numbers(machine: Machine) -> None:
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        bad = replace(typical(machine), reading=wrong)
        assert choice._read(str(asdict(bad)).replace("'", '"')) is None
    assert isinstance(choice._read(str(asdict(typical(machine))).replace("'", '"')), Rates)
