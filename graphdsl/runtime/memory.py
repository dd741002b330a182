"""Asking a backend for memory, and what people are told when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphdsl.backends import Backend
from graphdsl.report import fail


@contextmanager
def demanded(backend: Backend, what: str, size: int, help: Callable[[], str]) -> Iterator[None]:
    """Inside, a MemoryError is Failed E0602: so much memory for what is not there."""
    try:
        yield
    except MemoryError as error:
        amount = f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"
        message = f"no memory for {what}: {amount} on the `{backend.name}` backend"
        raise fail("E0602", message, help=help()) from error
