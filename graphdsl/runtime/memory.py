"""Asking a backend for memory, and what people are told when there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from graphdsl.backends import Backend
from graphdsl.ir import Program, Storage
from graphdsl.report import Span, fail

LARGEST = 3
"""Values that are named where a program needs too much."""


@contextmanager
def demanded(
    backend: Backend, what: str, size: int, help: Callable[[], str], span: Span | None = None
) -> Iterator[None]:
    """Inside, a MemoryError is Failed E0602: so much memory for what is not there. span: the place to blame.

    So is, before anything is tried, what a backend knows that it has no room for.
    """
    spare = backend.spare()
    if spare is not None and size > spare:
        raise short(backend, what, size, help(), span)
    try:
        yield
    except MemoryError as error:
        raise short(backend, what, size, help(), span) from error


def short(backend: Backend, what: str, size: int, help: str, span: Span | None = None) -> Exception:
    """What is raised where there is no memory for what."""
    spare = backend.spare()
    left = "" if spare is None else f", which has {amount(spare)} left"
    return fail("E0602", f"no memory for {what}: {amount(size)} on the `{backend.name}` backend{left}", span, help=help)


def smaller(program: Program) -> str:
    """What to do where a program needs too much: its largest values, each with the line that made it."""
    lines = {i: f" (line {call.spans[0].line})" for call in program.calls if call.spans for i in call.outputs}
    moving = [i for i, b in enumerate(program.buffers) if b.storage in (Storage.ARENA, Storage.KEPT, Storage.INPUT)]
    largest = sorted(moving, key=lambda i: -program.buffers[i].bytes)
    names = {
        program.buffers[i].name: f"{amount(program.buffers[i].bytes)}{lines.get(i, '')}" for i in reversed(largest)
    }
    listed = [f"`{name}` {said}" for name, said in reversed(names.items())][:LARGEST]
    return f"try a smaller batch; the largest values are {', '.join(listed)}"


def amount(size: int) -> str:
    """`1.5 GiB`, `20 MiB`, `0.3 MiB`"""
    if size >= 2**30:
        return f"{size / 2**30:.1f} GiB"
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"
