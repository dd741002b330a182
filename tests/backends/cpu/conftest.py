"""Small work is done by one thread; tests that ask for this fixture run once so, and once with all threads."""

from __future__ import annotations

import pytest

from graphdsl.backends.cpu import small


@pytest.fixture(params=["alone", "shared"])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "shared":
        monkeypatch.setattr(small, "SMALL", 0)
    return str(request.param)
