"""What a machine must be able to do to run programs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, ClassVar

from graphdsl.ir import Array, Call, DType
from graphdsl.report import dataclass

Memory = Any
"""A stretch of a machine's memory, as its backend knows it."""

View = Any
"""An array inside such a stretch, as its backend knows it."""

SINGLE, STRICT, TF32, BF16 = PRECISIONS = "float32", "strict", "tf32", "bf16"
"""Of products of float32 numbers. strict: sums as they stand, by no way that rounds more, however fast. tf32, bf16:
sums in float32 of factors rounded to 10, to 7 bits behind the point, which tensor cores multiply many times faster."""

Kernel = Callable[[], None]
"""A call that is ready: operator, operands and results are inside."""


@dataclass(frozen=True)
class Outcome:
    """What a machine has found out about itself.

    what    an operator in a precision, or a whole network
    calls   how many were made
    error   the largest, relative to the largest number expected; NaN where a result was never written
    bound   what it may be
    note    what else is worth knowing
    """

    what: str
    calls: int
    error: float
    bound: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error <= self.bound

    def __str__(self) -> str:
        verdict, calls = "pass" if self.passed else "FAIL", f"{self.calls:3d} calls"
        return f"{verdict}  {self.what:<36} {calls}  error {self.error:8.1e} of {self.bound:7.0e}  {self.note}".rstrip()


class Backend(ABC):
    """A kind of machine. One object of it lives as long as the process.

    passes  what it asks for before a graph is lowered, by the names of graphdsl.passes.MACHINE: fused operators
    apart   bytes of a value up to which its memory is not used again, for calls run at the same time
    """

    name: ClassVar[str]
    passes: ClassVar[tuple[str, ...]] = ()
    apart: ClassVar[int] = 0

    def precise(self, precision: str) -> Backend:
        """The same machine, with products of float32 numbers in one of PRECISIONS. Where it has no unit for tf32 or
        bf16, they are taken in float32."""
        return self

    def eagerly(self) -> Backend:
        """The same machine, which runs programs call by call, not as a recording."""
        return self

    def checked(self) -> Iterator[Outcome]:
        """Whether its kernels give the right numbers, operator by operator."""
        return iter(())

    def facts(self) -> dict[str, Any]:
        """What is worth saying of it in a report."""
        return {"name": self.name}

    @abstractmethod
    def alloc(self, size: int) -> Memory:
        """size bytes, zeroed, aligned to 64. They are free again when nobody holds them or a view of them."""

    @abstractmethod
    def view(self, memory: Memory, offset: int, shape: tuple[int, ...], dtype: DType) -> View:
        """The array in row order that begins offset bytes into memory."""

    @abstractmethod
    def upload(self, view: View, array: Array) -> None:
        """Copies array, which has the view's shape, into it; numbers are cast."""

    @abstractmethod
    def download(self, view: View) -> Array:
        """A copy, once all that was begun is done."""

    def download_all(self, views: Sequence[View]) -> list[Array]:
        """As download, of several: a machine that is far away is waited for once."""
        return [self.download(view) for view in views]

    @abstractmethod
    def kernel(
        self, call: Call, inputs: Sequence[View], outputs: Sequence[View], fixed: Collection[int] = ()
    ) -> Kernel:
        """call, ready to run on these arrays again and again. What it needs besides is allocated here, once.

        fixed  positions of the inputs that hold the same numbers in every run until weights are written from outside
        """

    def sequence(self, kernels: Sequence[Kernel]) -> Kernel:
        """All kernels as one. One that takes a whole program (a table, a recording) does better."""

        def run() -> None:
            for kernel in kernels:
                kernel()

        return run

    def preparation(self, kernels: Sequence[Kernel]) -> Kernel:
        """What these kernels do with fixed inputs alone, such as packing: to be run before the first run of a
        sequence, and again after weights have been written from outside."""
        return lambda: None

    def spare(self) -> int | None:
        """Bytes that can still be allocated; None where only trying tells."""
        return None

    def synchronize(self) -> None:
        """Returns when all that was begun is done."""
        return
