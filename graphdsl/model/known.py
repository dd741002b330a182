"""What a model has met in the data that it was trained on, as a file of weights keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from graphdsl.data import State
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Known:
    """What a file of weights knows of the data it was trained on.

    names   of classes, by target
    states  what steps of `preprocess` have learned, by key
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    states: Mapping[str, State] = field(default_factory=dict)

    @property
    def metadata(self) -> dict[str, str]:
        """As a file keeps it."""
        names = {name: list(classes) for name, classes in self.names.items()}
        states = {key: {part: list(values) for part, values in state.items()} for key, state in self.states.items()}
        return {"names": json.dumps(names), "states": json.dumps(states)}


def known_of(metadata: Mapping[str, str]) -> Known:
    """What the metadata of a file say. What makes no sense counts as nothing."""
    names = {name: tuple(texts) for name, texts in _object(metadata, "names").items() if _plain(texts, (str,))}
    states = {key: state for key, state in _object(metadata, "states").items() if isinstance(state, dict)}
    plain = {k: s for k, s in states.items() if all(_plain(values, (str, int, float)) for values in s.values())}
    return Known(names, {k: {part: tuple(values) for part, values in s.items()} for k, s in plain.items()})


def _object(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    try:
        found = json.loads(metadata.get(key, "{}"))
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(values: Any, kinds: tuple[type, ...]) -> bool:
    """A list of values that are all of one of these kinds."""
    return isinstance(values, list) and any(all(isinstance(v, kind) for v in values) for kind in kinds)
