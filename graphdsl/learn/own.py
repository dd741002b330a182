"""Callbacks that users write in Python. They run because the user names the file, never because a spec does."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from graphdsl.learn.callbacks import CALLBACKS, Callback, Memory
from graphdsl.learn.events import Action, Begun, Ended, EpochDone, Event, StepDone
from graphdsl.report import Failed, fail


def load_callbacks(path: str | Path) -> tuple[str, ...]:
    """Runs a Python file and gives the words that it registered. Raises E0617 where the file fails."""
    before = set(CALLBACKS)
    spec = spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise fail("E0617", f"there is no Python file `{path}`", help="name a file that ends in `.py`")
    try:
        spec.loader.exec_module(module_from_spec(spec))
    except Exception as error:
        raise _raised(f"`{path}`", error) from error
    return tuple(name for name in CALLBACKS if name not in before)


def ask(callback: Callback, event: Event, memory: Memory) -> tuple[Action, ...]:
    """What a callback wants after an event. Raises E0617 where its code fails."""
    try:
        return tuple(_hook(callback, event, memory))
    except Failed:
        raise
    except Exception as error:
        raise _raised(f"the callback `{type(callback).__name__}`", error) from error


def _hook(callback: Callback, event: Event, memory: Memory) -> Iterable[Action]:
    match event:
        case Begun():
            return callback.on_begin(event, memory) or ()
        case StepDone():
            return callback.on_step(event, memory) or ()
        case EpochDone():
            return callback.on_epoch(event, memory) or ()
        case Ended():
            return callback.on_end(event, memory) or ()


def _raised(who: str, error: Exception) -> Failed:
    """The error and the line it came from: the rest of the traceback is ours, not theirs."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return fail("E0617", f"{who} raised {type(error).__name__}: {error}{place}", help="mend that line and run again")
