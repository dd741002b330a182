"""Asking a backend for memory, and what people are told when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphdsl.backends import Backend
from graphdsl.report import Span, fail


@contextmanager
def demanded(
    backend: Backend, what: str, size: int, help: Callable[[], str], span: Span | None = None
) -> Iterator[None]:
    """Inside, a MemoryError is Failed E0602: so much memory for what is not there. span: the place to blame."""
    try:
        yield
    except MemoryError as error:
        raise short(backend, what, size, help(), span) from error


def short(backend: Backend, what: str, size: int, help: str, span: Span | None = None) -> Exception:
    """What is raised where there is no memory for what."""
    return fail("E0602", f"no memory for {what}: {amount(size)} on the `{backend.name}` backend", span, help=help)


def amount(size: int) -> str:
    """`1.5 GiB`, `20 MiB`, `0.3 MiB`"""
    if size >= 2**30:
        return f"{size / 2**30:.1f} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
