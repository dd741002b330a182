"""What a program hands to a model, checked before anything is made: a spec is checked by the language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from graphdsl.data import Dataset, arrays
from graphdsl.learn import Callback, Plan
from graphdsl.report import Failed, fail


def count(name: str, value: Any) -> int:
    """value as a whole number from 1. Raises E0618."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise _unfit(name, "a whole number from 1", value)
    return int(value)


def callbacks(value: Any) -> tuple[Callback, ...]:
    """value as callbacks. Raises E0618 for anything else in it, or for one that is not in a list."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _unfit("callbacks", "a list of callbacks", value)
    odd = next((c for c in value if not isinstance(c, Callback)), None)
    if odd is not None:
        help = "give objects of `graphdsl.learn.Callback` or write `callbacks = …` in the train section"
        raise _unfit("callbacks", "a list of callbacks", odd, help)
    return tuple(value)


def validation(value: Any) -> Dataset | float:
    """Samples to validate on, or the fraction of others that is kept for it. Raises E0618."""
    if isinstance(value, Real):
        fraction = float(value)
        if isinstance(value, bool) or not 0 <= fraction < 1:
            raise _unfit("valid", "a fraction from 0, below 1, or samples", value)
        return fraction
    if isinstance(value, tuple) and len(value) > 2:
        raise _unfit("valid", "samples as (inputs, targets)", value)
    return dataset(*value) if isinstance(value, tuple) else dataset(value)


def dataset(inputs: Any, targets: Any = None) -> Dataset:
    """Samples: a Dataset as it is, arrays as columns. Raises E0618 for the name of a file."""
    for value in (inputs, targets):
        if isinstance(value, str | Path):
            help = "read the file first: `numpy.load`, or a reader of `graphdsl.data`; the command line takes files"
            raise _unfit("inputs" if value is inputs else "targets", "arrays or a Dataset", value, help)
    return inputs if isinstance(inputs, Dataset) else arrays(inputs, targets)


def _unfit(name: str, wanted: str, value: Any, help: str = "") -> Failed:
    shown = repr(value)
    said = shown if len(shown) <= 40 else f"a {type(value).__name__}"
    return fail("E0618", f"`{name}` takes {wanted}, got {said}", help=help)


def changed(plan: Plan, epochs: int | None, callbacks: Sequence[Callback]) -> Plan:
    """The plan with further callbacks, and as many epochs where a number is given."""
    plan = replace(plan, callbacks=(*plan.callbacks, *callbacks))
    return plan if epochs is None else replace(plan, epochs=epochs, steps=None)
