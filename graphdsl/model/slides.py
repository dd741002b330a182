"""A network at every window of pictures: one pass beside crop by crop, in numbers and in time."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from graphdsl.ir import Array, Graph, Input, Result, Role, Weight
from graphdsl.lang import Slid, Spec, WeightsFile
from graphdsl.learn import Batches, Feeder
from graphdsl.ops import Taps, WindowMap
from graphdsl.report import dataclass, fail
from graphdsl.runtime import Compiled

AT_ONCE = 64
"""Crops in a batch."""
TIMES = 3
"""The shortest of so many times counts."""

Fed = Mapping[str, Any]
Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Compared:
    """Both ways to judge all windows of a picture.

    name        of the layer, as the summary calls it
    windows     what they are, and how many multiplications and additions either way takes
    largest     how far the two differ, at most
    once        seconds for a picture in one pass, with making it smaller or larger where windows have another size
    apart       seconds crop by crop, with cutting them out, AT_ONCE in a batch
    """

    name: str
    windows: WindowMap
    largest: float
    once: float
    apart: float


def compared(
    spec: Spec, in_use: Callable[[Graph], Compiled], asking: Callable[[Graph], Batches], feeder: Feeder
) -> list[Compared]:
    """For each `slide` of spec and each of its sizes of windows.

    in_use  makes a graph ready as it is used
    asking  the samples that a graph runs on
    """
    maps = spec.graph.with_results([Result(slid.map.node, Role.OUTPUT, slid.map) for slid in spec.slid])
    inputs = [name for name, node in maps.items() if isinstance(node.op, Input) and name in maps.needed()]
    fed = [feeder.feed(batch) for batch in asking(maps).epoch()]
    pictures = [{name: one[name][i : i + 1] for name in inputs} for one in fed for i in range(len(one[inputs[0]]))]
    return [_compared(spec.graph, slid, in_use, pictures) for slid in spec.slid]


def demand_slides(spec: Spec) -> None:
    """Raises E0810 where spec slides nothing."""
    if not spec.slid:
        help = 'write `map = picture -> slide("crop.dag")`'
        raise fail("E0810", f"`{spec.source.title}` slides no network over pictures", help=help)


def names_through(spec: Spec, known: Callable[[WeightsFile], Names]) -> dict[str, tuple[str, ...]]:
    """For each output of boxes that windows became the names of their classes, where the file of weights of what was
    slid knows such: without the class that is the background.

    known  the names of classes that a file knows, by target
    """
    found = {}
    for result in spec.graph.of_role(Role.OUTPUT):
        needed = spec.graph.with_results([result]).needed()
        maps = [slid for slid in spec.slid if slid.map.node in needed]
        boxes = result.value.type.kind.name == "detections"
        told = {_names_of(spec, slid, needed, known) for slid in maps} if boxes else set()
        if len(told) == 1:
            found[result.name] = told.pop()
    return {name: names for name, names in found.items() if names}


def _names_of(spec: Spec, slid: Slid, needed: Container[str], known: Callable[[WeightsFile], Names]) -> tuple[str, ...]:
    """Those of the classes of a map that become boxes; none where nobody knows them."""
    learned = [name for name, node in slid.crop.graph.items() if isinstance(node.op, Weight)]
    file = next((f for f in spec.weights if any(name.startswith(f"{f.prefix}/") for name in learned)), None)
    count = slid.map.type.channels
    names = {texts for texts in known(file).values() if len(texts) == count} if file else set()
    if len(names) != 1:
        return ()
    (all_names,) = names
    graph = spec.graph
    flat = [graph.node(n).op for user in graph.users(slid.map.node) for n in graph.users(user) if n in needed]
    picked = next((op for op in flat if isinstance(op, Taps) and op.size == count), None)
    return tuple(all_names[pairs[0][0]] for pairs in picked.pairs) if picked else all_names


def _compared(graph: Graph, slid: Slid, in_use: Callable[[Graph], Compiled], pictures: Sequence[Fed]) -> Compared:
    node = graph.node(slid.map.node)
    op = node.op
    assert isinstance(op, WindowMap)
    scaled = in_use(graph.with_results([Result("over", Role.OUTPUT, slid.over)]))
    passes, crops = in_use(graph.with_results([Result("map", Role.OUTPUT, slid.map)])), in_use(slid.crop.graph)
    name = node.layer.path if node.layer else slid.map.node
    largest, times = [], []
    for fed in pictures:
        over = scaled.run(fed)["over"][0]
        once, made = _timed(lambda fed: passes.run(fed)["map"][0], fed)
        apart, wanted = _timed(lambda x: _crop_by_crop(crops, slid.crop.input, op, x), over)
        largest.append(np.abs(made - wanted.reshape(made.shape)).max())
        times.append((once, apart))
    once, apart = np.mean(times, axis=0).tolist()
    return Compared(name, op, float(np.max(largest)), once, apart)


def _crop_by_crop(crops: Compiled, name: str, windows: WindowMap, picture: Array) -> Array:
    """What the network says of every window, each cut out: [windows, ...]."""
    (down, across), (high, wide), (y, x) = windows.windows, windows.crop, windows.stride
    cut = [picture[r * y : r * y + high, c * x : c * x + wide] for r in range(down) for c in range(across)]
    starts = range(0, len(cut), AT_ONCE)
    return np.concatenate([crops.run({name: np.stack(cut[i : i + AT_ONCE])})["crop"] for i in starts])


def _timed(work: Callable[[Any], Array], given: Any) -> tuple[float, Array]:
    """The shortest time and what was made; what the first time makes ready does not count."""
    made, shortest = work(given), np.inf
    for _ in range(TIMES):
        began = perf_counter()
        work(given)
        shortest = min(shortest, perf_counter() - began)
    return shortest, made
