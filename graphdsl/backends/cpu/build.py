"""Builds the kernels: `python graphdsl/backends/cpu/build.py [--isa NAME] [--sanitize]`.

Every file of kernels/ is compiled once for each instruction set that this kind of processor may have, and linked into
`_build/libgraphdsl_ISA.so`; which one is loaded is decided where the program runs. Only the standard library is needed:
the package's build calls this before anything else is installed. What has not changed since is not compiled again.

Raises NoCompiler where there is none: then the package is installed without kernels and the reference backend serves.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

HERE = Path(__file__).resolve().parent
KERNELS = HERE / "kernels"
BUILD = HERE / "_build"

X86 = {
    "portable": (),
    "avx2": ("-mavx2", "-mfma", "-mf16c", "-mbmi2"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mbmi2", "-mprefer-vector-width=512"),
}
OTHERS: dict[str, tuple[str, ...]] = {"portable": ()}
FLAGS = (
    *("-O2", "-std=gnu11", "-fPIC", "-fvisibility=hidden", "-pthread"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
    *("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-psabi"),
)
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-fno-omit-frame-pointer")


class NoCompiler(Exception):
    """No C compiler was found, or the one found cannot build the kernels."""


def instruction_sets() -> dict[str, tuple[str, ...]]:
    """The flags for each instruction set worth building for this kind of processor."""
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else OTHERS


def compiler() -> list[str]:
    """The command that compiles C: $CC, the system's, or the one in the ziglang wheel."""
    if os.environ.get("CC"):
        return os.environ["CC"].split()
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if found:
        return [found]
    if subprocess.run([sys.executable, "-c", "import ziglang"], capture_output=True, check=False).returncode == 0:
        return [sys.executable, "-m", "ziglang", "cc"]
    raise NoCompiler("no C compiler was found: install gcc or clang, or set CC")


def library(isa: str, folder: Path = BUILD) -> Path:
    """Where the kernels for an instruction set are."""
    return folder / f"libgraphdsl_{isa}.so"


def build(isas: Sequence[str] | None = None, *, sanitize: bool = False, folder: Path = BUILD) -> list[Path]:
    """Builds the libraries for these instruction sets, for all by default; gives their paths."""
    command = compiler()
    flags = [*FLAGS, *(SANITIZERS if sanitize else ())]
    wanted = {isa: instruction_sets()[isa] for isa in (isas or instruction_sets())}
    sources = sorted(KERNELS.glob("*.c"))
    jobs: list[Callable[[], None]] = []
    for isa, more in wanted.items():
        (folder / "objects" / isa).mkdir(parents=True, exist_ok=True)
        jobs += [_compilation(command, [*flags, *more], s, _object(s, isa, folder)) for s in sources]
    with ThreadPoolExecutor(int(os.environ.get("GRAPHDSL_BUILD_JOBS", os.cpu_count() or 1))) as pool:
        list(pool.map(lambda job: job(), jobs))
    for isa in wanted:
        objects = [str(_object(s, isa, folder)) for s in sources]
        fresh = library(isa, folder).with_suffix(f".{os.getpid()}")
        _call([*command, "-shared", *(SANITIZERS if sanitize else ()), "-o", str(fresh), *objects, "-lm", "-pthread"])
        fresh.replace(library(isa, folder))
    return [library(isa, folder) for isa in wanted]


def _object(source: Path, isa: str, folder: Path) -> Path:
    return folder / "objects" / isa / f"{source.stem}.o"


def _compilation(command: list[str], flags: list[str], source: Path, target: Path) -> Callable[[], None]:
    """Compiles one file, unless it, the headers and the command are what the object there was made of."""

    def run() -> None:
        line = [*command, *flags, "-c", str(source), "-o", str(target)]
        made_of = blake2b(" ".join(line).encode(), digest_size=16)
        for path in (source, *sorted(KERNELS.glob("*.h"))):
            made_of.update(path.read_bytes())
        note = target.with_suffix(".made_of")
        if target.exists() and note.exists() and note.read_text() == made_of.hexdigest():
            return
        _call(line)
        note.write_text(made_of.hexdigest())

    return run


def _call(line: list[str]) -> None:
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    except OSError as error:
        raise NoCompiler(f"{line[0]} cannot be run: {error}") from error
    if done.returncode:
        raise NoCompiler(f"{' '.join(line)}\n{done.stderr}")
    if done.stderr.strip():
        print(done.stderr, file=sys.stderr)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--isa", action="append", choices=list(instruction_sets()))
    parser.add_argument("--sanitize", action="store_true", help="with AddressSanitizer and UndefinedBehaviorSanitizer")
    parser.add_argument("--folder", type=Path, default=BUILD)
    options = parser.parse_args()
    for path in build(options.isa, sanitize=options.sanitize, folder=options.folder):
        print(path)


if __name__ == "__main__":
    main()
