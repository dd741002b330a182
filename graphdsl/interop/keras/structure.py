"""A model's config as a tree of models and layers, the same for every generation of Keras.

Sequential   a list of layers, each fed by the one before
Functional   layers with `inbound_nodes`: one node for each time that a layer is called
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from graphdsl.interop.keras.nodes import (
    DEEPEST,
    Node,
    Ref,
    ends,
    function_of,
    is_function,
    mapping,
    nodes_of,
    sequence,
)
from graphdsl.interop.keras.options import Options, class_of, modern
from graphdsl.report import dataclass, fail

MOST_LAYERS = 20_000
MODELS = {"Sequential", "Model"}


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
    inputs = tuple(ends(config.get("input_layers"), "input_layers"))
    outputs = tuple(ends(config.get("output_layers"), "output_layers"))
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
    operation = is_function(kind, description, options)
    kind = function_of(kind, options)
    slot = "" if operation else _slot(str(description["class_name"]), used)
    where = f"`{name}` ({description['class_name']})"
    said = Options(where, _said(kind, description, options))
    wrapped = tuple(_unit(w, i, {}, depth + 1) for i, w in enumerate(_wrapped(kind, options, where, depth)))
    nodes = tuple(nodes_of(description.get("inbound_nodes"), kind, where))
    return Unit(name, kind, said, nodes, slot, operation, inner, wrapped)


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
