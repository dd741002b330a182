"""Kernels as text: an instance of a template in kernels/, with all that it includes, ready for a compiler.

Sources include nothing but each other, so that what is compiled is one text and its hash is the key of every cache.
"""

from __future__ import annotations

import ctypes
import re
from functools import cache
from pathlib import Path

from graphdsl.report import dataclass

KERNELS = Path(__file__).resolve().parent / "kernels"
DEVICE = "device.cuh"
"""What every kernel may use: the machine's instructions by name."""

_INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)


class Arguments(ctypes.Structure):
    """The struct of the same name in CUDA, which its kernels take by value: address, i32, u32, i64, u64 and f32 fields,
    arrays of them, and structs like it."""


address = ctypes.c_void_p
i32 = ctypes.c_int32
u32 = ctypes.c_uint32
i64 = ctypes.c_int64
u64 = ctypes.c_uint64
f32 = ctypes.c_float


@dataclass(frozen=True)
class Unit:
    """An instance of a kernel.

    stem        of its file in kernels/
    expression  what C++ calls it: `softmax<256>`
    arguments   the struct that it takes
    code        text generated for it, such as a formula; stands before the kernel's own, and may include what it needs
    """

    stem: str
    expression: str
    arguments: type[Arguments]
    code: str = ""


def source(unit: Unit, device: str = "") -> str:
    """The whole text. device: stands in for device.cuh where something else than a GPU runs it."""
    met: set[str] = set()
    head = device or _inlined(DEVICE, met)
    met.add(DEVICE)
    struct, size = unit.arguments.__name__, ctypes.sizeof(unit.arguments)
    check = f'static_assert(sizeof({struct}) == {size}, "{struct} in CUDA is not what it is in Python");\n'
    code = _expanded(unit.code, met)
    return f"{head}\n{code}\n{_inlined(f'{unit.stem}.cu', met)}\n{check}"


def _inlined(name: str, met: set[str]) -> str:
    """A file with what it includes in place, each once."""
    return _expanded(_text(name), met)


def _expanded(text: str, met: set[str]) -> str:
    def replaced(found: re.Match[str]) -> str:
        if found[1] in met:
            return ""
        met.add(found[1])
        return _inlined(found[1], met)

    return _INCLUDE.sub(replaced, text)


@cache
def _text(name: str) -> str:
    return (KERNELS / name).read_text(encoding="utf-8")
