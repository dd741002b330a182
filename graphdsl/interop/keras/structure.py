"""A model's config as a tree of models and layers, the same for every generation of Keras.

    Sequential   a list of layers, each fed by the one before
    Functional   layers with `inbound_nodes`: one node for each time that a layer is called

A node names what it reads as (layer, which of its calls, which of its results). Keras 1 and 2 write
`[["conv", 0, 0, {}]]`, Keras 3 `{"args": [{"class_name": "__keras_tensor__", …}], "kwargs": {}}`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import Any

from graphdsl.interop.keras.options import Options, class_of, modern
from graphdsl.interop.keras.table import FUNCTIONS
from graphdsl.report import dataclass, fail

DEEPEST = 32
MOST_LAYERS = 20_000
MODELS = {"Sequential", "Model"}


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


@dataclass(frozen=True)
class Unit:
    """A layer.

    slot       what Keras 3 calls it in a file of weights: `dense_1` for the second Dense, whatever its name is
    operation  a function of keras.ops, not a layer: has no weights
    inner      the model that it is, or that it wraps; None for a plain layer
    wrapped    the layers in it: one in TimeDistributed, one or two in Bidirectional
    """

    name: str
    kind: str
    options: Options
    nodes: tuple[Node, ...]
    slot: str = ""
    operation: bool = False
    inner: Model | None = None
    wrapped: tuple[Unit, ...] = ()

    @property
    def where(self) -> str:
        return self.options.where


@dataclass(frozen=True)
class Model:
    """A network. inputs and outputs in the order in which it takes and gives them."""

    name: str
    units: tuple[Unit, ...]
    inputs: tuple[Ref, ...]
    outputs: tuple[Ref, ...]


def model_of(description: Any, depth: int = 0) -> Model:
    """The model that `{"class_name": …, "config": …}` describes. Raises E0902 where it is none."""
    kind, config = _described(description)
    if depth > DEEPEST:
        raise fail("E0902", f"models are nested more than {DEEPEST} deep")
    if kind == "Sequential":
        return _sequential(config, depth)
    if kind == "Model":
        return _functional(mapping(config, "the config of a model"), depth)
    if isinstance(config, Mapping) and "layers" in config and "input_layers" in config:
        return _functional(config, depth)
    raise fail(
        "E0901",
        f"`{description['class_name']}` is no Sequential and no Functional model: "
        "its graph is in Python code, not in the file",
        help="only models that Keras can write down layer by layer can be imported",
    )


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


def _described(description: Any) -> tuple[str, Any]:
    given = mapping(description, "a layer")
    kind, config = given.get("class_name"), given.get("config")
    if not isinstance(kind, str):
        raise fail("E0902", "a layer has no `class_name`")
    if config is None:
        raise fail("E0902", f"a layer of class `{kind}` has no `config`")
    return class_of(kind), config


def _sequential(config: Any, depth: int) -> Model:
    listed = config if isinstance(config, list) else mapping(config, "the config of a model").get("layers")
    given = sequence(listed, "`layers` of a Sequential model")
    name = "" if isinstance(config, list) else str(config.get("name") or "")
    units = _units(given, depth)
    if not units:
        raise fail("E0902", "a Sequential model without layers")
    if units[0].kind == "Merge":
        return _merged(name, units)
    if units[0].kind != "InputLayer":
        shape = _first_shape(units[0]) or _built_shape(config)
        units = (_input_unit(units, shape), *units)
    return _chain(name, units, Ref(units[0].name))


def _chain(name: str, units: Sequence[Unit], start: Ref) -> Model:
    """Units after the first, each fed by the one before."""
    linked = [units[0]]
    for unit in units[1:]:
        node = Node((Ref(linked[-1].name),), (Ref(linked[-1].name),))
        linked.append(_with_nodes(unit, (node,)))
    return Model(name, tuple(linked), (start,), (Ref(linked[-1].name),))


def _merged(name: str, units: Sequence[Unit]) -> Model:
    """Keras 1: a Merge at the beginning of a Sequential model holds whole models that feed it."""
    branches = units[0].wrapped
    fed: list[Unit] = []
    inputs: list[Unit] = []
    for i, branch in enumerate(branches):
        if branch.inner is None:
            raise fail("E0902", f"{units[0].where}: only models can feed a Merge that begins a Sequential model")
        refs = []
        for j, start in enumerate(branch.inner.inputs):
            unit = next(u for u in branch.inner.units if u.name == start.layer)
            label = unit.name if unit.name not in {u.name for u in inputs} else f"{unit.name}_{i}_{j}"
            inputs.append(Unit(label, "InputLayer", unit.options, (Node(()),)))
            refs.append(Ref(label))
        fed.append(_with_nodes(branch, (Node(tuple(refs), tuple(refs)),), f"{branch.name}_{i}"))
    read = tuple(Ref(unit.name) for unit in fed)
    merge = _with_nodes(units[0], (Node(read, (list(read),)),))
    tail = _chain(name, (merge, *units[1:]), read[0])
    return Model(name, (*inputs, *fed, *tail.units), tuple(Ref(u.name) for u in inputs), tail.outputs)


def _with_nodes(unit: Unit, nodes: tuple[Node, ...], name: str = "") -> Unit:
    return Unit(name or unit.name, unit.kind, unit.options, nodes, unit.slot, unit.operation, unit.inner, unit.wrapped)


def _input_unit(units: Sequence[Unit], shape: Any) -> Unit:
    taken = {unit.name for unit in units}
    name = next(n for n in (f"{units[0].name}_input{'_' * i}" for i in range(len(units) + 1)) if n not in taken)
    options = Options(units[0].where, {"batch_shape": shape})
    return Unit(name, "InputLayer", options, (Node(()),))


def _built_shape(config: Any) -> Any:
    if not isinstance(config, Mapping):
        return None
    built = config.get("build_config")
    return config.get("build_input_shape") or (built.get("input_shape") if isinstance(built, Mapping) else None)


def _first_shape(unit: Unit) -> Any:
    """The shape that a first layer takes, with the batch axis, where it says so; or None."""
    options = unit.options
    for key in ("batch_input_shape", "batch_shape"):
        if options.raw(key) is not None:
            return options.raw(key)
    if options.raw("input_shape") is not None:
        return [None, *sequence(options.raw("input_shape"), f"{unit.where}: `input_shape`")]
    if unit.inner is not None:
        start = unit.inner.inputs[0].layer
        return _first_shape(next(u for u in unit.inner.units if u.name == start))
    if unit.wrapped and unit.kind == "Bidirectional" and _first_shape(unit.wrapped[0]) is not None:
        return _first_shape(unit.wrapped[0])
    return _by_dimension(unit)


def _by_dimension(unit: Unit) -> Any:
    """Keras 1: `input_dim` and `input_length` instead of a shape."""
    length, features = unit.options.raw("input_length"), unit.options.raw("input_dim")
    if unit.kind == "Embedding":
        return [None, length]
    if features is None:
        return None
    sequential = unit.kind in ("LSTM", "GRU", "SimpleRNN", "Conv1D")
    return [None, length, features] if sequential or length is not None else [None, features]


def _functional(config: Mapping[str, Any], depth: int) -> Model:
    units = _units(sequence(config.get("layers"), "`layers` of a model"), depth)
    inputs = tuple(_ends(config.get("input_layers"), "input_layers"))
    outputs = tuple(_ends(config.get("output_layers"), "output_layers"))
    known = {unit.name: unit for unit in units}
    for ref in (*inputs, *outputs, *(r for u in units for n in u.nodes for r in n.refs)):
        _demand_known(ref, known)
    if not inputs or not outputs:
        raise fail("E0902", "a model without inputs or outputs")
    return Model(str(config.get("name") or ""), units, inputs, outputs)


def _demand_known(ref: Ref, known: Mapping[str, Unit]) -> None:
    if ref.layer not in known:
        raise fail("E0902", f"the model refers to a layer `{ref.layer}`, which it does not have")
    calls = len(known[ref.layer].nodes)
    if not 0 <= ref.node < calls:
        raise fail("E0902", f"the model refers to call {ref.node} of `{ref.layer}`, which has {calls}")


def _units(given: Sequence[Any], depth: int) -> tuple[Unit, ...]:
    if len(given) > MOST_LAYERS:
        raise fail("E0902", f"a model of {len(given)} layers; at most {MOST_LAYERS} are read")
    units = []
    used: dict[str, int] = {}
    names: set[str] = set()
    for number, layer in enumerate(given):
        unit = _unit(layer, number, used, depth)
        if unit.name in names:
            raise fail("E0902", f"two layers of a model are called `{unit.name}`")
        names.add(unit.name)
        units.append(unit)
    return tuple(units)


def _unit(description: Any, number: int, used: dict[str, int], depth: int) -> Unit:
    kind, config = _described(description)
    options = config if isinstance(config, Mapping) else {}
    name = description.get("name") or options.get("name") or f"{_snake(kind)}_{number + 1}"
    if not isinstance(name, str):
        raise fail("E0902", f"the name of a layer must be a text, got {type(name).__name__}")
    inner = model_of(description, depth + 1) if kind in MODELS else None
    if inner is None and not isinstance(config, Mapping):
        raise fail("E0902", f"`{name}` ({kind}): the config must be an object, got {type(config).__name__}")
    operation = kind == "TFOpLambda" or _is_function(description, options)
    if kind == "TFOpLambda":
        kind = FUNCTIONS.get(str(options.get("function")), f"TFOpLambda {options.get('function')}")
    slot = "" if operation else _slot(str(description["class_name"]), used)
    where = f"`{name}` ({description['class_name']})"
    said = Options(where, _said(kind, description, options))
    wrapped = tuple(_unit(w, i, {}, depth + 1) for i, w in enumerate(_wrapped(kind, options, where, depth)))
    nodes = tuple(_nodes(description.get("inbound_nodes"), kind, where))
    return Unit(name, kind, said, nodes, slot, operation, inner, wrapped)


def _is_function(description: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Whether this is a function of keras.ops. In HDF5 Keras 3 leaves out the module, but says of layers only whether
    they are trainable."""
    nodes = description.get("inbound_nodes")
    new = isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], Mapping)
    return ".ops." in str(description.get("module") or ("" if "trainable" in config or not new else ".ops."))


