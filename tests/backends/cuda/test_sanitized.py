"""The kernels under AddressSanitizer and UndefinedBehaviorSanitizer, on arrays of exactly their size."""

from __future__ import annotations

import pytest

from tests.support.cuda import sanitized
from tests.support.cuda.calls import PRECISIONS, units
from tests.support.cuda.kernels import needs_compiler

pytestmark = needs_compiler


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_sample_is_clean() -> None:
    sanitized.build({unit for precision in PRECISIONS for unit in units(sanitized.backend(precision))})
    done = sanitized.run("tests.support.cuda.sanitized", *PRECISIONS)
    said = f"after {done.stdout[-200:]}\n{done.stderr[-6000:]}"
    assert done.returncode == 0 and done.stdout.endswith("clean\n"), said
