"""Whether there is a GPU to use, and what is said where there is none. CuPy is not imported for it here."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphdsl.backends.cuda import nvrtc, present, probe
from graphdsl.backends.cuda.api import Api
from graphdsl.backends.cuda.nvrtc import Compiled
from graphdsl.backends.cuda.unit import Unit
from graphdsl.report import Failed, fail
from tests.support.cuda.budget import needs_compiler
from tests.support.cuda.fake_driver import FakeDriver, FakeError
from tests.support.cuda.simulated import compiler

simulated = pytest.mark.skipif(compiler() is None, reason="no C++ compiler for the simulated device")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """A driver, a GPU and CuPy, all of them as they should be."""
    driver = FakeDriver()
    monkeypatch.setattr(present, "driver", lambda: True)
    monkeypatch.setattr(probe, "find_spec", lambda name: object())
    monkeypatch.setattr(probe, "by_cupy", lambda: driver.api)
    monkeypatch.setattr(probe, "found", probe.found.__wrapped__)
    return driver


@simulated
def test_a_gpu(driver: FakeDriver) -> None:
    device = probe.gpu()
    assert device.name == "Fake GPU"
    assert probe.found().reason == ""


def test_no_driver(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "driver", lambda: False)
    assert probe.found() == probe.Found(None, "no NVIDIA driver is installed")
    with pytest.raises(Failed, match=r"E0808.*no NVIDIA driver is installed"):
        probe.gpu()


def test_no_cupy(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "find_spec", lambda name: None)
    found = probe.found()
    assert (found.reason, found.help) == ("CuPy is not installed", 'pip install "graphdsl[gpu]"')


def test_a_cupy_that_does_not_load(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    def by_cupy() -> Api:
        raise ImportError("libcudart.so.13: cannot open\nmore of it")

    monkeypatch.setattr(probe, "by_cupy", by_cupy)
    assert probe.found().reason == "CuPy cannot be loaded: libcudart.so.13: cannot open"


def test_an_old_driver(driver: FakeDriver) -> None:
    driver.status, driver.driver_version = 35, 12040
    found = probe.found()
    assert found.reason == "the driver serves CUDA 12.4, and CuPy needs 13.0"
    assert "cupy-cuda12x" in found.help


def test_a_driver_that_does_not_answer(driver: FakeDriver) -> None:
    driver.status, driver.driver_version = 35, 0
    assert probe.found().reason == "NVIDIA's driver is installed but does not answer"


@pytest.mark.parametrize(("status", "devices"), [(100, 1), (0, 0)])
def test_no_gpu(driver: FakeDriver, status: int, devices: int) -> None:
    driver.status, driver.devices = status, devices
    assert probe.found().reason == "the driver shows no GPU"


def test_a_driver_in_disorder(driver: FakeDriver) -> None:
    driver.status = 999
    assert probe.found().reason == "cudaErrorSomething: said of the driver"


def test_an_old_gpu(driver: FakeDriver) -> None:
    driver.about |= {"name": b"Tesla T4", "major": 7, "minor": 5}
    assert probe.found().reason == "Tesla T4 is too old: compute capability 7.5, and 8.0 is needed"


def _fails(error: Exception) -> Callable[[Unit, str], Compiled]:
    def compiled(unit: Unit, architecture: str) -> Compiled:
        raise error

    return compiled


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (fail("E0807", "probe.cu does not compile\nline", help="read it"), "probe.cu does not compile"),
        (FakeError(209, "CUDA_ERROR_NO_BINARY_FOR_GPU"), "a kernel could not be run: CUDA_ERROR_NO_BINARY_FOR_GPU"),
        (MemoryError(), "a kernel could not be run: MemoryError"),
    ],
)
def test_a_kernel_that_does_not_run(
    driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    made = Api(driver, driver, _fails(error), driver.api.architecture)
    monkeypatch.setattr(probe, "by_cupy", lambda: made)
    assert probe.found().reason == reason


@simulated
def test_a_kernel_that_gives_nonsense(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver.simulated, "run", lambda launches: None)
    assert probe.found().reason == "a kernel ran and gave wrong numbers"


@pytest.mark.parametrize(
    ("capability", "known", "architecture"),
    [
        ((9, 0), (80, 90, 100), "sm_90a"),
        ((8, 0), (80, 86, 90), "sm_80"),
        ((8, 9), (80, 86, 90), "sm_86"),
        ((10, 0), (80, 90, 100, 103), "sm_100"),
        ((12, 1), (90, 100, 120), "sm_120"),
    ],
)
def test_what_to_compile_for(
    capability: tuple[int, int], known: tuple[int, ...], architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvrtc, "architectures", lambda: known)
    assert nvrtc.architecture(*capability) == architecture


def test_a_gpu_newer_than_the_compiler(driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "architectures", lambda: (80, 90))
    monkeypatch.setattr(nvrtc, "version", lambda: (12, 4))
    monkeypatch.setattr(probe, "by_cupy", lambda: Api(driver, driver))
    driver.about |= {"major": 12}
    assert probe.found().reason == "NVRTC 12.4 does not know GPUs of compute capability 12.0"


@needs_compiler
def test_the_kernel_that_is_tried_compiles() -> None:
    assert nvrtc.compiled(Unit("probe", "probe", probe.probe_args), "sm_80").spills == 0
