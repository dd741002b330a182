"""Looking between the calls of a step: how long each takes, and where the first number that is none comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from graphdsl.ir import Array, Call
from graphdsl.report import fail
from graphdsl.runtime.compiled import Compiled, binding
from graphdsl.runtime.executor import Ready


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a call took, in seconds, and how many numbers it computes with."""

    call: Call
    seconds: float
    bytes: int


def profile(compiled: Compiled, inputs: Mapping[str, Any], *, repeats: int = 3) -> list[Timing]:
    """Every call of a step with its time: the best of several steps, call by call. Weights change as in any step."""
    ready = _filled(compiled, inputs)
    best = [float("inf")] * len(ready.steps)
    for _ in range(repeats):
        for index, (_, kernel) in enumerate(ready.steps):
            start = perf_counter()
            compiled.executor.backend.sequence([kernel])()
            compiled.executor.backend.synchronize()
            best[index] = min(best[index], perf_counter() - start)
    buffers = ready.program.buffers
    return [
        Timing(call, seconds, sum(buffers[i].bytes for i in (*call.inputs, *call.outputs)))
        for (call, _), seconds in zip(ready.steps, best, strict=True)
    ]


def by_operator(timings: list[Timing]) -> dict[str, float]:
    """Seconds by operator, the costliest first."""
    total: dict[str, float] = {}
    for timing in timings:
        total[timing.call.op.name] = total.get(timing.call.op.name, 0.0) + timing.seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def find_nonfinite(compiled: Compiled, inputs: Mapping[str, Any]) -> None:
    """Makes the step once more, call by call, and raises Failed E0601 at the first result that is not finite.

    A training step whose loss is not finite leaves the weights alone, so the second run meets what the first one met.
    Finds nothing where the step is sound.
    """
    arrays = compiled.arrays(inputs)
    for name, array in arrays.items():
        _demand_finite(array, f"the input `{name}`", None)
    ready = _filled(compiled, arrays)
    for name in ready.program.weights:
        _demand_finite(compiled.executor.weights[name], f"the weight `{name}`", None)
    backend = compiled.executor.backend
    for (call, kernel), outputs in zip(ready.steps, ready.outputs, strict=True):
        backend.sequence([kernel])()
        for view in outputs:
            _demand_finite(backend.download(view), f"`{call.name}`", call)


def _filled(compiled: Compiled, inputs: Mapping[str, Any]) -> Ready:
    arrays = compiled.arrays(inputs)
    ready = compiled.ready(binding(compiled.inputs, arrays))
    compiled.executor.fill(ready, arrays)
    return ready


def _demand_finite(array: Array, what: str, call: Call | None) -> None:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return
    bad = array[~np.isfinite(array)]
    nans = int(np.isnan(bad).sum())
    found = f"{nans:,} NaN" if nans == bad.size else f"{bad.size - nans:,} infinite and {nans:,} NaN"
    raise fail(
        "E0601",
        f"{what} is not finite: {found} of {array.size:,} numbers",
        call.spans[0] if call and call.spans else None,
        label=f"computed by `{getattr(call.op, 'title', call.op.name)}`" if call else "",
        help="lower the learning rate, or limit the gradients with `clip_norm=1`",
    )
