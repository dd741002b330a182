"""Windows over pictures, as pools hand them to C."""

from __future__ import annotations

from graphdsl.backends.cpu.task import i64
from graphdsl.backends.layout import WINDOW

GEOMETRY = tuple((name, i64) for name in WINDOW)
"""The fields at the end of a pool's task."""
