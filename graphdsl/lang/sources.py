"""Tensors made of files: `photo("cat.jpg")`, as a fixed tensor or as the beginning of one that is learned."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np

from graphdsl.ir import Array, Constant, DType, Initializer, Made, Place, Value
from graphdsl.lang.frame import Frame
from graphdsl.lang.settings import build
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Given(Initializer):
    """Begins as these numbers. data: float32, in row order."""

    shape: tuple[int, ...]
    data: bytes

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return np.frombuffer(self.data, np.float32).reshape(self.shape)


def array_of(made: Made, frame: Frame) -> Array:
    """What a source gives, in float32. Its file is looked for beside the file that names it, then as it is written."""
    folder = os.path.dirname(frame.module.source.path)
    beside = {name: _beside(folder, value) if name == "path" else value for name, value in made.arguments}
    return np.ascontiguousarray(build(replace(made, arguments=tuple(beside.items())), frame), DType.FLOAT32.numpy)


def _beside(folder: str, path: str) -> str:
    near = os.path.join(folder, path)
    return near if os.path.exists(near) else path


def given(made: Made, frame: Frame) -> Given:
    array = array_of(made, frame)
    return Given(array.shape, array.tobytes())


def fixed(made: Made, frame: Frame) -> Value:
    """The tensor, as a constant of the graph. Like a weight it is the same for every sample."""
    assert made.span is not None
    place = Place(path=frame.scope.path, spans=(made.span, *frame.spans))
    with frame.session.builder.within(place):
        return frame.session.builder.emit(Constant.array(array_of(made, frame)), name=made.name)
