"""Real data that is no part of the project: tests that need it are skipped where it is not at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("GRAPHDSL_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def needs(*folders: str) -> pytest.MarkDecorator:
    """A mark for tests that read these folders of DATA."""
    missing = [folder for folder in folders if not (DATA / folder).exists()]
    return pytest.mark.skipif(bool(missing), reason=f"not at hand: {', '.join(missing)} (set GRAPHDSL_SHARED)")
