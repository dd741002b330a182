"""Which rule knows which layers of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphdsl.report import dataclass


@dataclass(frozen=True)
class Rule:
    """What some layers are in our words: a function of the scene, the step and what flows in → what flows out.

    many   takes a list of flows; otherwise exactly one
    timed  says itself what TimeDistributed makes of it; otherwise that is refused, unless it works on features only
    """

    translate: Callable[..., Any]
    many: bool = False
    timed: bool = False


RULES: dict[str, Rule] = {}
"""By the name of a class in Keras 2 and 3."""

FUNCTIONS = {
    "math.add": "Add",
    "__operators__.add": "Add",
    "math.subtract": "Subtract",
    "__operators__.sub": "Subtract",
    "math.multiply": "Multiply",
    "__operators__.mul": "Multiply",
    "math.truediv": "Divide",
    "math.divide": "Divide",
    "__operators__.truediv": "Divide",
    "math.maximum": "Maximum",
    "math.minimum": "Minimum",
    "nn.relu": "Relu",
    "nn.relu6": "Relu6",
    "nn.silu": "Silu",
    "math.sigmoid": "Sigmoid",
    "nn.sigmoid": "Sigmoid",
    "math.tanh": "Tanh",
    "nn.softmax": "Softmax",
    "math.reduce_mean": "Mean",
    "math.reduce_sum": "Sum",
    "math.reduce_max": "Max",
    "concat": "Concatenate",
}
"""Functions of TensorFlow in a graph of tf.keras, by the names that Keras 3 has for them."""


def rule(*names: str, many: bool = False, timed: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The function below is the rule of these layers."""

    def kept(function: Callable[..., Any]) -> Callable[..., Any]:
        RULES.update(dict.fromkeys(names, Rule(function, many, timed)))
        return function

    return kept
