"""Random numbers, the same as everywhere: noise.cu."""

from __future__ import annotations

from math import ceil

from graphdsl.backends.cuda.launch import Launch, Plan
from graphdsl.backends.cuda.launcher import THREADS, Arrays, Gpu, launches
from graphdsl.backends.cuda.unit import Arguments, Unit, address, i64, u64
from graphdsl.ir import Call
from graphdsl.ops import RandomUniform


class random_uniform_args(Arguments):
    _fields_ = (("counter", address), ("y", address), ("key", u64), ("count", i64))


@launches(RandomUniform)
def random_uniform(call: Call, inputs: Arrays, outputs: Arrays, gpu: Gpu) -> Plan | None:
    """Other numbers for every counter."""
    (counter,), (y,), op = inputs, outputs, call.op
    assert isinstance(op, RandomUniform)
    n = 1 if y.address % 16 else 4
    unit = Unit("noise", f"random_uniform<{n}>", random_uniform_args)
    arguments = random_uniform_args(counter.address, y.address, op.key, y.size)
    return Plan((Launch(unit, gpu.grid(ceil(y.size / n)), THREADS, arguments),)) if y.size else Plan(())
