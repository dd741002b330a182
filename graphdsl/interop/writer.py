"""A Net as a spec: its text, and its weights under the names that they have there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from graphdsl.interop.blocks import Block, with_blocks
from graphdsl.interop.body import Body
from graphdsl.interop.names import Namer
from graphdsl.interop.net import WEIGHT, Layer, Net
from graphdsl.interop.parts import Part
from graphdsl.interop.wording import call_text, settings_text, value_text
from graphdsl.ir import LAYERS, Array, Graph, Weight
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
        self.inputs = {port.name: self.namer.name(port.name) for port in net.inputs}
        self.kept, self.again = self._outputs()
        self.shared = self._shared()
        words = [*self.inputs.values(), *self.shared.values()]
        self.parts, blocks = with_blocks([self._part(layer) for layer in net.layers], self.kept, words)
        self.blocks = {block.word: block for block in blocks}

    def text(self) -> tuple[str, list[Layer], dict[str, Layer]]:
        """The graph's text, its layers in the order of their weights, and constants by their names."""
        body = Body(self.parts, self.inputs, self.kept, self.namer, self._called)
        by_name = {layer.name: layer for layer in self.net.layers}
        groups = [
            [self._block(block) for block in self.blocks.values()],
            [f"input {self.inputs[port.name]}: {port.type}" for port in self.net.inputs],
            [f"shared {w} = {call_text(by_name[n].word, settings_text(by_name[n]))}" for n, w in self.shared.items()],
            [*body.lines, *(f"{side} = {body.name_of(tensor)}" for side, tensor in self.again)],
        ]
        constants = {body.name_of(la.outputs[0]): la for la in self.net.layers if la.word == WEIGHT}
        text = "\n\n".join("\n".join(lines) for lines in groups if lines)
        return text, [leaf for part in body.order for leaf in self._steps(part)], constants

    def _shared(self) -> dict[str, str]:
        """Layers that are used more than once, and what they are called."""
        used = {layer.shares for layer in self.net.layers if layer.shares}
        return {la.name: self.namer.name(la.name, LAYERS) for la in self.net.layers if la.name in used}

    def _outputs(self) -> tuple[dict[str, str], list[tuple[str, str]]]:
        """Outputs and heads, with the left side that defines each; and those that are another name for a tensor."""
        several = {t for layer in self.net.layers for t in layer.outputs if len(layer.outputs) > 1}
        constants = {t for layer in self.net.layers for t in layer.outputs if layer.word == WEIGHT}
        kept: dict[str, str] = {}
        again = []
        wanted = [("output ", *pair) for pair in self.net.outputs] + [("", *pair) for pair in self.net.heads]
        for word, name, tensor in wanted:
            side = word + self.namer.name(name)
            if tensor in self.inputs or tensor in kept or tensor in several | constants:
                again.append((side, tensor))
            else:
                kept[tensor] = side
        return kept | {t: "" for _, t in again if t not in kept and t not in self.inputs}, again

    def _part(self, layer: Layer) -> Part:
        word = self.shared.get(layer.shares or layer.name)
        if word is not None:
            return Part(layer.name, word, layer.inputs, layer.outputs, {}, layer, alone=True)
        if layer.word == WEIGHT:
            texts = {"shape": value_text(tuple(layer.settings["shape"]) or (1,))}
            return Part(layer.name, WEIGHT, (), layer.outputs, texts, layer, alone=True)
        return Part(layer.name, layer.word, layer.inputs, layer.outputs, settings_text(layer), layer)

    def _called(self, part: Part) -> str:
        block = self.blocks.get(part.word) if part.uses_block else None
        if block is None:
            return call_text(part.word, part.texts)
        told = block.formals.written(part.texts)
        return f"{part.word}({', '.join(told)})" if told else part.word

    def _inner(self, parts: Sequence[Part], source: str, namer: Namer) -> Body:
        """What stands in a block."""
        return Body(parts, {source: "in"}, dict.fromkeys(parts[-1].outputs, "out"), namer, self._called, titled=False)

    def _block(self, block: Block) -> str:
        head = ", ".join(block.formals.head())
        namer = Namer([*block.formals.names, *self.blocks])
        told = zip(block.region.parts, block.formals.body, strict=True)
        lines = self._inner([replace(p, texts=texts) for p, texts in told], block.region.source, namer).lines
        name = f"block {block.word}({head})" if head else f"block {block.word}"
        if len(lines) == 1:
            return f"{name} = {lines[0].removeprefix('out = ')}"
        return "\n".join([f"{name} {{", *(f"  {line}" for line in lines), "}"])

    def _steps(self, part: Part) -> list[Layer]:
        """The layers of a part that make weights of their own, in the order of the text."""
        if part.uses_block:
            inner = self._inner(part.inside, part.inputs[0], Namer())
            return [layer for p in inner.order for layer in self._steps(p)]
        return [part.layer] if part.layer and not part.layer.shares else []


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
