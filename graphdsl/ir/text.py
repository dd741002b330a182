"""Graphs as text, one line a node, and back.

    layer class/dense_1 = dense("10", blocks=("class",))
    %x = input(made=type("float32[batch, 4]")) : float32[batch, 4]
    %class/dense_1/kernel = weight(made=type("float32[4, 10]"), init=Zeros()) : float32[4, 10] @class/dense_1
    %class/dense_1/matmul = matmul() %x, %class/dense_1/kernel : float32[batch, 10] @class/dense_1
    output class = %class/dense_1/matmul

A second result of a node is `%node#1`. Where a node was written is not kept; all else is, so that the text of a graph
reads back to an equal graph.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import fields

from graphdsl.ir.builder import Builder, Place
from graphdsl.ir.graph import Graph, Layer, Role, Value
from graphdsl.ir.notation import NotationError, Reader, call, write, write_fields
from graphdsl.ir.operator import OPERATORS, TypeRuleError

NAME = r'(?:"(?:[^"\\]|\\.)*"|[\w/.\-]+)'
NODE = re.compile(rf"%(?P<name>{NAME}) = (?P<op>\w+)(?P<settings>\(.*\))(?P<operands>(?: %.*?)?) : (?P<types>.*?)$")
OPERAND = re.compile(rf" ?%(?P<name>{NAME})(?:#(?P<port>\d+))?,?")
RESULT = re.compile(rf"(?P<role>[a-z]+) (?P<name>{NAME}) = %(?P<node>{NAME})(?:#(?P<port>\d+))?$")
LAYER = re.compile(rf"layer (?P<path>{NAME}) = (?P<kind>\w+)(?P<settings>\(.*\))$")


class GraphTextError(ValueError):
    """A line that is no part of a graph."""

    def __init__(self, line: int, message: str) -> None:
        ValueError.__init__(self, f"line {line}: {message}")


# --- writing ---------------------------------------------------------------------------------------------------------


def print_graph(graph: Graph) -> str:
    """The whole graph, with a line break at the end."""
    return "\n".join([*_layers(graph), *(node_text(graph, name) for name in graph), *_results(graph), ""])


def node_text(graph: Graph, name: str) -> str:
    """The line of one node."""
    node = graph.node(name)
    operands = ", ".join(_value(v) for v in graph.operands(name))
    types = ", ".join(map(str, node.types))
    layer = f" @{_name(node.layer.path)}" if node.layer else ""
    return f"%{_name(name)} = {node.op.name}({write_fields(node.op)}){' ' * bool(operands)}{operands} : {types}{layer}"


def _layers(graph: Graph) -> Iterator[str]:
    layers = dict.fromkeys(node.layer for _, node in graph.items() if node.layer)
    for layer in layers:
        more = [f"{f.name}={write(v)}" for f in fields(layer)[3:] if (v := getattr(layer, f.name)) != f.default]
        yield f"layer {_name(layer.path)} = {layer.kind}({', '.join([write(layer.settings), *more])})"


def _results(graph: Graph) -> Iterator[str]:
    for result in graph.results:
        yield f"{result.role} {_name(result.name)} = {_value(result.value)}"


def _value(value: Value) -> str:
    return f"%{_name(value.node)}" + (f"#{value.port}" if value.port else "")


def _name(name: str) -> str:
    return name if re.fullmatch(NAME, name) and not name.startswith('"') else json.dumps(name)


# --- reading ---------------------------------------------------------------------------------------------------------


def parse_graph(text: str) -> Graph:
    """The graph that print_graph gave this text for. Raises GraphTextError."""
    b = Builder()
    layers: dict[str, Layer] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            _read(line.rstrip(), b, layers)
        except (NotationError, TypeRuleError, KeyError, IndexError) as error:
            raise GraphTextError(number, str(error)) from error
    return b.finish()


def _read(line: str, b: Builder, layers: dict[str, Layer]) -> None:
    if found := LAYER.match(line):
        path = _unquoted(found["path"])
        (settings, *_), named = Reader(found["settings"]).arguments()
        layers[path] = call(Layer, "layer", (path, found["kind"], settings), named)
    elif found := NODE.match(line):
        _read_node(found, b, layers)
    elif found := RESULT.match(line):
        value = b.value(_unquoted(found["node"]), int(found["port"] or 0))
        b.result(_unquoted(found["name"]), call(Role, "role", [found["role"]], {}), value)
    else:
        raise NotationError(f"cannot read `{line}`")


def _read_node(found: re.Match[str], b: Builder, layers: dict[str, Layer]) -> None:
    name = _unquoted(found["name"])
    if found["op"] not in OPERATORS:
        raise NotationError(f"there is no operator `{found['op']}`")
    plain, named = Reader(found["settings"]).arguments()
    op = call(OPERATORS[found["op"]], found["op"], plain, named)
    operands = [b.value(_unquoted(o["name"]), int(o["port"] or 0)) for o in OPERAND.finditer(found["operands"])]
    types, _, layer = found["types"].partition(" @")
    with b.within(Place(layer=layers[_unquoted(layer)] if layer else None)):
        made = b.emit_all(op, *operands, name=name, exact=True)
    if made[0].node != name:
        raise NotationError(f"two nodes are called `{name}`")
    if ", ".join(str(v.type) for v in made) != types:
        raise NotationError(f"`{name}` gives {', '.join(str(v.type) for v in made)}")


def _unquoted(name: str) -> str:
    return str(json.loads(name)) if name.startswith('"') else name
