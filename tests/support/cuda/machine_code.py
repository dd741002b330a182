"""The innermost loop of a kernel, read off its machine code by NVIDIA's disassembler."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_LABEL = re.compile(r"^\s*(\.L_\w+):")
_INSTRUCTION = re.compile(r"/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?(.*?);")
_BRANCH = re.compile(r"BRA\S*\s.*?(\.L_\w+)")


@dataclass(frozen=True)
class Loop:
    """How many instructions it has, and how many that multiply."""

    instructions: int
    products: int

    @property
    def share(self) -> float:
        return self.products / self.instructions


def disassembler() -> str | None:
    """Where nvdisasm is; None where it is not installed."""
    wheels = find_spec("nvidia")
    roots = [Path(root) for root in (wheels and wheels.submodule_search_locations) or ()]
    found = [path for root in roots for path in (root / "cu13/bin/nvdisasm", root / "nvdisasm/bin/nvdisasm")]
    return next((str(path) for path in found if path.exists()), shutil.which("nvdisasm"))


def hottest_loop(cubin: bytes, product: str) -> Loop:
    """The shortest of the loops with the most instructions called `product`, such as HMMA."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [str(disassembler()), "-c", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return _hottest(text, product)


def _hottest(text: str, product: str) -> Loop:
    labels: dict[str, int] = {}
    instructions: list[str] = []
    loops = [Loop(1, 0)]
    for line in text.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(instructions)
        elif found := _INSTRUCTION.search(line):
            instructions.append(found[1])
            back = _BRANCH.match(found[1])
            if back and back[1] in labels:
                body = instructions[labels[back[1]] :]
                loops.append(Loop(len(body), sum(one.startswith(product) for one in body)))
    return max(loops, key=lambda loop: (loop.products, -loop.instructions))
