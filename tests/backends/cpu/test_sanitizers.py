"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graphdsl.backends.cpu.build import build, compiler
from graphdsl.backends.cpu.library import BUILT, available

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def runtime() -> str:
    """The sanitizers' libraries, which must be loaded before all others."""
    paths = [_file(name) for name in ("libasan.so", "libubsan.so", "libstdc++.so")]
    if not all(Path(path).is_absolute() for path in paths):
        pytest.skip("the compiler has no sanitizers that can be loaded first, as gcc has")
    return ":".join(paths)


def _file(name: str) -> str:
    """Where the compiler has a library; only its name where it has none."""
    asked = [*compiler(), f"-print-file-name={name}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_samples_are_clean(runtime: str, tmp_path: Path) -> None:
    best = available()[0]
    build([BUILT.get(best, best)], sanitize=True, folder=tmp_path)
    environment = {
        **os.environ,
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONPATH": str(ROOT),
        "PYTHONMALLOC": "malloc",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, "-m", "tests.backends.cpu.sanitized", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "clean" in done.stdout, done.stdout[-2000:] + done.stderr[-6000:]
