"""NVIDIA's run-time compiler: a kernel's text becomes machine code for a GPU, which need not be there.

The library is called by its own C interface, so that no headers, no nvcc and no CuPy are needed to compile. What was
compiled is kept in the cache folder, under a name made of all that it depends on: text, options, architecture and the
compiler's version.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path

from graphdsl.backends import kept
from graphdsl.backends.cuda.unit import Unit, source
from graphdsl.report import dataclass, fail

OPTIONS = ("-std=c++17", "-default-device", "--ptxas-options=-v")
"""Exact division and roots, subnormal numbers as they are: nothing here asks for less."""
WHEELS = ("cu13/lib", "cuda_nvrtc/lib")
"""Folders below `nvidia` where the wheels put the library: CUDA 13, CUDA 12."""
NAMES = ("libnvrtc.so.13", "libnvrtc.so.12")
BUILTINS = "libnvrtc-builtins.so.1*"
LINES = 5
"""Of what the compiler says, how many people see."""


@dataclass(frozen=True)
class Compiled:
    """A kernel in machine code.

    cubin      what a driver loads
    name       of the kernel in it
    registers  of a thread
    spills     bytes that a thread writes to memory and reads again for want of registers
    stack      bytes of a thread's own memory
    shared     bytes of shared memory that the kernel declares
    log        what the compiler said
    """

    cubin: bytes
    name: str
    registers: int
    spills: int
    stack: int
    shared: int
    log: str


class DoesNotCompile(Exception):
    """The text has errors, which are the message."""


def compiled(unit: Unit, architecture: str) -> Compiled:
    """The unit for an architecture such as `sm_90a`, from the cache where it is there.

    Raises Failed E0807 where it does not compile, E0808 where there is no compiler.
    """
    text = source(unit)
    depends = (text, unit.expression, architecture, *OPTIONS, *version())
    name = f"cuda/{unit.stem}-{_digest(json.dumps(depends).encode())}"
    found = _parsed(kept.data(name))
    if found is None:
        try:
            found = compile(text, unit.expression, architecture)
        except DoesNotCompile as error:
            raise _failed(unit, architecture, str(error)) from None
        kept.keep(name, _written(found))
    return found


def compile(text: str, expression: str, architecture: str, options: Sequence[str] = OPTIONS) -> Compiled:
    """One kernel of a text, by the expression that C++ has for it. Raises DoesNotCompile."""
    c = library()
    program = ctypes.c_void_p()
    _check(c.nvrtcCreateProgram(ctypes.byref(program), text.encode(), b"kernel.cu", 0, None, None))
    try:
        _check(c.nvrtcAddNameExpression(program, expression.encode()))
        given = [option.encode() for option in (f"-arch={architecture}", *options)]
        status = c.nvrtcCompileProgram(program, len(given), (ctypes.c_char_p * len(given))(*given))
        log = _bytes(program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
        if status:
            raise DoesNotCompile(log or _error(status))
        name = ctypes.c_char_p()
        _check(c.nvrtcGetLoweredName(program, expression.encode(), ctypes.byref(name)))
        return _measured(_bytes(program, "CUBIN"), (name.value or b"").decode(), log)
    finally:
        c.nvrtcDestroyProgram(ctypes.byref(program))


def version() -> tuple[int, int]:
    """(13, 0). Raises Failed E0808 where there is no compiler."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return major.value, minor.value


def architectures() -> tuple[int, ...]:
    """Those that it compiles for: 80, 90, ..."""
    count = ctypes.c_int()
    _check(library().nvrtcGetNumSupportedArchs(ctypes.byref(count)))
    numbers = (ctypes.c_int * count.value)()
    _check(library().nvrtcGetSupportedArchs(numbers))
    return tuple(sorted(numbers))


def architecture(major: int, minor: int) -> str:
    """What to compile for on a GPU of this compute capability: `sm_90a` for 9.0. The closest that the compiler knows:
    what was made for 8.0 runs on 8.9. Raises Failed E0808 where it knows none."""
    fits = [known for known in architectures() if 10 * major <= known <= 10 * major + minor]
    if not fits:
        made = ".".join(map(str, version()))
        help = 'pip install --upgrade "graphdsl[gpu]"'
        raise fail("E0808", f"NVRTC {made} does not know GPUs of compute capability {major}.{minor}", help=help)
    return "sm_90a" if fits[-1] == 90 else f"sm_{fits[-1]}"


