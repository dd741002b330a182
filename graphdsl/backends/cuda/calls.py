"""Calls that are ready: made on the GPU, or by the reference on the CPU."""

from __future__ import annotations

import numpy as np

from graphdsl.backends.cuda.array import DeviceArray
from graphdsl.backends.cuda.device import Device
from graphdsl.backends.cuda.launch import Plan
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.ir import Array, Call
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Fallback:
    """A call that the reference makes on the CPU."""

    call: Call
    inputs: tuple[DeviceArray, ...]
    outputs: tuple[DeviceArray, ...]
    device: Device

    def __call__(self) -> None:
        inputs: list[Array] = [np.empty(view.shape, view.dtype) for view in self.inputs]
        outputs: list[Array] = [np.empty(view.shape, view.dtype) for view in self.outputs]
        for view, array in zip(self.inputs, inputs, strict=True):
            self.device.read(view.address, array)
        ReferenceBackend().kernel(self.call, inputs, outputs)()
        for view, array in zip(self.outputs, outputs, strict=True):
            self.device.write(view.address, array)


@dataclass(frozen=True)
class Native:
    """A call that the GPU makes, on these arrays."""

    call: Call
    inputs: tuple[DeviceArray, ...]
    outputs: tuple[DeviceArray, ...]
    device: Device
    plan: Plan

    def __call__(self) -> None:
        self.device.run(self.plan.launches)
