"""What a machine runs: calls over buffers. Every size is a number, every place in memory is decided."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import prod

from graphdsl.ir.notation import write_fields
from graphdsl.ir.operator import Array, Operator
from graphdsl.ir.types import DType
from graphdsl.report import Span, dataclass


class Storage(StrEnum):
    """Where a buffer lies."""

    ARENA = "arena"
    KEPT = "kept"
    """Made of weights and constants alone: it stays from run to run."""
    INPUT = "input"
    WEIGHT = "weight"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Buffer:
    """A stretch of memory seen as an array in row order.

    name    of the value it holds, for messages
    offset  in bytes from the start of the arena, or of what is kept; 0 for the other storages, which are found by key
    key     the name of the input or weight, or of the constant's node
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    storage: Storage
    offset: int = 0
    key: str = ""

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.dtype.size


@dataclass(frozen=True, slots=True)
class Call:
    """op reads the input buffers and fills the output buffers (indices into Program.buffers)."""

    name: str
    op: Operator
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Program:
    """Calls in order. inputs, weights and results name the buffers that others fill and read; constants stay.

    once        so many calls, the first ones, read only constants and weights that the program does not change: they
                are run when weights have changed, not in every run
    kept_bytes  what they make takes, apart from the arena, which programs share
    """

    buffers: tuple[Buffer, ...]
    calls: tuple[Call, ...]
    arena_bytes: int
    constants: Mapping[str, Array]
    inputs: Mapping[str, int]
    weights: Mapping[str, int]
    results: Mapping[str, int]
    binding: Mapping[str, int]
    once: int = 0
    kept_bytes: int = 0


def print_program(program: Program) -> str:
    """One line a call: what it reads -> where it writes. `@64` is byte 64 of the arena."""
    sizes = ", ".join(f"{name} = {size}" for name, size in program.binding.items())
    lines = [f"# {len(program.calls)} calls, {program.arena_bytes} bytes of arena, {sizes or 'no free sizes'}"]
    if program.once:
        lines.append(f"# the first {program.once} only when weights change: {program.kept_bytes} bytes are kept")
    for call in program.calls:
        reads = ", ".join(_place(program.buffers[i]) for i in call.inputs)
        makes = ", ".join(_place(program.buffers[i]) for i in call.outputs)
        lines.append(f"%{call.name} = {call.op.name}({write_fields(call.op)}) {reads} -> {makes}")
    lines += [f"result {key} = {_place(program.buffers[index])}" for key, index in program.results.items()]
    return "\n".join([*lines, ""])


def _place(buffer: Buffer) -> str:
    shape = ", ".join(map(str, buffer.shape))
    where = f"{buffer.storage} {buffer.key}" if buffer.key else f"@{buffer.offset}"
    return f"{where} {buffer.dtype}[{shape}]"
