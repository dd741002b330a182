"""The layer view: what people see of a graph. Boxes are layers as the spec names them, arrows the tensors between them.

It is the quotient of the operator graph by layer: operations that carry the same Layer (or share one set of weights)
are one box. Summary and picture are both made from it, so they cannot disagree.

         operator graph                          view
    x ─> pad ─> conv ─> add ─> maximum     x ─> conv_1 ─> relu_1
                  └─ kernel   └─ bias
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum

from graphdsl.ir import Dim, Fusion, Graph, Input, Layer, Node, Role, Symbolic, TensorType, Value, Weight, evaluate
from graphdsl.report import dataclass


class BoxRole(StrEnum):
    """What a box stands for."""

    INPUT = "input"
    TARGET = "target"
    WEIGHT = "weight"
    LAYER = "layer"
    BLOCK = "block"
    OUTPUT = "output"


@dataclass(frozen=True)
class Box:
    """One layer, input or output.

    key         its path; unique
    kind        the word in the spec: `conv`, `input`
    settings    as written, `64, 3, stride=2`
    types       of the tensors that leave it in its first use
    parameters  numbers it learns or was given frozen, each shared set counted once
    trainable   of these, how many gradient steps change; running averages are no parameters
    uses        how many times the spec applies it
    flops       multiplications and additions for one sample, all uses together; symbolic where the length is free
    blocks      paths of the blocks around it, outermost first
    training    it reaches no output: it exists in training only (an input too, if only losses read it)
    lines       further words inside the box
    """

    key: str
    kind: str
    role: BoxRole
    settings: str = ""
    types: tuple[TensorType, ...] = ()
    parameters: int = 0
    trainable: int = 0
    uses: int = 1
    flops: Dim = 0
    blocks: tuple[str, ...] = ()
    training: bool = False
    lines: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The last part of the path."""
        return self.key.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Arrow:
    """A tensor from one box to another. use: which use of a shared layer it enters or leaves, 0 where there is one."""

    source: str
    target: str
    type: TensorType
    use: int = 0
    training: bool = False


@dataclass(frozen=True)
class View:
    """Boxes by key, in topological order, and the arrows between them."""

    boxes: Mapping[str, Box]
    arrows: tuple[Arrow, ...]

    def leaving(self, key: str) -> tuple[Arrow, ...]:
        return tuple(a for a in self.arrows if a.source == key)


@dataclass
class _Gathering:
    """What is known of one box so far."""

    kind: str
    role: BoxRole
    settings: str = ""
    blocks: tuple[str, ...] = ()
    uses: dict[str, None] = field(default_factory=dict)
    nodes: list[str] = field(default_factory=list)
    types: dict[TensorType, None] = field(default_factory=dict)
    parameters: int = 0
    trainable: int = 0
    flops: Dim = 0


def layer_view(graph: Graph, *, depth: int | None = None) -> View:
    """The layer view of a graph. depth: blocks nested deeper are drawn as one box; None: none is."""
    serving = graph.with_results(graph.of_role(Role.OUTPUT, Role.TAP)).needed()
    gathered: dict[str, _Gathering] = {}
    key_of: dict[str, str] = {}
    results = {r.value.node for r in graph.results}
    for name, node in graph.items():
        # The weighted form of a loss, which only arithmetic on losses reads.
        idle = node.types[0].rank == 0 and name not in results and not graph.users(name)
        key = "" if idle else _key(name, node, depth)
        if key:
            key_of[name] = key
            _gather(gathered, key, name, node, graph, depth)
    arrows = tuple(dict.fromkeys(_arrows(graph, key_of, gathered, serving)))
    boxes = {key: _box(key, g, serving) for key, g in gathered.items()}
    outputs = {f"output {r.name}": _output(r.name, r.value) for r in graph.of_role(Role.OUTPUT)}
    return View({**boxes, **outputs}, arrows)


def _key(name: str, node: Node, depth: int | None) -> str:
    """The box a node belongs to; empty for what people do not see (lengths of sequences, constants, counters)."""
    if isinstance(node.op, Input):
        return "" if "/" in name else name
    if node.layer is None:
        return "" if node.op.fusion is Fusion.SOURCE and not isinstance(node.op, Weight) else name
    if depth is not None and len(node.layer.blocks) > depth and not node.layer.shared:
        return node.layer.blocks[depth]
    return node.layer.shared or node.layer.path


def _gather(gathered: dict[str, _Gathering], key: str, name: str, node: Node, graph: Graph, depth: int | None) -> None:
    found = gathered.get(key) or gathered.setdefault(key, _begin(key, name, node, depth))
    found.nodes.append(name)
    if node.layer is not None:
        found.uses[node.layer.path if found.role is BoxRole.LAYER else key] = None
    if isinstance(node.op, Weight):
        size = evaluate(node.op.made.count, {})
        found.parameters += 0 if node.op.state else size
        found.trainable += size if node.op.trainable else 0
    operands = [v.type for v in graph.operands(name)]
    found.flops = found.flops + _for_one_sample(node.op.flops(operands, node.types))


