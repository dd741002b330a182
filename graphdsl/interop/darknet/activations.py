"""Darknet's activations in our words. Those that we have no word for are written out: a ramp is relu(x) + 0.1 x."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from graphdsl.interop.darknet.assembly import Assembly
from graphdsl.interop.darknet.cfg import Section

Act = Callable[[Assembly, str], str]
"""From the name of a tensor to that of the activated one."""

LIKE_LHTAN = 0.001
LIKE_PLSE = 0.08
"""Slope outside [0, 1]; plse has 0.01 outside, 0.125 within."""


def activated(a: Assembly, section: Section, x: str, default: str = "logistic") -> str:
    """x behind the activation that the section asks for. Raises E0901 for one that cannot be said."""
    word = section.text("activation", default)
    if word in ACTIVATIONS:
        return ACTIVATIONS[word](a, x)
    known = "has no counterpart here" if word in UNKNOWN else "is none of Darknet's, which would take relu"
    raise section.refuse(f"the activation {word} {known}", key="activation")


def _word(word: str, **settings: Any) -> Act:
    return lambda a, x: a.emit(word, x, **settings)


def _ramp(a: Assembly, x: str) -> str:
    return a.emit("add", a.emit("relu", x), a.emit("*", x, right=0.1))


def _loggy(a: Assembly, x: str) -> str:
    return a.emit("-", a.emit("*", a.emit("sigmoid", x), right=2), right=1)


def _bent(a: Assembly, x: str, slope: float) -> str:
    """x between 0 and 1, and outside as many times slower: 1 - leaky(1 - leaky(x))."""
    low = a.emit("leaky_relu", x, slope=slope)
    return a.emit("-", a.emit("leaky_relu", a.emit("-", low, left=1), slope=slope), left=1)


def _plse(a: Assembly, x: str) -> str:
    return _bent(a, a.emit("+", a.emit("*", x, right=0.125), right=0.5), LIKE_PLSE)


def _stair(a: Assembly, x: str) -> str:
    """Flat behind even numbers, a slope behind odd ones: h + (n - 2 h) (x - n), n = floor(x), h = floor(n / 2)."""
    whole = a.emit("floor", x)
    half = a.emit("floor", a.emit("*", whole, right=0.5))
    odd = a.emit("subtract", whole, a.emit("*", half, right=2))
    return a.emit("add", half, a.emit("multiply", odd, a.emit("subtract", x, whole)))


def _hard_mish(a: Assembly, x: str) -> str:
    """relu(x) + c² / 2 + c, c = x cut to [-2, 0]"""
    cut = a.emit("clip", x, low=-2.0, high=0.0)
    return a.emit("add", a.emit("relu", x), a.emit("*", a.emit("multiply", cut, cut), right=0.5), cut)


def _gelu(a: Assembly, x: str) -> str:
    """x / 2 (1 + tanh(0.797885 x + 0.035677 x³)), which is off the exact one by up to 5e-4."""
    cube = a.emit("multiply", x, x, x)
    inner = a.emit("add", a.emit("*", x, right=0.797885), a.emit("*", cube, right=0.035677))
    return a.emit("multiply", a.emit("*", x, right=0.5), a.emit("+", a.emit("tanh", inner), right=1))


ACTIVATIONS: Mapping[str, Act] = {
    "linear": lambda a, x: x,
    "logistic": _word("sigmoid"),
    "relu": _word("relu"),
    "relu6": _word("relu6"),
    "leaky": _word("leaky_relu", slope=0.1),
    "relie": _word("leaky_relu"),
    "elu": _word("elu"),
    "selu": _word("selu"),
    "tanh": _word("tanh"),
    "swish": _word("swish"),
    "mish": _word("mish"),
    "ramp": _ramp,
    "loggy": _loggy,
    "gelu": _gelu,
    "hardtan": _word("hard_tanh"),
    "hard_mish": _hard_mish,
    "stair": _stair,
    "lhtan": lambda a, x: _bent(a, x, LIKE_LHTAN),
    "plse": _plse,
}
UNKNOWN = (
    "stair",
    "hard_mish",
    "normalize_channels",
    "normalize_channels_softmax",
    "normalize_channels_softmax_maxval",
)
