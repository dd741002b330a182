"""Arrays on their way to the GPU, while it works.

A copy out of ordinary memory would wait for the GPU, so arrays are put into pinned memory first, of which there are
several places taken in turn; a place is used again when its copy has ended. Small arrays go from there to where they
are wanted, in order with the GPU's work. Large ones take two steps, and the slow one goes on beside the work before:

    host      array 1 -> place 1     array 2 -> place 2                    ...
    copying              place 1 -> room 1     place 2 -> room 2
    working   step 0 ..................  room 1 -> x, step 1 ............  room 2 -> x, step 2
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from graphdsl.backends.cuda.api import NON_BLOCKING, TO_DEVICE, TO_HOST, UNTIMED, WITHIN, Api, owned
from graphdsl.ir import Array
from graphdsl.report import dataclass

SMALL = 64 << 10
PLACES = {SMALL: 16, 1 << 20: 4, 16 << 20: 4}
"""How many of what size; longer arrays go in pieces of the largest."""

LANDINGS = 16
"""Small arrays that come back together."""


@dataclass(frozen=True)
class _Place:
    """host: pinned memory; room: as much on the GPU, or 0. copied, taken: events, when each is free again."""

    host: int
    room: int
    copied: int
    taken: int


class Staging:
    """The places, and the stream that copies beside the work of another one, `working`."""

    def __init__(self, api: Api, working: int) -> None:
        self._api = api
        self._working = working
        self._copying = api.runtime.streamCreateWithFlags(NON_BLOCKING)
        self._places: dict[int, list[_Place]] = {size: [] for size in PLACES}
        self._turns = dict.fromkeys(PLACES, 0)
        self._landings: list[int] = []
        owned(self, api.runtime.streamDestroy, self._copying)

    def write(self, address: int, array: Array) -> None:
        """Copies an array in row order to the GPU, after all that it was given to do. The array may change at once."""
        assert array.flags.c_contiguous
        start, size = array.__array_interface__["data"][0], array.nbytes
        if size <= SMALL:
            self._in_order(address, start, size)
            return
        most = max(PLACES)
        for done in range(0, size, most):
            self._beside(address + done, start + done, min(most, size - done))

    def read(self, wanted: Sequence[tuple[int, Array]]) -> None:
        """Fills arrays in row order from the GPU, after all that it was given to do.

        Small ones come into pinned memory together and are waited for once; a copy into ordinary memory is waited for
        by CUDA itself.
        """
        r = self._api.runtime
        landed: list[tuple[int, int, int]] = []
        for address, array in wanted:
            assert array.flags.c_contiguous
            to, size = array.__array_interface__["data"][0], array.nbytes
            if size <= SMALL and len(landed) < LANDINGS:
                landed.append((to, self._landing(len(landed)), size))
                to = landed[-1][1]
            r.memcpyAsync(to, address, size, TO_HOST, self._working)
        r.streamSynchronize(self._working)
        for to, landing, size in landed:
            ctypes.memmove(to, landing, size)

    def _landing(self, number: int) -> int:
        """Pinned memory for a small array; made when it is first needed."""
        if number == len(self._landings):
            self._landings.append(self._api.made(lambda: self._api.runtime.hostAlloc(SMALL, 0)))
        return self._landings[number]

    def _in_order(self, address: int, start: int, size: int) -> None:
        """Every step does this for each of its inputs: the fewest calls that there can be."""
        r, place = self._api.runtime, self._next(SMALL)
        r.eventSynchronize(place.copied)
        ctypes.memmove(place.host, start, size)
        r.memcpyAsync(address, place.host, size, TO_DEVICE, self._working)
        r.eventRecord(place.copied, self._working)

    def _beside(self, address: int, start: int, size: int) -> None:
        r, place = self._api.runtime, self._next(min(fits for fits in PLACES if fits >= max(size, SMALL + 1)))
        r.eventSynchronize(place.copied)
        ctypes.memmove(place.host, start, size)
        r.streamWaitEvent(self._copying, place.taken)
        r.memcpyAsync(place.room, place.host, size, TO_DEVICE, self._copying)
        r.eventRecord(place.copied, self._copying)
        r.streamWaitEvent(self._working, place.copied)
        r.memcpyAsync(address, place.room, size, WITHIN, self._working)
        r.eventRecord(place.taken, self._working)

    def _next(self, size: int) -> _Place:
        """The places of a size in turn, each made when it is first needed."""
        places, turn = self._places[size], self._turns[size]
        if turn == len(places):
            places.append(self._place(size))
        self._turns[size] = (turn + 1) % PLACES[size]
        return places[turn]

    def _place(self, size: int) -> _Place:
        r = self._api.runtime
        host = self._api.made(lambda: r.hostAlloc(size, 0))
        room = self._api.made(lambda: r.malloc(size)) if size > SMALL else 0
        return _Place(host, room, r.eventCreateWithFlags(UNTIMED), r.eventCreateWithFlags(UNTIMED))
