"""Work done ahead in a background thread, so that the next batch is ready when a step ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

from graphdsl.report import dataclass

T = TypeVar("T")
PATIENCE = 0.1


@dataclass(frozen=True)
class _Raised:
    """What stopped the thread, handed to the consumer."""

    error: BaseException


class _End:
    """There is no more."""


@dataclass(frozen=True)
class _Item(Generic[T]):
    value: T


def prefetch(make: Callable[[], Iterable[T]], ahead: int) -> Iterator[T]:
    """The items of make(), produced up to `ahead` at a time by a thread; ahead 0 makes each when it is asked for.

    An exception in the thread is raised here, after the items made before it. When the consumer stops early (break, an
    error, Ctrl+C) the thread ends with its current item; waits are short and repeated, so that Ctrl+C is seen at once.
    """
    if not ahead:
        yield from make()
        return
    queue: Queue[_Item[T] | _Raised | _End] = Queue(ahead)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(make, queue, stop), name="prefetch", daemon=True)
    thread.start()
    try:
        yield from _consume(queue)
    finally:
        stop.set()
        thread.join()


def _consume(queue: Queue[_Item[T] | _Raised | _End]) -> Iterator[T]:
    while True:
        try:
            got = queue.get(timeout=PATIENCE)
        except Empty:
            continue
        if isinstance(got, _End):
            return
        if isinstance(got, _Raised):
            raise got.error
        yield got.value


def _produce(make: Callable[[], Iterable[T]], queue: Queue[_Item[T] | _Raised | _End], stop: threading.Event) -> None:
    try:
        all(_put(queue, _Item(value), stop) for value in make())  # stops at the first that nobody takes
        _put(queue, _End(), stop)
    except BaseException as error:
        _put(queue, _Raised(error), stop)


def _put(queue: Queue[_Item[T] | _Raised | _End], item: _Item[T] | _Raised | _End, stop: threading.Event) -> bool:
    """Whether the consumer will see it: false once it has gone."""
    while not stop.is_set():
        try:
            queue.put(item, timeout=PATIENCE)
            return True
        except Full:
            continue
    return False
