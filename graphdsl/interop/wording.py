"""How one layer is written: its word and, in brackets, the settings that differ from the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

from graphdsl.interop.net import Layer
from graphdsl.ir import LAYERS, REQUIRED, Choice, Domain, Either, Setting
from graphdsl.ops import FORMULAS

SQUARE = ("size", "stride", "dilation", "pad")
"""Settings of which one number stands for the same on every axis."""


def call_text(word: str, settings: Mapping[str, str]) -> str:
    """`conv(64, 3, stride=2)`; settings are texts already."""
    told = [name for name in (s.name for s in _known(word)) if name in settings]
    told += [name for name in settings if name not in told]
    written = [settings[name] if bare else f"{name}={settings[name]}" for name, bare in _bare(word, told)]
    return f"{word}({', '.join(written)})" if written else word


def settings_text(layer: Layer) -> dict[str, str]:
    """The settings of a layer as texts, without those that say what is so anyway."""
    known = {s.name: s for s in _known(layer.word)}
    given = {n: squared(v) if n in SQUARE else v for n, v in layer.settings.items()}
    return {
        n: _setting_text(known.get(n), v) for n, v in given.items() if n not in known or not _is_default(known[n], v)
    }


def _setting_text(setting: Setting | None, value: Any) -> str:
    """`pad=same`: a word out of a few stands without quotes."""
    bare = setting is not None and isinstance(value, str) and _is_word(setting.domain, value)
    return value if bare else value_text(value)


def _is_word(domain: Domain, value: str) -> bool:
    options = domain.options if isinstance(domain, Either) else (domain,)
    return any(isinstance(o, Choice) and value in o.options for o in options)


def default_text(word: str, name: str) -> str | None:
    """What a setting is where it is not written, as text; None where it must be, or is nothing that can be written."""
    setting = next((s for s in _known(word) if s.name == name), None)
    default = setting.default if setting else REQUIRED
    writable = default is None or isinstance(default, bool | int | float | str | tuple)
    return _setting_text(setting, default) if writable else None


def value_text(value: Any) -> str:
    """A value of the language as a spec writes it."""
    if value is None or isinstance(value, bool | np.bool_):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, tuple):
        return "x".join(map(value_text, value))
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    return number_text(value)


def number_text(value: float) -> str:
    """The shortest digits that give the same float32."""
    if isinstance(value, int | np.integer):
        return str(int(value))
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return f"{int(value)}.0"
    return str(np.float32(value))


def squared(value: Any) -> Any:
    """3x3 is 3."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def _known(word: str) -> tuple[Setting, ...]:
    return LAYERS[word].settings if word in LAYERS else ()


def _is_default(setting: Setting, value: Any) -> bool:
    default = setting.default
    return default is not REQUIRED and type(default) is type(value) and bool(default == value)


def _bare(word: str, told: Sequence[str]) -> list[tuple[str, bool]]:
    """Which settings may stand without their names: required ones, as long as they follow each other from the first.

    The one setting of a word, and those of activations, need no name either: `transpose([1, 0])`, `leaky_relu(0.2)`.
    """
    known = _known(word)
    plain = word in FORMULAS or len(known) == 1
    first = [s.name for s in known if s.default is REQUIRED or plain]
    run = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(told, first, strict=False))))
    return [(name, i < run) for i, name in enumerate(told)]
