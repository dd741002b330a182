"""Options and fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores already; numpy and torch read these when they are imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("OMP_NUM_THREADS", "1")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what tests made into tests/golden")
    parser.addoption("--backend", default="reference", metavar="NAME", help="the backend that the suite runs on")


def pytest_configure(config: pytest.Config) -> None:
    """`--backend simulated`: the kernels for GPUs, run on the CPU."""
    if config.getoption("--backend") == "simulated":
        from graphdsl.backends.cuda.backend import CudaBackend
        from graphdsl.backends.registry import BACKENDS
        from tests.support.cuda.simulated import SimulatedDevice

        BACKENDS["simulated"] = lambda: CudaBackend(SimulatedDevice())


@pytest.fixture(scope="session")
def backend_name(pytestconfig: pytest.Config) -> str:
    """The backend named on the command line."""
    return str(pytestconfig.getoption("--backend"))


@pytest.fixture
def golden(pytestconfig: pytest.Config) -> Callable[[str, str], None]:
    """golden(name, text): text must be what tests/golden/name holds; --update-golden makes it so."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        if pytestconfig.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
        assert path.exists(), f"{path} is missing: look at the text, then run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8")

    return check


@pytest.fixture
def fresh_backends() -> Iterator[None]:
    """Backends are made anew within the test, and what it made serves no other."""
    from graphdsl.backends import registry

    registry.backend.cache_clear()
    yield
    registry.backend.cache_clear()
