"""A Net as a spec: its text, and its weights under the names that they have there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from graphdsl.interop.body import Body, Part
from graphdsl.interop.names import Namer
from graphdsl.interop.net import WEIGHT, Layer, Net
from graphdsl.interop.wording import call_text, settings_text, value_text
from graphdsl.ir import Array, Graph, Weight
from graphdsl.lang import Vocabulary, elaborate, format_text
from graphdsl.report import Source, dataclass, fail


@dataclass(frozen=True)
class Written:
    """text: of the spec; weights: its arrays, none where the source gave none."""

    text: str
    weights: Mapping[str, Array]


def written(net: Net) -> Written:
    """The spec of a net.

    Raises Failed where our language refuses what an importer made of the source, and E0903 where weights do not fit.
    """
    graph_text, order, constants = _Writer(net).text()
    source = Source("imported.dag", graph_text)
    spec = elaborate(source, Vocabulary.of())
    weights = _named(order, spec.graph, constants)
    whole = f"{_comment(net.title)}\n{graph_text}\n{net.sections}"
    return Written(format_text(Source("imported.dag", whole)), weights)


def _comment(title: str) -> str:
    return "".join(f"# {line}\n" if line else "#\n" for line in title.splitlines())


class _Writer:
    """One net on its way to a text."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self.namer = Namer()
        self.shared = {layer.shares for layer in net.layers if layer.shares}

    def text(self) -> tuple[str, list[Layer], dict[str, Layer]]:
        """The graph's text, its layers in the order of their weights, and constants by their names."""
        net = self.net
        known = {p.name: self.namer.name(p.name) for p in net.inputs}
        kept: dict[str, str] = {}
        again: list[tuple[str, str]] = []
        several = {t for layer in net.layers for t in layer.outputs if len(layer.outputs) > 1}
        for name, tensor in net.outputs:
            legal = self.namer.name(name)
            if tensor in known or tensor in kept or tensor in several:
                again.append((legal, tensor))
            else:
                kept[tensor] = f"output {legal}"
        lines = [f"input {known[p.name]}: {p.type}" for p in net.inputs]
        lines += ["", *self._shared()]
        body = Body([self._part(layer) for layer in net.layers], known, kept, self.namer)
        lines += ["", *body.lines]
        lines += [f"output {name} = {body.name_of(tensor)}" for name, tensor in again]
        constants = {body.name_of(la.outputs[0]): la for la in net.layers if la.word == WEIGHT}
        return "\n".join(lines) + "\n", body.order, constants

    def _shared(self) -> list[str]:
        """Definitions of layers that are used more than once."""
        self.words: dict[str, str] = {}
        for layer in self.net.layers:
            if layer.name in self.shared:
                self.words[layer.name] = self.namer.name(layer.name)
        by_name = {layer.name: layer for layer in self.net.layers}
        return [f"shared {w} = {call_text(by_name[n].word, settings_text(by_name[n]))}" for n, w in self.words.items()]

    def _part(self, layer: Layer) -> Part:
        word = self.words.get(layer.shares or layer.name)
        if word is not None:
            made = () if layer.shares else (layer,)
            return Part(layer.name, word, layer.inputs, layer.outputs, {}, made)
        if layer.word == WEIGHT:
            texts = {"shape": value_text(tuple(layer.settings["shape"]) or (1,))}
        else:
            texts = settings_text(layer)
        return Part(layer.name, layer.word, layer.inputs, layer.outputs, texts, (layer,))


def _named(order: Sequence[Layer], graph: Graph, constants: Mapping[str, Layer]) -> dict[str, Array]:
    """Arrays by the names that the elaborated text gives them: layers make their weights in the order of the text."""
    if not any(layer.weights for layer in order):
        return {}
    types = {name: node.op.made for name, node in graph.items() if isinstance(node.op, Weight)}
    found = {name: layer.weights[""].reshape(layer.weights[""].shape or (1,)) for name, layer in constants.items()}
    layers = iter([layer for layer in order if layer.word != WEIGHT])
    for scope, names in groupby([n for n in types if n not in found], lambda n: n.rpartition("/")[0]):
        parts = {name.rpartition("/")[2]: name for name in names}
        layer = _next(layers, scope, set(parts))
        found |= {parts[part]: array for part, array in layer.weights.items()}
    _demand_none(layers)
    for name, array in found.items():
        if array.shape != types[name].shape:
            shapes = f"{list(array.shape)} for `{name}`, which is {list(types[name].shape)}"
            raise fail("E0903", f"the file has an array of shape {shapes}")
    return {name: np.ascontiguousarray(array, np.float32).reshape(array.shape) for name, array in found.items()}


def _next(layers: Iterator[Layer], scope: str, parts: set[str]) -> Layer:
    """The layer whose weights stand under a scope such as `class/conv_1`."""
    word = scope.rpartition("/")[2].rpartition("_")[0]
    for layer in layers:
        if layer.word == word and (not layer.weights or set(layer.weights) == parts):
            return layer
        if layer.weights:
            has, needs = (", ".join(sorted(names)) for names in (layer.weights, parts))
            raise fail("E0903", f"`{layer.name}`: the file has {has or 'no weights'}, and `{word}` needs {needs}")
    raise AssertionError(f"no layer makes the weights of {scope}")


def _demand_none(layers: Iterable[Layer]) -> None:
    for layer in layers:
        if layer.weights:
            raise fail("E0903", f"`{layer.name}`: the file has weights, and `{layer.word}` takes none")
