"""Which backend `auto` takes, and what is said of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from graphdsl.backends import registry
from graphdsl.backends.cuda import present, probe
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.cupy_device import CupyDevice
from graphdsl.backends.cuda.probe import Found
from graphdsl.cli import app
from graphdsl.model import Model
from graphdsl.report import Failed, Source
from tests.support.cuda.fake_driver import FakeDriver


@pytest.fixture(autouse=True)
def fresh(fresh_backends: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Backends are made anew, the CPU has kernels, and there is a driver."""
    monkeypatch.setattr(registry, "available", lambda: ("portable",))
    monkeypatch.setattr(registry, "BACKENDS", registry.BACKENDS | {"cpu": registry.ReferenceBackend})
    monkeypatch.setattr(present, "driver", lambda: True)


def test_a_gpu_is_taken_and_that_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    device = CupyDevice(FakeDriver().api)
    monkeypatch.setattr(probe, "found", lambda: Found(device))
    machine = registry.backend("auto")
    assert isinstance(machine, CudaBackend)
    assert machine.device is device
    assert capsys.readouterr().err == "device: cuda, Fake GPU\n"


def test_a_gpu_that_is_not_used_is_spoken_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(probe, "found", lambda: Found(None, "CuPy is not installed", "pip install it"))
    assert registry.backend("auto").name == "reference"
    assert capsys.readouterr().err == "device: cpu, since CuPy is not installed (pip install it)\n"


def test_without_a_driver_nothing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(present, "driver", lambda: False)
    monkeypatch.setattr(probe, "found", None)
    assert registry.backend("auto").name == "reference"
    assert not capsys.readouterr().err
    assert registry.automatic().said == "device: cpu, since no NVIDIA driver is installed"


def test_who_asks_for_cuda_gets_it_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "found", lambda: Found(None, "Tesla T4 is too old", ""))
    with pytest.raises(Failed, match=r"E0808.*no GPU can be used: Tesla T4 is too old"):
        registry.backend("cuda")


@pytest.mark.parametrize(
    ("given", "said"),
    [([], False), (["--device", "auto"], True), (["--backend=auto"], True), (["--device=cpu"], False)],
)
def test_who_asks_for_auto_is_told(
    given: list[str], said: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(present, "driver", lambda: False)
    assert app.run(["evaluate", "missing.dag", *given]) == 1
    assert ("device: cpu, since no NVIDIA driver" in capsys.readouterr().err) is said


CODES = [
    "import graphdsl; graphdsl.compile",
    "import graphdsl.cli.app, graphdsl.model, graphdsl.learn, graphdsl.backends",
    "from graphdsl.backends.cuda import backend, cupy_device, probe",
]


@pytest.mark.parametrize("code", CODES)
def test_cupy_is_not_imported_for_nothing(code: str) -> None:
    code += "; import sys; print('cupy' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "False"


@pytest.mark.parametrize(
    ("asked", "made"),
    [("float32", "float32"), ("strict", "float32"), ("tf32", "tf32"), ("bf16", "bf16"), ("float64", "float32")],
)
def test_precision_of_products(asked: str, made: str) -> None:
    machine = CudaBackend(CupyDevice(FakeDriver().api))
    assert machine.precise(asked).precision == made
    assert machine.precise(asked).device is machine.device


def test_the_cpu_stands_behind_a_gpu_that_auto_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "found", lambda: Found(CupyDevice(FakeDriver().api)))
    second = registry.instead("auto")
    assert second is not None
    assert second.name == "reference"
    assert registry.instead("cuda") is None


def test_nothing_stands_behind_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present, "driver", lambda: False)
    assert registry.instead("auto") is None


SPEC = """
input x: float[3]
input y: float[1]
output z = x -> dense(1)
train {{ data = csv("none.csv")  loss = [z, y] -> mse  precision = {precision} }}
"""


@pytest.mark.parametrize(
    ("precision", "name", "products"),
    [("float32", "cuda", "float32"), ("bf16", "cuda", "bf16"), ("float64", "reference", None)],
)
def test_a_model_on_the_gpu(
    precision: str,
    name: str,
    products: str | None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """float64 goes to the CPU at once: no GPU kernel is made for it."""
    monkeypatch.setattr(probe, "found", lambda: Found(CupyDevice(FakeDriver().api)))
    machine = Model(Source("net.dag", SPEC.format(precision=precision)), backend="auto").executor.backend
    assert machine.name == name
    if isinstance(machine, CudaBackend):
        assert machine.precision == products
    assert ("since kernels for GPUs are not made for float64" in capsys.readouterr().err) is (products is None)
