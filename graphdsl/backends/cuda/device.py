"""What the backend needs of a GPU, whoever provides it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from graphdsl.backends.cuda.launch import Launch, Step
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array


class DeviceMemory(Protocol):
    """A stretch of memory, free again when nobody holds it."""

    @property
    def address(self) -> int: ...


class Recording(Protocol):
    """Steps that run again and again at one request."""

    def __call__(self) -> None: ...


class Device(ABC):
    """A GPU, or something that behaves like one.

    name          what people call it
    architecture  what kernels are compiled for: `sm_90a`
    processors    how many blocks run at once, at least
    shared        bytes of shared memory that a block may ask for
    """

    name: str
    architecture: str
    processors: int
    shared: int = 227 << 10

    @abstractmethod
    def alloc(self, size: int) -> DeviceMemory:
        """size bytes, zeroed, aligned to 256. Raises MemoryError where there is no room."""

    @abstractmethod
    def write(self, address: int, array: Array) -> None:
        """Copies an array in row order to the device, in order with what has been begun."""

    @abstractmethod
    def read(self, address: int, array: Array) -> None:
        """Fills array, which is in row order, from the device, once all that was begun is done."""

    def read_all(self, wanted: Sequence[tuple[int, Array]]) -> None:
        """As read, for several addresses and arrays."""
        for address, array in wanted:
            self.read(address, array)

    @abstractmethod
    def compile(self, units: Collection[Unit]) -> None:
        """Sees to it that these kernels are there. Raises Failed E0807 for one that does not compile."""

    @abstractmethod
    def run(self, launches: Sequence[Launch]) -> None:
        """Begins the launches, one after another."""

    @abstractmethod
    def record(self, steps: Sequence[Step]) -> Recording:
        """The steps as one request. Steps that do not wait for each other may run at the same time."""

    @abstractmethod
    def synchronize(self) -> None:
        """Returns when all that was begun is done."""

    def spare(self) -> int | None:
        """Bytes that can still be allocated; None where only trying tells."""
        return None

    def facts(self) -> dict[str, Any]:
        """What is worth saying of it in a report."""
        return {"name": self.name, "architecture": self.architecture, "processors": self.processors}
