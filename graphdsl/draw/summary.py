"""The summary: a table of layers, in text and as plain data."""

from __future__ import annotations

from typing import Any

from graphdsl.draw.view import Box, BoxRole, View, layer_view
from graphdsl.ir import Dim, Graph, Input, ModalOperator, Node, Role, TensorType, Weight, evaluate
from graphdsl.ops import Sight, WindowMap, sight_of

_COLUMNS = ("name", "layer", "output shape", "parameters", "uses", "FLOPs")
_RIGHT = {"parameters", "uses", "FLOPs"}


def summary_data(graph: Graph) -> dict[str, Any]:
    """The summary as JSON-ready data.

    {"parameters": {"total", "trainable"},
    "layers": [{"name", "layer", "shape", "parameters", "uses", "flops"}],
    "inputs": {name: type}, "outputs": {name: type}, "receptive_fields": {name: {"steps", "before", "after", "stride"}},
    "slides": [{"name", "windows", "size", "stride", "picture", "flops", "flops_crop_by_crop"}]}

    Shapes leave out the batch axis; flops are for one sample, a text where a length is free. Layers without an output
    behind them (they exist in training only) have "training": true. Running averages are no parameters, as in PyTorch.
    Receptive fields are told of outputs that are sequences and see several steps, but not all. "slides": what sliding a
    network over a picture costs in one pass, and what it would cost crop by crop.
    """
    view = layer_view(graph)
    layers = [b for b in view.boxes.values() if b.role in (BoxRole.LAYER, BoxRole.WEIGHT)]
    inputs = {n: node.types[0].describe() for n, node in graph.items() if isinstance(node.op, Input) and "/" not in n}
    return {
        "parameters": {"total": sum(b.parameters for b in layers), "trainable": sum(b.trainable for b in layers)},
        "layers": [_row(b) for b in layers],
        "inputs": {n: t for n, t in inputs.items() if view.boxes[n].role is BoxRole.INPUT},
        "outputs": {r.name: r.value.type.describe() for r in graph.of_role(Role.OUTPUT)},
        "receptive_fields": {
            name: {"steps": seen.steps, "before": 0 - seen.first, "after": seen.last, "stride": seen.stride}
            for name, seen in _sights(graph).items()
        },
        "slides": [
            {
                "name": name,
                "windows": list(op.windows),
                "size": list(op.crop),
                "stride": list(op.stride),
                "picture": list(op.picture),
                "flops": op.once,
                "flops_crop_by_crop": op.apart,
            }
            for name, op in _slides(graph)
        ],
    }


def summary_text(graph: Graph, title: str = "") -> str:
    """The summary as people read it, one line a layer."""
    view = layer_view(graph)
    rows = [_cells(b) for b in view.boxes.values() if b.role is not BoxRole.OUTPUT]
    widths = [max(len(r[i]) for r in [list(_COLUMNS), *rows]) for i in range(len(_COLUMNS))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    data = summary_data(graph)
    total, trainable = data["parameters"]["total"], data["parameters"]["trainable"]
    lines = [title] if title else []
    lines += [_line(list(_COLUMNS), widths), rule, *(_line(r, widths) for r in rows), rule]
    lines.append(f"parameters: {total:,} ({trainable:,} trainable, {total - trainable:,} frozen){_beside(graph)}")
    lines.append(f"FLOPs for one sample: {_flops(_total(view))}")
    lines += [_slide(name, found) for name, found in _slides(graph)]
    lines += [_field(name, seen) for name, seen in _sights(graph).items()]
    if any(b.training and b.role is BoxRole.LAYER for b in view.boxes.values()):
        lines.append("* in training only: reaches no output")
    return "\n".join(lines) + "\n"


def _sights(graph: Graph) -> dict[str, Sight]:
    """What outputs see that are sequences, where it is more than one step and not everything."""
    sequences = [r for r in graph.of_role(Role.OUTPUT) if r.value.type.batched and r.value.type.rank == 3]
    found = {
        r.name: sight_of(r.value, lambda v: graph.node(v.node).op, lambda v: graph.operands(v.node)) for r in sequences
    }
    return {name: seen for name, seen in found.items() if seen and (seen.steps or 0) > 1}


def _field(name: str, seen: Sight) -> str:
    further = "" if seen.stride == 1 else f"; the next begins {seen.stride:g} further"
    sides = f"{0 - seen.first:,.10g} before and {seen.last:,.10g} after"
    return f"receptive field of {name}: {seen.steps:,} steps, {sides}{further}"


def _slides(graph: Graph) -> list[tuple[str, WindowMap]]:
    """The networks that are slid over pictures, by the name of their layer; of several sizes of windows each."""
    found = [(node.layer.path if node.layer else name, node.op) for name, node in graph.items()]
    return [(name, op) for name, op in found if isinstance(op, WindowMap)]


def _slide(name: str, found: WindowMap) -> str:
    down, across = found.windows
    size, stride, picture = (_by(sizes) for sizes in (found.crop, found.stride, found.picture))
    once, apart = found.once, found.apart
    more = f", {apart / once:.3g} times as many" if once else ""
    return (
        f"{name}: {down * across:,} windows of {size}, {stride} apart, on {picture}: "
        f"{_flops(once)} FLOPs in one pass, {_flops(apart)} crop by crop{more}"
    )


def _by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _beside(graph: Graph) -> str:
    """What layers keep beside parameters, as an end of the line."""
    taught = {v.node for name, node in graph.items() if _needs_no_loss(node) for v in graph.operands(name)}
    kept = {"learned without gradients": 0, "running averages": 0}
    for name, node in graph.items():
        if isinstance(node.op, Weight) and node.op.state:
            kind = "learned without gradients" if name in taught else "running averages"
            kept[kind] += int(evaluate(node.op.made.count, {}))
    return "".join(f", and {count:,} {kind}" for kind, count in kept.items() if count)


def _needs_no_loss(node: Node) -> bool:
    return isinstance(node.op, ModalOperator) and node.op.learns


def _total(view: View) -> Dim:
    total: Dim = 0
    for box in view.boxes.values():
        total = total + (0 if box.training else box.flops)
    return total


def _row(box: Box) -> dict[str, Any]:
    type = box.types[0] if box.types else TensorType(())
    row = {
        "name": box.key,
        "layer": box.kind,
        "shape": [_plain(d) for d in (type.shape[1:] if type.batched else type.shape)],
        "parameters": box.parameters,
        "uses": box.uses,
        "flops": _plain(box.flops),
    }
    return {**row, "training": True} if box.training else row


def _plain(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else str(dim)


def _cells(box: Box) -> list[str]:
    name = box.key + (" *" if box.training and box.role is BoxRole.LAYER else "")
    shape = ", ".join(t.describe() for t in box.types)
    parameters = f"{box.parameters:,}" if box.parameters else "0"
    if box.role is not BoxRole.LAYER:
        return [name, box.kind, shape or box.settings, parameters if box.role is BoxRole.WEIGHT else "", "", ""]
    return [
        name,
        f"{box.kind}({box.settings})" if box.settings else box.kind,
        shape,
        parameters,
        str(box.uses),
        _flops(box.flops),
    ]


def _flops(flops: Dim) -> str:
    if not isinstance(flops, int):
        return str(flops)
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if flops >= size:
            return f"{flops / size:.3g} {unit}"
    return str(flops)


def _line(cells: list[str], widths: list[int]) -> str:
    parts = [c.rjust(w) if name in _RIGHT else c.ljust(w) for c, w, name in zip(cells, widths, _COLUMNS, strict=True)]
    return "  ".join(parts).rstrip()
