"""Threads: after fork, from two callers at once, any number of them, and for a long time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SPEC = """
input  image: float[8, 8, 3]
target label: int(10)

output digit = image -> conv(16, 3, pad=same) -> relu -> max_pool(2) -> flatten -> dense(10) -> softmax

train {
  data = digits(part="train", batch=32)
  loss = [digit, label] -> categorical_crossentropy
}
"""

STEP = """
import hashlib
import numpy as np
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import chosen
from graphdsl.lang import elaborate
from graphdsl.model import VOCABULARY
from graphdsl.learn.optimizers import Sgd
from graphdsl.passes import apply, training
from graphdsl.report import Source
from graphdsl.runtime import Compiled, Executor

def machine():
    spec = elaborate(Source("spec.dag", SPEC), VOCABULARY)
    return Compiled(apply(spec.graph, training(Sgd(lr=0.1, momentum=0.9))), Executor(CpuBackend(chosen())), seed=3)

def feeds(samples=64):
    draw = np.random.default_rng(0)
    image = draw.standard_normal((samples, 8, 8, 3)).astype(np.float32)
    return {"image": image, "label": draw.integers(0, 10, samples), "train/rate": 0.1}

def trained(model, steps=5):
    for _ in range(steps):
        model.step(feeds())
    return hashlib.sha1(b"".join(a.tobytes() for a in model.executor.weights.snapshot().values())).hexdigest()
"""

FORK = """
import os
model = machine()
model.step(feeds())
child = os.fork()
told = trained(model)
if child == 0:
    print(told, flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(told)
"""

TOGETHER = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(3) as callers:
    print("\\n".join(callers.map(trained, [machine(), machine(), machine()])))
"""

LONG = """
import gc
def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * 4096
model, few = machine(), feeds(4)
for _ in range(1000):
    model.step(few)
before = resident()
for _ in range(10_000):
    model.step(few)
print(resident() - before)
"""


def run(program: str, **environment: str) -> list[str]:
    """The lines that the program prints in a process of its own."""
    text = f"SPEC = '''{SPEC}'''\n{STEP}\n{program}"
    command = [sys.executable, "-W", "ignore", "-c", text]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_goes_on_by_itself() -> None:
    child, parent = run(FORK, GRAPHDSL_THREADS="2")
    assert child == parent


def test_several_callers_take_turns() -> None:
    assert len(set(run(TOGETHER, GRAPHDSL_THREADS="2"))) == 1


@pytest.mark.parametrize("threads", ["1", "2", "5"])
def test_the_same_bits_with_the_same_threads(threads: str) -> None:
    first = run("print(trained(machine()))", GRAPHDSL_THREADS=threads)
    assert first == run("print(trained(machine()))", GRAPHDSL_THREADS=threads)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_long_run_takes_no_more_memory() -> None:
    (grown,) = run(LONG)
    assert int(grown) < 1_000_000