def _said(kind: str, description: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    said = modern(kind, config)
    said["written_as"] = description["class_name"]
    return said


def _wrapped(kind: str, config: Mapping[str, Any], where: str, depth: int) -> Sequence[Any]:
    if depth > DEEPEST:
        raise fail("E0902", f"layers are nested more than {DEEPEST} deep")
    if kind == "Merge":
        return sequence(config.get("layers") or [], f"{where}: `layers`")
    if kind not in ("TimeDistributed", "Bidirectional"):
        return ()
    if config.get("layer") is None:
        raise fail("E0902", f"{where}: `layer` is missing")
    return [config["layer"], *([config["backward_layer"]] if config.get("backward_layer") else [])]


def _slot(name: str, used: dict[str, int]) -> str:
    base = _snake(name)
    used[base] = used.get(base, -1) + 1
    return f"{base}_{used[base]}" if used[base] else base


def _snake(name: str) -> str:
    """`conv2d` for `Conv2D`, as Keras names what has no name."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _nodes(given: Any, kind: str, where: str) -> Iterator[Node]:
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


def _ends(value: Any, what: str) -> Iterator[Ref]:
    """The inputs or outputs of a model: one, a list or an object of [layer, call, result]."""
    if isinstance(value, Mapping):
        for part in value.values():
            yield from _ends(part, what)
        return
    listed = sequence(value, f"`{what}` of a model")
    if listed and isinstance(listed[0], str):
        yield _reference(listed, f"`{what}` of a model")
        return
    for part in listed:
        yield from _ends(part, what)
