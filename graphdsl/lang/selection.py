"""`learn` and `freeze`: from names in the text to weights in the graph, when the graph is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from math import inf
from typing import TypeGuard, TypeVar

from graphdsl.ir import Graph, Input, Value, Weight
from graphdsl.lang import ast
from graphdsl.lang.evaluate import read
from graphdsl.lang.frame import Frame
from graphdsl.lang.metrics import items_of
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.values import BlockWord, Datum, SharedWord, describe, is_unknown
from graphdsl.report import Failed, dataclass

Found = TypeVar("Found")


@dataclass(frozen=True)
class Chosen:
    """Names whose weights are meant, to be looked up later."""

    items: tuple[ast.Name | ast.Text, ...]
    frame: Frame


def read_chosen(expression: ast.Expression, frame: Frame) -> Chosen:
    """Names of tensors, outputs, shared layers, blocks, kinds of layers or weights; or the beginnings of weights' names
    in quotes: `freeze = [body, "class/stage_1"]`."""
    items = []
    for item in items_of(expression):
        if isinstance(item, ast.Name | ast.Text):
            items.append(item)
        else:
            frame.session.tell(refuse("E0218", "needs the name of something with weights", item.span), frame)
    return Chosen(tuple(items), frame)


@dataclass(frozen=True)
class Rated:
    """Weights whose learning rate is multiplied."""

    chosen: Chosen
    factor: float


@dataclass(frozen=True)
class Bounded:
    """Weights that stay between two numbers."""

    chosen: Chosen
    low: float
    high: float


def read_rates(expression: ast.Expression, frame: Frame) -> tuple[Rated, ...]:
    """`[body, 0.1]`: names as of `learn`, and a factor at the end; or a list of such lists."""
    return _each(expression, _rated, frame)


def read_bounds(expression: ast.Expression, frame: Frame) -> tuple[Bounded, ...]:
    """`[canvas, 0, 1]`: names as of `learn`, and two numbers at the end; or a list of such lists."""
    return _each(expression, _bounded, frame)


def _each(
    expression: ast.Expression, read_one: Callable[[ast.Expression, Frame], Found], frame: Frame
) -> tuple[Found, ...]:
    """What one list says, or each of a list of lists. What is wrong with one is told."""
    several = isinstance(expression, ast.ListOf) and all(isinstance(i, ast.ListOf) for i in expression.items)
    found = []
    for item in items_of(expression) if several else (expression,):
        try:
            found.append(read_one(item, frame))
        except Failed as failed:
            frame.session.tell(failed, frame)
    return tuple(found)


def _rated(item: ast.Expression, frame: Frame) -> Rated:
    if not isinstance(item, ast.ListOf) or len(item.items) < 2:
        help = "write `rates = [body, 0.1]`, or `[[stem, 0.01], [body, 0.1]]`"
        raise refuse("E0208", "`rates` needs names and a number", item.span, help=help)
    *names, last = item.items
    factor = read(last, frame)
    if is_unknown(factor):
        raise told()
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 <= factor < inf:
        message = f"`rates` needs a number from 0 at the end, got {describe(factor)}"
        raise refuse("E0208", message, last.span, help="the learning rate of these weights is multiplied with it")
    return Rated(read_chosen(ast.ListOf(tuple(names), item.span), frame), float(factor))


def _bounded(item: ast.Expression, frame: Frame) -> Bounded:
    if not isinstance(item, ast.ListOf) or len(item.items) < 3:
        help = "write `within = [canvas, 0, 1]`, or `[[canvas, 0, 1], [critic, -0.01, 0.01]]`"
        raise refuse("E0208", "`within` needs names and two numbers", item.span, help=help)
    *names, first, last = item.items
    low, high = (read(bound, frame) for bound in (first, last))
    if is_unknown(low) or is_unknown(high):
        raise told()
    if not (_finite(low) and _finite(high) and low < high):
        message = f"`within` needs a number and a larger one at the end, got {describe(low)} and {describe(high)}"
        raise refuse("E0208", message, first.span.to(last.span), help="after every step these weights lie between them")
    return Bounded(read_chosen(ast.ListOf(tuple(names), item.span), frame), float(low), float(high))


def _finite(bound: Datum) -> TypeGuard[float]:
    return isinstance(bound, int | float) and not isinstance(bound, bool) and -inf < bound < inf


class Weights:
    """The weights of a graph, each with the names of the operations that read it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def readers(self) -> Mapping[str, tuple[str, ...]]:
        """Each weight and the operations that read it. Few specs ask."""
        weights = [name for name, node in self.graph.items() if isinstance(node.op, Weight)]
        return {name: (name, *self.graph.users(name)) for name in weights}

    def chosen(self, chosen: Chosen) -> tuple[str, ...]:
        """Names of the weights, in the graph's order. Tells E0218 for a name that stands for none."""
        found: set[str] = set()
        for item in chosen.items:
            try:
                found |= self._of(item, chosen.frame)
            except Failed as failed:
                chosen.frame.session.tell(failed, chosen.frame)
        return tuple(name for name in self.readers if name in found)

    def _of(self, item: ast.Name | ast.Text, frame: Frame) -> set[str]:
        found = self._within([item.value]) if isinstance(item, ast.Text) else self._named(item.name, frame)
        if found is None:
            return set()
        if not found and not (frame.session.reporter.failed and self._may_be_missing(item, frame)):
            raise self._nothing(item, frame)
        return found

    def _may_be_missing(self, item: ast.Name | ast.Text, frame: Frame) -> bool:
        """Whether weights may be missing only because of other mistakes."""
        if isinstance(item, ast.Text):
            return True
        binding = frame.names.find(item.name)
        value = binding.value if binding else None
        fed = isinstance(value, Value) and isinstance(self.graph.node(value.node).op, Input)
        return binding is not None and not fed

    def _named(self, name: str, frame: Frame) -> set[str] | None:
        """None where the name was told about already."""
        binding = frame.names.find(name)
        match binding.value if binding else None:
            case SharedWord() as word:
                return self._within([word.weights])
            case BlockWord():
                return self._within(frame.session.blocks.get(name, []))
            case Value(node) if node in self.readers:
                return {node}
            case value if value is not None and is_unknown(value):
                return None
        if binding is None and frame.session.vocabulary.find(name, "layer"):
            return {w for w in self.readers if self._kind(w) == name}
        module = frame.module
        scopes = [module.scopes.get((around, name)) for around in ("", frame.scope.path)]
        return self._within([s for s in scopes if s])

    def _kind(self, weight: str) -> str:
        layer = self.graph.node(weight).layer
        return layer.kind if layer else ""

    def _within(self, paths: Iterable[str]) -> set[str]:
        """Weights that are made or read inside one of the paths."""
        exact = {p.rstrip("/") for p in paths}
        starts = tuple(f"{p}/" for p in exact)
        inside = {w for w, names in self.readers.items() if starts and any(n.startswith(starts) for n in names)}
        return inside | (exact & self.readers.keys())

    def _nothing(self, item: ast.Name | ast.Text, frame: Frame) -> Failed:
        name = item.value if isinstance(item, ast.Text) else item.name
        if isinstance(item, ast.Name) and frame.names.find(name) is not None:
            return refuse("E0218", f"`{name}` has no weights", item.span)
        known = (n for n, b in frame.names.visible() if isinstance(b.value, Value | SharedWord | BlockWord))
        help = frame.session.suggest(name, known)
        return refuse("E0218", f"nothing with weights is called `{name}`", item.span, help=help)
