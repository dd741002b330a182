"""Every instance of a kernel that the samples, the networks of the self-check and all tiles use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from unittest import mock

import numpy as np

from graphdsl.backends.cuda import tiles
from graphdsl.backends.cuda.backend import CudaBackend
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.tiles import NARROW, PLAIN, TENSOR
from graphdsl.backends.cuda.unit import Unit
from graphdsl.ir import Array, Operator
from graphdsl.model.selfcheck import NETS, trained
from graphdsl.ops import Conv, ConvInputGradient, MatMul
from tests.support.cuda.calls import PRECISIONS, launched, native, units
from tests.support.cuda.kernels import wave
from tests.support.cuda.simulated import SimulatedDevice

SAME = ((1, 1), (1, 1))


class Listing(SimulatedDevice):
    """Lists what it should compile, and runs nothing."""

    def __init__(self) -> None:
        super().__init__(processors=132)
        self.asked: dict[Unit, None] = {}

    def compile(self, units: Collection[Unit]) -> None:
        self.asked |= dict.fromkeys(units)

    def run(self, launches: Sequence[Launch]) -> None:
        self.compile([launch.unit for launch in launches])


def every() -> dict[Unit, str]:
    """With what uses it first, for messages."""
    found: dict[Unit, str] = {}
    for precision in PRECISIONS:
        machine = CudaBackend(SimulatedDevice(processors=132), precision=precision)
        for unit, sample in (units(machine) | of_tiles(machine)).items():
            found.setdefault(unit, f"{sample}, {precision}")
    for name, net in NETS.items():
        device = Listing()
        trained(net, CudaBackend(device), 1)
        for unit in device.asked:
            found.setdefault(unit, f"the network {name}")
    return found


def of_tiles(machine: CudaBackend) -> dict[Unit, str]:
    """Convolutions in every tile, products of matrices in the largest."""
    found: dict[Unit, str] = {}
    for number, tile in enumerate((*PLAIN, *TENSOR, *NARROW)):
        plain = tile in PLAIN
        if plain != (machine.precision == "float32"):
            continue
        # Rows that are no quads are copied float by float, in the narrow tiles.
        channels = 66 if tile in NARROW else 64
        with mock.patch.multiple(tiles, PLAIN=(tile,), TENSOR=(tile,), NARROW=(tile,)):
            for op, arrays in _calls(channels, large=number in (0, len(PLAIN))):
                kernel = native(machine, op, arrays)
                assert kernel is not None, op
                found |= {launch.unit: f"{op.name} in {tile}" for launch in launched(kernel)}
    return found


def _calls(channels: int, *, large: bool) -> Iterator[tuple[Operator, list[Array]]]:
    image, kernel = wave(1, 32, 32, channels), wave(3, 3, channels, channels)
    yield Conv((1, 1), SAME, (1, 1), 1), [image, kernel]
    if large:
        yield ConvInputGradient((1, 1), SAME, (1, 1), 1, (32, 32)), [image, kernel]
        for left, right in ((False, False), (True, False), (False, True)):
            yield MatMul(left, right), [np.zeros((2048, 2048), np.float32)] * 2
