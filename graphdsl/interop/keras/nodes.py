"""Calls of layers in a model's config, as Keras 1 and 2 write them and as Keras 3 does.

A node names what it reads as (layer, which of its calls, which of its results). Keras 1 and 2 write
`[["conv", 0, 0, {}]]`, Keras 3 `{"args": [{"class_name": "__keras_tensor__", …}], "kwargs": {}}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from graphdsl.interop.keras.table import FUNCTIONS
from graphdsl.report import dataclass, fail

DEEPEST = 32
LAMBDA = "TFOpLambda"
ONLY_FUNCTIONS = frozenset((*FUNCTIONS.values(), "TrueDivide", "Clip", "Negative", "Exp", "Log", "Sqrt", "Square"))


@dataclass(frozen=True)
class Ref:
    """The result `tensor` of the call `node` of a layer."""

    layer: str
    node: int = 0
    tensor: int = 0


@dataclass(frozen=True)
class Node:
    """One call of a layer. refs: the tensors it reads; arguments, keywords: all that it was given, Refs in place."""

    refs: tuple[Ref, ...]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value, which must be an object of JSON. Raises E0902."""
    if not isinstance(value, Mapping):
        raise fail("E0902", f"{what} must be an object, got {type(value).__name__}")
    return value


def sequence(value: Any, what: str) -> Sequence[Any]:
    """The value, which must be a list. Raises E0902."""
    if not isinstance(value, list | tuple):
        raise fail("E0902", f"{what} must be a list, got {type(value).__name__}")
    return value


def is_function(kind: str, description: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether this is a function of keras.ops or of TensorFlow, not a layer.

    In HDF5 Keras 3 leaves out the module, but says only of layers whether they are trainable.
    """
    nodes = description.get("inbound_nodes")
    new = isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], Mapping)
    unsaid = new and "module" not in description and "trainable" not in config and kind in ONLY_FUNCTIONS
    return kind == LAMBDA or unsaid or ".ops." in str(description.get("module") or "")


def function_of(kind: str, config: Mapping[str, Any]) -> str:
    """The name that Keras 3 has for what a TFOpLambda calls; other kinds are what they are."""
    if kind != LAMBDA:
        return kind
    return FUNCTIONS.get(str(config.get("function")), f"{LAMBDA} {config.get('function')}")


def nodes_of(given: Any, kind: str, where: str) -> Iterator[Node]:
    """One node for each call. An input layer has one that reads nothing."""
    if kind == "InputLayer" or given is None:
        yield Node(())
        return
    for node in sequence(given, f"{where}: `inbound_nodes`"):
        if isinstance(node, Mapping):
            arguments = sequence(node.get("args", []), f"{where}: `args`")
            keywords = mapping(node.get("kwargs", {}), f"{where}: `kwargs`")
            read = [_resolved(a, where) for a in arguments], {k: _resolved(v, where) for k, v in keywords.items()}
        else:
            read = _old_node(node, where)
        yield Node((*references(read[0]), *references(read[1])), tuple(read[0]), read[1])


def _old_node(node: Any, where: str) -> tuple[list[Any], dict[str, Any]]:
    """Of Keras 1 and 2: a list of [layer, call, result, keywords], or one of these alone."""
    listed = sequence(node, f"{where}: a node")
    entries = [listed] if listed and isinstance(listed[0], str) else listed
    read: list[Any] = []
    keywords: dict[str, Any] = {}
    for entry in entries:
        read.append(_reference(entry, where))
        if len(entry) > 3 and isinstance(entry[3], Mapping):
            keywords |= {k: _resolved(v, where) for k, v in entry[3].items()}
    return ([read] if len(read) > 1 else read), keywords


def _reference(value: Any, where: str) -> Any:
    """[layer, call, result, …]; a constant of TensorFlow's Keras stays itself."""
    whole = isinstance(value, list | tuple) and len(value) >= 3
    if whole and value[0] == "_CONSTANT_VALUE":
        return value[2]
    if not whole or not isinstance(value[0], str) or type(value[1]) is not int or type(value[2]) is not int:
        raise fail("E0902", f"{where}: an inbound node must be [layer, call, result]")
    return Ref(value[0], value[1], value[2])


def _resolved(value: Any, where: str, depth: int = 0) -> Any:
    """The value with Refs in place of what stands for tensors."""
    if depth > DEEPEST:
        raise fail("E0902", f"{where}: arguments are nested more than {DEEPEST} deep")
    if isinstance(value, Mapping) and value.get("class_name") == "__keras_tensor__":
        history = mapping(value.get("config"), f"{where}: a tensor").get("keras_history")
        return _reference(history, where)
    if isinstance(value, list | tuple):
        if len(value) >= 3 and isinstance(value[0], str) and [type(v) for v in value[1:3]] == [int, int]:
            return _reference(value, where)
        return [_resolved(v, where, depth + 1) for v in value]
    return value


def references(value: Any) -> Iterator[Ref]:
    """All Refs in lists and objects, in order."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from references(part)


def ends(value: Any, what: str) -> Iterator[Ref]:
    """The inputs or outputs of a model: one, a list or an object of [layer, call, result]."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from ends(part, what)
        return
    listed = sequence(value, f"`{what}` of a model")
    if listed and isinstance(listed[0], str):
        yield _reference(listed, f"`{what}` of a model")
        return
    for part in listed:
        yield from ends(part, what)
