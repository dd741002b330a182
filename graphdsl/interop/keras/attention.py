"""Attention with several heads, of a sequence to itself or to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphdsl.interop.keras.nodes import references
from graphdsl.interop.keras.scene import Flow, Scene, Step
from graphdsl.interop.keras.table import rule
from graphdsl.interop.keras.training_only import LEFT_OUT, penalties
from graphdsl.ir import Array

READ = ("query", "value", "key")
"""What a call is given, in this order."""
MASKS = ("query_mask", "value_mask", "key_mask", "attention_mask")


@rule("MultiHeadAttention", many=True)
def attention(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow:
    """Kernels have an axis for heads in Keras; in the language their features stand side by side."""
    query, value, key = (_sequence(scene, step, x) for x in _read(step, xs))
    options = step.options
    _demand_plain(step)
    heads, depth = options.count("num_heads"), options.count("key_dim")
    wide, features = options.count("value_dim", depth), scene.features(step, query)
    units = _units(step, features)
    settings: dict[str, Any] = {"heads": heads}
    settings |= {"causal": True} if step.node.keywords.get("use_causal_mask") else {}
    settings |= {"bias": False} if not options.flag("use_bias", True) else {}
    sizes = {
        "width": (heads * depth, features),
        "value_width": (heads * wide, heads * depth),
        "units": (units, features),
    }
    settings |= {name: size for name, (size, usual) in sizes.items() if size != usual}
    settings |= {n: amount for n, amount in penalties(scene, step).items() if n == "l2"}
    if options.raw("dropout"):
        scene.note(f"{LEFT_OUT}dropout", step.name)
    given = _features(scene, step, query, key, value)
    weights = _weights(step, given, (heads, depth, wide), units)
    others = [] if query == key == value else [key.name] if key == value else [key.name, value.name]
    scene.take_numbers(query, key, value)
    name = scene.emit(step, "attention", [query.name, *others], settings, weights, learns=True)
    return scene.made(query, name, (query.ours[0], units))


def _read(step: Step, xs: Sequence[Flow]) -> tuple[Flow, Flow, Flow]:
    """Query, value and key. Raises E0901 where a mask is computed."""
    node = step.node
    named = {**dict(zip(READ, node.arguments, strict=False)), **node.keywords}
    masks = [name for name in MASKS if any(references(named.get(name)))]
    if masks:
        raise step.refuse(f"its {masks[0]} is computed, and here lengths and `causal` say what is read")
    order = list(references([*node.arguments, *node.keywords.values()]))
    found = {name: xs[order.index(named[name])] for name in READ if named.get(name) in order}
    if "query" not in found or "value" not in found:
        raise step.refuse("it reads a query and a value")
    return found["query"], found["value"], found.get("key", found["value"])


def _sequence(scene: Scene, step: Step, x: Flow) -> Flow:
    if x.rank != 2:
        raise step.refuse(f"it reads [time, features], and gets {list(x.shape)}")
    if x.masked and x.ours[0] is not None:
        raise step.refuse(f"`{x.masked}` says by values which steps to skip, and here the length of a sequence does")
    return scene.straight(step, x)


def _demand_plain(step: Step) -> None:
    axes = step.options.raw("attention_axes")
    if axes not in (None, 1, [1]):
        raise step.refuse("it looks along other axes than time")
    for key in ("use_gate", "sliding_window"):
        if step.options.raw(key):
            raise step.refuse(f"the language's attention has no `{key}`")


def _units(step: Step, features: int) -> int:
    given = step.options.raw("output_shape")
    listed = given if isinstance(given, list | tuple) else [features if given is None else given]
    if len(listed) != 1 or type(listed[0]) is not int or listed[0] < 1:
        raise step.refuse("its result has several axes of features")
    return listed[0]


def _features(scene: Scene, step: Step, *xs: Flow) -> dict[str, int]:
    return dict(zip(("query", "key", "value"), (scene.features(step, x) for x in xs), strict=True))


def _weights(step: Step, features: Mapping[str, int], sizes: tuple[int, int, int], units: int) -> Mapping[str, Array]:
    """Kernels [features, width] and biases [width] by our names."""
    heads, depth, wide = sizes
    shapes: dict[str, Sequence[int]] = {}
    for name in ("query", "key", "value"):
        own = (heads, wide if name == "value" else depth)
        shapes |= {name: (features[name], *own), f"{name}_bias": own}
    shapes |= {"output": (heads, wide, units), "output_bias": (units,)}
    biased = step.options.flag("use_bias", True)
    found = step.parts(**{n: s for n, s in shapes.items() if biased or not n.endswith("_bias")})
    return {name: _flat(name, array) for name, array in found.items()}


def _flat(name: str, array: Array) -> Array:
    if name.endswith("_bias"):
        return array.reshape(-1)
    return np.ascontiguousarray(array.reshape((-1, array.shape[-1]) if name == "output" else (len(array), -1)))
