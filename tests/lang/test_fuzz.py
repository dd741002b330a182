"""A little of what `python tests/fuzz.py` does."""

from __future__ import annotations

import pytest

from tests.fuzz import SLOW, fuzz


@pytest.mark.parametrize("seed", range(3))
def test_mutated_specs_end_in_diagnostics(seed: int) -> None:
    found = fuzz(100, seed)
    assert not found.failures, found.failures[0]
    assert found.slowest < SLOW
    assert len(found.codes) > 20, "the texts are too much alike"
