"""Python's garbage collector, asked to wait while graphs are built.

Building makes many objects that stay and hardly any garbage; the collector would look through all of them again and
again, which takes half of the time for a large graph.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """No collection inside. Objects that nobody refers to are freed as ever; only rings of them wait."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
