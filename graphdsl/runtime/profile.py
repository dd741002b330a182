"""Looking between the calls of a step: how long each takes, and where the first number that is none comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from math import isinf
from time import perf_counter
from typing import Any

import numpy as np

from graphdsl.ir import Array, Call
from graphdsl.report import Span, dataclass, fail
from graphdsl.runtime.compiled import Compiled
from graphdsl.runtime.executor import Ready


@dataclass(frozen=True)
class Timing:
    """How long a call took, in seconds, and how many numbers it computes with."""

    call: Call
    seconds: float
    bytes: int


def profile(compiled: Compiled, inputs: Mapping[str, Any], *, repeats: int = 3) -> list[Timing]:
    """Every call of a step with its time: the best of several steps, call by call. Weights change as in any step."""
    ready = _filled(compiled, inputs)
    backend = compiled.executor.backend
    steps = ready.steps[ready.program.once :]
    runs = [backend.sequence([kernel]) for _, kernel in steps]
    best = [float("inf")] * len(runs)
    for _ in range(repeats):
        for index, run in enumerate(runs):
            start = perf_counter()
            run()
            backend.synchronize()
            best[index] = min(best[index], perf_counter() - start)
    buffers = ready.program.buffers
    return [
        Timing(call, seconds, sum(buffers[i].bytes for i in (*call.inputs, *call.outputs)))
        for (call, _), seconds in zip(steps, best, strict=True)
    ]


def by_operator(timings: list[Timing]) -> dict[str, float]:
    """Seconds by operator, the costliest first."""
    total: dict[str, float] = {}
    for timing in timings:
        total[timing.call.op.name] = total.get(timing.call.op.name, 0.0) + timing.seconds
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def find_nonfinite(compiled: Compiled, inputs: Mapping[str, Any]) -> None:
    """Makes the step once more, call by call, and raises Failed E0601 for where the first such number came from.

    A training step whose loss is not finite leaves the weights alone, so the second run meets what the first one met.
    Finds nothing where the step is sound. Masks write minus infinity on purpose: it counts only when it has led to
    infinity or NaN.
    """
    arrays = compiled.arrays(inputs)
    ready = _filled(compiled, inputs)
    weights = compiled.executor.weights
    for name, array in arrays.items():
        if not _finite(array):
            raise _nonfinite(array, f"the input `{name}`", help="look for what is no number in the data")
    for name in ready.program.weights:
        if not _finite(weights[name]):
            raise _nonfinite(weights[name], f"the weight `{name}`", help="begin with weights that were saved before")
    names = [buffer.name for buffer in ready.program.buffers]
    blame: dict[str, Exception | None] = {}
    for (call, kernel), views in zip(ready.steps, ready.outputs, strict=True):
        compiled.executor.backend.sequence([kernel])()
        made = [compiled.executor.backend.download(view) for view in views]
        for index, array in zip(call.outputs, made, strict=True):
            _judge(call, [names[i] for i in call.inputs], names[index], array, blame)


def _judge(call: Call, reads: Sequence[str], name: str, made: Array, blame: dict[str, Exception | None]) -> None:
    """Raises what is to blame for infinity or NaN in a result; notes it for minus infinity. None: it is on purpose."""
    if _finite(made):
        return
    inherited = [blame[read] for read in reads if read in blame]
    own = None if _writes_infinity(call) else _computed(made, call)
    cause = next(filter(None, inherited), None) if inherited else own
    if not np.isneginf(made[~np.isfinite(made)]).all():
        raise cause or own or _computed(made, call)
    blame[name] = cause


def _writes_infinity(call: Call) -> bool:
    values = (getattr(call.op, f.name) for f in fields(call.op))  # type: ignore[arg-type]
    return any(isinstance(v, float) and isinf(v) for v in values)


def _filled(compiled: Compiled, inputs: Mapping[str, Any]) -> Ready:
    ready = compiled.ready(compiled.sizes(inputs))
    compiled.executor.fill(ready, compiled.arrays(inputs))
    return ready


def _finite(array: Array) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _computed(made: Array, call: Call) -> Exception:
    span, label = next(iter(call.spans), None), f"computed by `{getattr(call.op, 'title', call.op.name)}`"
    return _nonfinite(made, f"`{call.name}`", span, label=label, help=call.op.remedy)


def _nonfinite(array: Array, what: str, span: Span | None = None, label: str = "", *, help: str) -> Exception:
    bad = array[~np.isfinite(array)]
    nans = int(np.isnan(bad).sum())
    found = f"{nans:,} NaN" if nans == bad.size else f"{bad.size - nans:,} infinite and {nans:,} NaN"
    return fail("E0601", f"{what} is not finite: {found} of {array.size:,} numbers", span, label=label, help=help)
