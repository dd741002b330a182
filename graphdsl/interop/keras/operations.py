"""Functions in a graph: Keras 3's `keras.ops.add(x, 3)`, and `x + 3` in TensorFlow's Keras (TFOpLambda)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from graphdsl.interop.keras.merges import beside, joined
from graphdsl.interop.keras.nodes import Ref
from graphdsl.interop.keras.scene import Flow, Scene, Step, axis_at
from graphdsl.interop.keras.table import rule

ARITHMETIC = {"Add": "+", "Subtract": "-", "Multiply": "*", "Divide": "/", "TrueDivide": "/"}
PAIRS = {"Maximum": "maximum", "Minimum": "minimum"}
PLAIN = {
    "Relu": "relu",
    "Relu6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Silu": "swish",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Square": "square",
    "Abs": "abs",
    "Absolute": "abs",
    "Softplus": "softplus",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_swish",
}
SUMMARIES = {"Mean": "reduce_mean", "Sum": "reduce_sum", "Max": "reduce_max", "Min": "reduce_min"}
SECOND = ("x2", "y", "b")
"""What the second argument is called where it is given by name."""


def _operands(step: Step, read: Sequence[Flow]) -> list[Any]:
    """Flows and numbers, in the order in which the function takes them."""
    flows = iter(read)
    given = [*step.node.arguments, *(step.node.keywords[k] for k in SECOND if k in step.node.keywords)]
    return [part for value in given for part in _parts(value, flows)]


def _parts(value: Any, flows: Iterator[Flow]) -> Iterator[Any]:
    if isinstance(value, Ref):
        yield next(flows)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part, flows)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield float(value)


def _argument(step: Step, place: int, name: str, default: Any) -> Any:
    """An argument that is no tensor, given by place or by name."""
    if name in step.node.keywords:
        return step.node.keywords[name]
    if name in step.options.data:
        return step.options.raw(name)
    return step.node.arguments[place] if len(step.node.arguments) > place else default


@rule(*(f"ops.{name}" for name in ARITHMETIC), many=True)
def arithmetic(scene: Scene, step: Step, read: Sequence[Flow]) -> Flow:
    """Two tensors, or one and a number on either side."""
    word, operands = ARITHMETIC[step.kind], _operands(step, read)
    if len(operands) != 2:
        raise step.refuse("its arguments are not two tensors, or a tensor and a number")
    left, right = operands
    if isinstance(left, Flow) and isinstance(right, Flow):
        return joined(scene, step, word, [left, right])
    if isinstance(left, Flow):
        return scene.apply(step, word, left, right=right)
    return scene.apply(step, word, right, left=left)


@rule(*(f"ops.{name}" for name in PAIRS), many=True)
def pairs(scene: Scene, step: Step, read: Sequence[Flow]) -> Flow:
    """The larger or smaller of two tensors, or of a tensor and a number."""
    operands = _operands(step, read)
    numbers = [x for x in operands if not isinstance(x, Flow)]
    if not numbers:
        return joined(scene, step, PAIRS[step.kind], read)
    if step.kind == "Maximum":
        return scene.apply(step, "clip", read[0], low=float(numbers[0]))
    return scene.apply(step, "clip", read[0], high=float(numbers[0]))


@rule(*(f"ops.{name}" for name in PLAIN))
def plain(scene: Scene, step: Step, x: Flow) -> Flow:
    """A function of each number."""
    return scene.apply(step, PLAIN[step.kind], x)


@rule("ops.Negative")
def negative(scene: Scene, step: Step, x: Flow) -> Flow:
    """-x"""
    return scene.apply(step, "*", x, right=-1.0)


@rule("ops.Clip")
def clip(scene: Scene, step: Step, x: Flow) -> Flow:
    """Between two numbers."""
    low, high = _argument(step, 1, "x_min", None), _argument(step, 2, "x_max", None)
    return scene.apply(step, "clip", x, low=float(low), high=float(high))


@rule("ops.Softmax")
def softmax(scene: Scene, step: Step, x: Flow) -> Flow:
    """Along one axis."""
    return scene.apply(step, "softmax", scene.last(step, x, axis_at(step, x, _argument(step, 1, "axis", -1))))


@rule(*(f"ops.{name}" for name in SUMMARIES))
def summary(scene: Scene, step: Step, x: Flow) -> Flow:
    """The mean, sum or largest along axes."""
    given = _argument(step, 1, "axis", None)
    if given is None:
        raise step.refuse("it takes all axes, the batch axis too")
    axes = {axis_at(step, x, a) for a in (given if isinstance(given, list | tuple) else [given])}
    keep = bool(_argument(step, 2, "keepdims", False))
    x = scene.straight(step, x)
    scene.take_numbers(x)
    name = scene.emit(step, SUMMARIES[step.kind], [x.name], {"axes": sorted(axes)})
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
    if keep:
        kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
        if None in kept:
            raise step.refuse("it keeps an axis beside one of a free size")
        name, shape = scene.emit(step, "reshape", [name], {"shape": list(kept)}, tag="keepdims"), kept
    return Flow(name, shape, tuple(range(len(shape))))


@rule("ops.Concatenate", many=True)
def concatenate(scene: Scene, step: Step, read: Sequence[Flow]) -> Flow:
    """Side by side."""
    return beside(scene, step, read, axis_at(step, read[0], _argument(step, 1, "axis", -1)))


@rule("CustomScaleLayer", many=True)
def scaled_sum(scene: Scene, step: Step, read: Sequence[Flow]) -> Flow:
    """Of keras.applications' InceptionResNetV2: the first, plus the second times a number."""
    if len(read) != 2:
        raise step.refuse("it reads two tensors")
    branch = scene.apply(step, "*", read[1], tag="scaled", right=step.options.number("scale"))
    return joined(scene, step, "+", [read[0], branch])
