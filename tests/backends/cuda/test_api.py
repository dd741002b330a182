"""What the machine of the tests offers is what CuPy offers: the same names, as many arguments."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from graphdsl.backends.cuda import api
from tests.support.cuda.fake_driver import FakeDriver

OURS = {
    name: len(inspect.signature(function).parameters) - 1
    for name, function in vars(FakeDriver).items()
    if inspect.isfunction(function) and not name.startswith("_") and name != "launchKernel"
}
ASK = """
import json
from cupy.cuda import driver, runtime
known = {**vars(driver), **vars(runtime)}
print(json.dumps({name: f.__doc__.splitlines()[0] for name, f in known.items() if callable(f) and f.__doc__}))
print(json.dumps([runtime.memcpyHostToDevice, runtime.memcpyDeviceToHost, runtime.memcpyDeviceToDevice,
    runtime.streamNonBlocking, runtime.eventDisableTiming, runtime.streamCaptureModeRelaxed,
    driver.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES]))
"""


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
def test_names_arguments_and_numbers() -> None:
    """Importing CuPy needs neither a GPU nor a driver."""
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    signatures, numbers = map(json.loads, done.stdout.splitlines())
    theirs = {name: said.partition(")")[0].partition("(")[2].split(",") for name, said in signatures.items()}
    assert {name: len([a for a in theirs[name] if a]) for name in OURS} == OURS
    assert len(theirs["launchKernel"]) == 11
    ours = (api.TO_DEVICE, api.TO_HOST, api.WITHIN, api.NON_BLOCKING, api.UNTIMED, api.RELAXED, api.SHARED_BYTES)
    assert tuple(numbers) == ours