def _begin(key: str, name: str, node: Node, depth: int | None) -> _Gathering:
    if isinstance(node.op, Input):
        role = BoxRole.TARGET if node.op.target else BoxRole.INPUT
        return _Gathering(str(role), role, node.types[0].describe())
    if isinstance(node.op, Weight) and node.layer is None:
        return _Gathering("weight", BoxRole.WEIGHT, node.types[0].describe())
    if node.layer is None:
        return _Gathering(node.op.name, BoxRole.LAYER)
    if key == (node.layer.shared or node.layer.path):
        blocks = () if node.layer.shared else node.layer.blocks
        return _Gathering(node.layer.kind, BoxRole.LAYER, node.layer.settings, blocks)
    return _Gathering(block_name(key), BoxRole.BLOCK, "", node.layer.blocks[:depth])


def block_name(path: str) -> str:
    """The block that `class/stage_2` is a use of: `stage`."""
    last = path.rsplit("/", 1)[-1]
    stem, _, number = last.rpartition("_")
    return stem if stem and number.isdigit() else last


def _arrows(
    graph: Graph, key_of: Mapping[str, str], gathered: Mapping[str, _Gathering], serving: frozenset[str]
) -> Iterable[Arrow]:
    for name, value in ((n, v) for n in key_of for v in graph.operands(n) if v.node in key_of):
        source, target = key_of[value.node], key_of[name]
        inside = source == target and _use(graph, value.node) == _use(graph, name)
        own = isinstance(graph.node(value.node).op, Weight) and gathered[source].role is not BoxRole.WEIGHT
        if not inside and not own:
            gathered[source].types.setdefault(value.type)
            number = _number(gathered[target], graph, name) or _number(gathered[source], graph, value.node)
            yield Arrow(source, target, value.type, number, name not in serving)
    for result in graph.of_role(Role.OUTPUT):
        source = key_of[result.value.node]
        gathered[source].types.setdefault(result.value.type)
        number = _number(gathered[source], graph, result.value.node)
        yield Arrow(source, f"output {result.name}", result.value.type, number)


def _use(graph: Graph, name: str) -> str:
    layer: Layer | None = graph.node(name).layer
    return layer.path if layer is not None and layer.shared else ""


def _number(box: _Gathering, graph: Graph, name: str) -> int:
    """Which use of a box with several a node belongs to, from 1; 0 where there is one use only."""
    layer = graph.node(name).layer
    if len(box.uses) < 2 or layer is None:
        return 0
    return list(box.uses).index(layer.path) + 1 if layer.path in box.uses else 0


def _box(key: str, found: _Gathering, serving: frozenset[str]) -> Box:
    training = not any(n in serving for n in found.nodes)
    return Box(
        key=key,
        kind=found.kind,
        role=found.role,
        settings=found.settings,
        types=tuple(found.types),
        parameters=found.parameters,
        trainable=found.trainable,
        uses=max(1, len(found.uses)),
        flops=found.flops,
        blocks=found.blocks,
        training=training,
    )


def _output(name: str, value: Value) -> Box:
    return Box(f"output {name}", "output", BoxRole.OUTPUT, value.type.describe(), (value.type,))


def _for_one_sample(flops: Dim) -> Dim:
    """A count for one sample instead of a batch: exact where it is proportional to the batch, as it is everywhere."""
    if not isinstance(flops, Symbolic):
        return flops
    if flops.names == {"batch"}:
        return int(evaluate(flops, {"batch": 1}))
    kept = tuple((tuple(a for a in m if a != "batch"), c) for m, c in flops.terms)
    return Symbolic(kept)


def fold(view: View, light: frozenset[str]) -> View:
    """Draws a light layer (an activation, say) as a line inside the box before it, if that feeds nothing else."""
    entering = _grouped(view.arrows, "target")
    leaving = _grouped(view.arrows, "source")
    boxes = dict(view.boxes)
    host_of: dict[str, str] = {}
    for key, box in view.boxes.items():
        arrows = entering.get(key, [])
        if box.kind not in light or not _alone(box, arrows, leaving):
            continue
        host = boxes[host_of.get(arrows[0].source, arrows[0].source)]
        if host.role is BoxRole.LAYER and host.uses == box.uses and host.blocks == box.blocks:
            boxes[host.key] = _joined(host, boxes.pop(key))
            host_of[key] = host.key
    kept = (a for a in view.arrows if a.target not in host_of)
    return View(boxes, tuple(replace(a, source=host_of.get(a.source, a.source)) for a in kept))


def _alone(box: Box, arrows: Sequence[Arrow], leaving: Mapping[str, Sequence[Arrow]]) -> bool:
    """Whether each use of box takes one tensor, all of them what one other box gives, which gives nothing else."""
    sources = {arrow.source for arrow in arrows}
    return len(sources) == 1 and len(arrows) == box.uses == len(leaving[next(iter(sources))])


def _grouped(arrows: Iterable[Arrow], end: str) -> dict[str, list[Arrow]]:
    groups: dict[str, list[Arrow]] = {}
    for arrow in arrows:
        groups.setdefault(getattr(arrow, end), []).append(arrow)
    return groups


def _joined(host: Box, light: Box) -> Box:
    return replace(
        host,
        lines=(*host.lines, f"{light.kind} {light.settings}".strip()),
        types=light.types or host.types,
        parameters=host.parameters + light.parameters,
        trainable=host.trainable + light.trainable,
        training=host.training and light.training,
    )