@cache
def library() -> ctypes.CDLL:
    """NVRTC with what it needs itself. Raises Failed E0808 where it is not found."""
    wrong = "it is not installed"
    for path in _places():
        try:
            return _loaded(path)
        except OSError as error:
            wrong = str(error) if path.is_absolute() else wrong
    raise fail("E0808", f"no compiler for GPU kernels (NVRTC): {wrong}", help='pip install "graphdsl[gpu]"')


def _places() -> Iterator[Path]:
    """Where the library may be, the likeliest first; at last names alone, for the system to find."""
    wheels = find_spec("nvidia")
    folders = [Path(root) / sub for root in (wheels and wheels.submodule_search_locations) or () for sub in WHEELS]
    toolkits = [os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME"), "/usr/local/cuda"]
    folders += [Path(root) / "lib64" for root in toolkits if root]
    yield from (folder / name for folder in folders for name in NAMES if (folder / name).exists())
    yield from map(Path, NAMES)


def _loaded(path: Path) -> ctypes.CDLL:
    # NVRTC asks for its other half by name alone, which is found only when it is there already.
    for builtins in sorted(path.parent.glob(BUILTINS)) if path.is_absolute() else ():
        ctypes.CDLL(str(builtins), mode=ctypes.RTLD_GLOBAL)
    c = ctypes.CDLL(str(path))
    c.nvrtcGetErrorString.restype = ctypes.c_char_p
    c.nvrtcCreateProgram.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_char_p,
        ctypes.c_int,
        *[ctypes.c_void_p] * 2,
    ]
    c.nvrtcAddNameExpression.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    c.nvrtcCompileProgram.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
    c.nvrtcGetLoweredName.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    return c


def _bytes(program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(library()[f"nvrtcGet{what}Size"](program, ctypes.byref(size)))
    room = ctypes.create_string_buffer(size.value)
    _check(library()[f"nvrtcGet{what}"](program, room))
    return room.raw


def _check(status: int) -> None:
    assert not status, f"NVRTC: {_error(status)}"


def _error(status: int) -> str:
    text: bytes = library().nvrtcGetErrorString(status)
    return text.decode()


def _measured(cubin: bytes, name: str, log: str) -> Compiled:
    """With the figures that the assembler gave; the most of them where it made more than one function."""

    def most(pattern: str) -> int:
        return max((int(number) for number in re.findall(pattern, log)), default=0)

    spills = most(r"(\d+) bytes spill stores") + most(r"(\d+) bytes spill loads")
    figures = most(r"Used (\d+) registers"), spills, most(r"(\d+) bytes stack frame"), most(r"(\d+) bytes smem")
    return Compiled(cubin, name, *figures, log)


def _failed(unit: Unit, architecture: str, log: str) -> Exception:
    lines = [line for line in log.splitlines() if "error" in line] or log.splitlines()
    said = "\n".join(lines[:LINES])
    return fail("E0807", f"{unit.stem}.cu does not compile: `{unit.expression}` for {architecture}\n{said}")


# --- cache -----------------------------------------------------------------------------------------------------------


def _digest(what: bytes) -> str:
    return blake2b(what, digest_size=12).hexdigest()


def _written(made: Compiled) -> bytes:
    """A line that says what it is, then the machine code."""
    said = {"name": made.name, "log": made.log, "digest": _digest(made.cubin)}
    return json.dumps(said).encode() + b"\n" + made.cubin


def _parsed(data: bytes | None) -> Compiled | None:
    """None where there is nothing or not what was written."""
    line, _, cubin = (data or b"").partition(b"\n")
    try:
        said = json.loads(line)
        return _measured(cubin, said["name"], said["log"]) if said["digest"] == _digest(cubin) else None
    except (ValueError, KeyError, TypeError):
        return None
