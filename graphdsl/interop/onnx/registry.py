"""Which function reads which operator."""

from __future__ import annotations

from collections.abc import Callable

from graphdsl.interop.onnx.flow import Value
from graphdsl.interop.onnx.model import Step
from graphdsl.interop.onnx.sheet import Sheet

Reader = Callable[[Sheet, Step], Value | tuple[Value, ...]]
"""Writes the layers of a step and says where its results are."""

READERS: dict[str, Reader] = {}


def reads(*ops: str) -> Callable[[Reader], Reader]:
    """Decorator: this function reads these operators."""

    def register(reader: Reader) -> Reader:
        READERS.update(dict.fromkeys(ops, reader))
        return reader

    return register
