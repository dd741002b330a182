"""Is there a GPU that we can use, and if not, why? Found out once, when first asked."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import numpy as np

from graphdsl.backends.cuda import present
from graphdsl.backends.cuda.api import Api, by_cupy
from graphdsl.backends.cuda.cupy_device import CupyDevice, version
from graphdsl.backends.cuda.device import Device
from graphdsl.backends.cuda.launch import Launch
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i32
from graphdsl.report import Failed, dataclass, fail

OLDEST = (8, 0)
"""The first compute capability with the instructions that our kernels use."""
INSTALL = 'pip install "graphdsl[gpu]"'
OLD_DRIVER, NO_DEVICE = 35, 100
"""CUDA's errors."""


class probe_args(Arguments):
    _fields_ = (("y", address), ("start", i32))


class Unusable(Exception):
    """Why no GPU can be used, as one line, and what to do, as another."""

    def __init__(self, reason: str, help: str = "") -> None:
        Exception.__init__(self, reason, help)
        self.reason, self.help = reason, help


@dataclass(frozen=True)
class Found:
    """device: or None, with the reason and what to do."""

    device: Device | None
    reason: str = ""
    help: str = ""


@cache
def found() -> Found:
    """The GPU, or why there is none."""
    try:
        return Found(_usable(_api()))
    except Unusable as no:
        return Found(None, no.reason, no.help)


def gpu() -> Device:
    """The GPU. Raises Failed E0808 where there is none that we can use."""
    one = found()
    if one.device is None:
        raise fail("E0808", f"no GPU can be used: {one.reason}", help=one.help or "`--device cpu` runs anywhere")
    return one.device


def _api() -> Api:
    """CuPy's, which is imported only where it can be of use: that takes a second."""
    if not present.driver():
        raise Unusable("no NVIDIA driver is installed")
    if find_spec("cupy") is None:
        raise Unusable("CuPy is not installed", INSTALL)
    try:
        return by_cupy()
    except ImportError as error:
        raise Unusable(f"CuPy cannot be loaded: {_line(error)}", INSTALL) from None


def _usable(api: Api) -> Device:
    """The first GPU, once a kernel has run on it. Raises Unusable."""
    _see(api)
    about = api.runtime.getDeviceProperties(0)
    has = about["major"], about["minor"]
    if has < OLDEST:
        name, is_, needed = about["name"].decode(), *(f"{a}.{b}" for a, b in (has, OLDEST))
        raise Unusable(f"{name} is too old: compute capability {is_}, and {needed} is needed")
    try:
        device = CupyDevice(api)
        _try(device)
    except Unusable:
        raise
    except Failed as failed:
        said = failed.diagnostics[0]
        raise Unusable(_line(said.message), said.help or "") from None
    except Exception as error:
        raise Unusable(f"a kernel could not be run: {_line(error)}") from None
    return device


def _see(api: Api) -> None:
    """Whether the driver shows a GPU."""
    r = api.runtime
    serves, needs = r.driverGetVersion(), r.runtimeGetVersion() // 1000
    if not serves:
        raise Unusable("NVIDIA's driver is installed but does not answer")
    try:
        count = r.getDeviceCount()
    except r.CUDARuntimeError as error:
        if error.status == OLD_DRIVER:
            help = "install a newer driver; or, in place of cupy-cuda13x and nvidia-cuda-nvrtc, cupy-cuda12x and "
            help += "nvidia-cuda-nvrtc-cu12"
            raise Unusable(f"the driver serves CUDA {version(serves)}, and CuPy needs {needs}.0", help) from None
        count = 0 if error.status == NO_DEVICE else _lost(error)
    if not count:
        raise Unusable("the driver shows no GPU")


def _lost(error: Exception) -> int:
    raise Unusable(_line(error))


def _try(device: Device) -> None:
    memory = device.alloc(128)
    unit = Unit("probe", "probe", probe_args)
    device.run((Launch(unit, (1, 1, 1), 32, probe_args(memory.address, 7)),))
    got = np.zeros(32, np.int32)
    device.read(memory.address, got)
    if not np.array_equal(got, np.arange(7, 39)):
        raise Unusable("a kernel ran and gave wrong numbers")


def _line(error: object) -> str:
    """The first line of what was said."""
    return (str(error).splitlines() or [type(error).__name__])[0]
