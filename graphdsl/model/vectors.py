"""`embedding(64, init=vectors("glove.txt"))`: tables that begin with vectors of words from a file.

Which row is which word is known when data have been met, so this comes after binding and before training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from graphdsl.data import Places, Vocabulary, in_array, in_text, map_npy
from graphdsl.ir import Array, Graph, Input, Weight
from graphdsl.model.loading import located
from graphdsl.model.supply import Supply
from graphdsl.ops import Gather, Vectors
from graphdsl.report import Span, dataclass, fail
from graphdsl.runtime import WeightStore, read_weights


@dataclass(frozen=True)
class Table:
    """A weight that begins with vectors, and the inputs whose numbers are its rows."""

    weight: str
    init: Vectors
    inputs: tuple[str, ...]
    span: Span | None


def fill_vectors(supply: Supply, graph: Graph, weights: WeightStore, filled: set[str]) -> list[str]:
    """Puts vectors into the tables that nothing has filled so far, and notes them there; gives a line on each.

    Words without a vector stay as they began. Raises E0501, E0502, E0504, E0518, E0604.
    """
    told = []
    for table in [table for table in _tables(graph) if table.weight not in filled]:
        with located(table.span):
            told.append(_fill(table, weights, _vocabulary(table, supply.vocabularies), supply.places))
        filled.add(table.weight)
    return told


def _fill(table: Table, weights: WeightStore, vocabulary: Vocabulary, places: Places) -> str:
    array = weights[table.weight]
    tokens = enumerate(vocabulary.tokens[: len(array)])
    rows = {token: number for number, token in tokens if _is_word(vocabulary, number)}
    path = places.find(table.init.path, "file")
    width = array.shape[1]
    if table.init.words is None:
        found = in_text(path, rows, width)
    else:
        found = in_array(_array(path), places.find(table.init.words, "file"), rows, width, path)
    array[found.rows] = found.values
    weights[table.weight] = array
    return f"{table.init.path}: vectors for {len(found.rows)} of {len(rows)} words; the others begin at random"


def _is_word(vocabulary: Vocabulary, number: int) -> bool:
    return number != vocabulary.unknown and not vocabulary.pads(number)


def _array(path: Path) -> Array:
    if path.suffix != ".safetensors":
        return map_npy(path)
    arrays, _ = read_weights(path)
    if len(arrays) != 1:
        raise fail("E0518", f"`{path}` holds {len(arrays)} arrays", help="give a file with one: a row for each word")
    return np.asarray(next(iter(arrays.values())))


def _tables(graph: Graph) -> Iterator[Table]:
    for name, node in graph.items():
        if isinstance(node.op, Weight) and isinstance(node.op.init, Vectors):
            readers = [user for user in graph.users(name) if isinstance(graph.node(user).op, Gather)]
            read = [graph.operands(user)[1].node for user in readers]
            inputs = [place for place in read if isinstance(graph.node(place).op, Input)]
            span = next(iter(node.spans), None)
            yield Table(name, node.op.init, tuple(dict.fromkeys(inputs)), span)


def _vocabulary(table: Table, vocabularies: Mapping[str, Vocabulary]) -> Vocabulary:
    """What the rows of the table stand for: the same in all inputs that read it."""
    if not table.inputs:
        help = "write it in an embedding of an input: `text -> embedding(64, init=vectors(…))`"
        raise fail("E0518", "`vectors` is for embeddings that an input flows into", help=help)
    found = [vocabularies.get(name) for name in table.inputs]
    if found[0] is None:
        help = f"give texts, and write `preprocess = {table.inputs[0]} -> words`"
        raise fail("E0518", f"nobody knows which words the numbers of `{table.inputs[0]}` stand for", help=help)
    if any(vocabulary != found[0] for vocabulary in found):
        listed = ", ".join(table.inputs)
        message = f"`{table.inputs[0]}` and other inputs of one embedding have words of their own"
        raise fail("E0518", message, help=f"write `preprocess = [{listed}] -> words`")
    return found[0]
