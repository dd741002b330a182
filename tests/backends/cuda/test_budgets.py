"""What our kernels take of a GPU, as NVIDIA's compiler says it: registers, memory of a thread, instructions of loops.

Every instance that the samples, the networks of the self-check and all tiles use is compiled for sm_90a, one or more of
each file for the other architectures. What is allowed stands here: a kernel that takes more runs slower than it did.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

import pytest

from graphdsl.backends.cuda import nvrtc
from graphdsl.backends.cuda.nvrtc import Compiled
from graphdsl.backends.cuda.unit import Unit
from tests.support.cuda.budget import ARCHITECTURES, needs_compiler
from tests.support.cuda.instances import every
from tests.support.cuda.machine_code import disassembler, hottest_loop

pytestmark = needs_compiler

MOST = 48
"""Registers of a thread, where nothing else is said: five blocks of 256 threads a processor."""
OF_FILE = {"linear": 96, "recurrence": 64, "reduce": 64, "avg_pool": 64, "nms": 64, "assign": 80, "attention": 96}
OF_TILE = {
    r"conv_kernel<plain_sums": 72,
    r"plain_sums<128, 128": 168,
    r"plain_sums": 128,
    r"tensor_sums<128, 128": 255,
    r"tensor_sums<128, 64": 184,
    r"tensor_sums": 144,
}
"""By the first pattern that an instance's name holds."""
WITH_STACK = {"size"}
"""Files whose kernels keep an array of a thread in memory, since its places are known only when they run."""
LOOPS = {
    r"^(conv|product_in_tiles)<plain_sums<128, 128": ("FFMA", 0.79),
    r"^conv<plain_sums<128, 32.*>, 3, 4, 4,": ("FFMA", 0.74),
    r"^conv<plain_sums<64, 64.*>, 3, 4, 4,": ("FFMA", 0.75),
    r"^conv<plain_sums<32, 32.*>, 3, 4, 4,": ("FFMA", 0.63),
    r"^product_in_tiles<tensor_sums<128, 128.*PAIRS": ("HMMA", 0.46),
    r"^product_in_tiles<tensor_sums<128, 128.*TF32": ("HMMA", 0.32),
    r"^conv<tensor_sums<128, 128.*TF32": ("HMMA", 0.28),
    r"^conv<tensor_sums<128, 128.*BF16": ("HMMA", 0.19),
    r"^conv<tensor_sums<64, 64, 32.*TF32": ("HMMA", 0.14),
}
"""Of the instructions of the innermost loop, the part that multiplies; by patterns as before."""


def compiled(units: Collection[Unit], architecture: str) -> dict[Unit, Compiled]:
    """Two at a time: the compiler lets go of Python's lock."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(units, pool.map(lambda unit: nvrtc.compiled(unit, architecture), units), strict=True))


def allowed(unit: Unit) -> int:
    """Registers of a thread."""
    tiles = (most for pattern, most in OF_TILE.items() if re.search(pattern, unit.expression))
    return next(tiles, OF_FILE.get(unit.stem, MOST))


def complaints(unit: Unit, made: Compiled) -> list[str]:
    found = []
    if made.spills:
        found.append(f"{made.spills} bytes are spilled")
    if made.stack and unit.stem not in WITH_STACK:
        found.append(f"{made.stack} bytes of a thread's own memory")
    if made.registers > allowed(unit):
        found.append(f"{made.registers} registers, {allowed(unit)} are allowed")
    return found


def listed(made: dict[Unit, Compiled], users: dict[Unit, str]) -> str:
    """A line for each complaint."""
    return "\n".join(
        f"{unit.stem}.cu, {unit.expression} ({users[unit]}): {complaint}"
        for unit, one in made.items()
        for complaint in complaints(unit, one)
    )


def slow_loop(unit: Unit, made: Compiled) -> str | None:
    """What is wrong with the innermost loop."""
    for pattern, (product, least) in LOOPS.items():
        if re.search(pattern, unit.expression):
            loop = hottest_loop(made.cubin, product)
            said = f"{loop.products} {product} of {loop.instructions}, {loop.share:.1%} < {least:.0%}"
            return f"{unit.expression}: {said}" if loop.share < least else None
    return None


@pytest.mark.timeout(600)
def test_every_instance() -> None:
    users = every()
    made = compiled(users, "sm_90a")
    wrong = listed(made, users)
    assert not wrong, f"for sm_90a:\n{wrong}"
    if disassembler() is None:
        pytest.skip("loops are not looked at: pip install nvidia-cuda-nvdisasm")
    with ThreadPoolExecutor(2) as pool:
        slow = [said for said in pool.map(slow_loop, made, made.values()) if said]
    assert not slow, "\n".join(slow)
    for pattern in LOOPS:
        assert any(re.search(pattern, unit.expression) for unit in made), f"no kernel is {pattern}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "sm_90a"])
def test_other_architectures(architecture: str) -> None:
    """The first instance of each kernel, and of each way to add up in tiles."""
    users = every()
    kinds = {(unit.stem, *re.findall(r"^\w+|\w+_sums|TF32|BF16|PAIRS", unit.expression)): unit for unit in users}
    wrong = listed(compiled(kinds.values(), architecture), users)
    assert not wrong, f"for {architecture}:\n{wrong}"
