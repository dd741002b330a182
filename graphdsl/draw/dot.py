"""The picture as DOT text: boxes, nested clusters for blocks, shapes on arrows."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from graphdsl.draw.view import Arrow, Box, BoxRole, fold, layer_view
from graphdsl.ir import LAYERS, LOSSES, Graph
from graphdsl.report import dataclass

INK = "#1f2937"
QUIET = "#64748b"

FILLS = {
    "conv_layers": "#dbeafe",
    "pool_layers": "#d1fae5",
    "aggregate": "#d1fae5",
    "resize": "#d1fae5",
    "linear": "#fef3c7",
    "norm": "#f1f5f9",
    "lstm": "#ede9fe",
    "gru": "#ede9fe",
    "embedding": "#fce7f3",
    "merge": "#ffedd5",
    "concat": "#ffedd5",
    "noise": "#f1f5f9",
    "loss": "#fee2e2",
}
"""Fill by the family of operators (the file of ops/ that defines the layer); others are white."""

LIGHT_FAMILIES = frozenset({"elementwise", "norm", "noise"})
"""Families drawn as a line inside the box before them."""


def dot_text(graph: Graph, *, title: str = "", depth: int | None = None) -> str:
    """The graph's layer view as DOT. depth: blocks nested deeper than this are one box each; None: all open."""
    light = frozenset(k for k in LAYERS if family(k) in LIGHT_FAMILIES)
    view = fold(layer_view(graph, depth=depth), light)
    names = {key: f"n{i}" for i, key in enumerate(view.boxes)}
    label = f"label={_quoted(title)}; labelloc=t; fontsize=18; " if title else ""
    lines = [
        "digraph graphdsl {",
        f'  graph [{label}rankdir=TB; nodesep=0.3; ranksep=0.35; fontname="Helvetica"; fontcolor="{INK}"];',
        f'  node [shape=plain; fontname="Helvetica"; fontsize=11; fontcolor="{INK}"];',
        f'  edge [fontname="Helvetica"; fontsize=9; fontcolor="{QUIET}"; color="{QUIET}"; arrowsize=0.6];',
        *_cluster(_tree(view.boxes.values()), names, "  "),
        *(_arrow(a, names) for a in view.arrows),
        "}",
    ]
    return "\n".join(lines) + "\n"


def family(kind: str) -> str:
    """The family of operators a layer belongs to; `loss` for losses, empty for what is no layer (a block)."""
    if kind in LOSSES:
        return "loss"
    return LAYERS[kind].make.__module__.rsplit(".", 1)[-1] if kind in LAYERS else ""


@dataclass(frozen=True)
class _Cluster:
    """A block with the boxes and blocks inside it."""

    path: str
    boxes: tuple[Box, ...]
    inner: tuple[_Cluster, ...]


def _tree(boxes: Iterable[Box], path: str = "", level: int = 0) -> _Cluster:
    here: list[Box] = []
    deeper: dict[str, list[Box]] = {}
    for box in boxes:
        if len(box.blocks) > level:
            deeper.setdefault(box.blocks[level], []).append(box)
        else:
            here.append(box)
    return _Cluster(path, tuple(here), tuple(_tree(found, p, level + 1) for p, found in deeper.items()))


def _cluster(cluster: _Cluster, names: dict[str, str], indent: str) -> list[str]:
    lines = [f"{indent}{names[b.key]} [label=<{_label(b)}>; tooltip={_quoted(b.key)}];" for b in cluster.boxes]
    for inner in cluster.inner:
        training = _only_training(inner)
        style = "rounded,dashed" if training else "rounded,filled"
        lines += [
            f"{indent}subgraph {_quoted('cluster ' + inner.path)} {{",
            f'{indent}  label={_quoted(inner.path)}; tooltip={_quoted(inner.path)}; style="{style}"; '
            f'color="#cbd5e1"; fillcolor="#00000008"; fontsize=10; fontcolor="{QUIET}"; labeljust=l; margin=10;',
            *_cluster(inner, names, indent + "  "),
            f"{indent}}}",
        ]
    return lines


def _only_training(cluster: _Cluster) -> bool:
    return all(b.training for b in cluster.boxes) and all(_only_training(c) for c in cluster.inner)


def _label(box: Box) -> str:
    """The box as an HTML-like table: kind, settings, folded lines, shape and parameters.

    Each is a row of its own: in a font whose bold letters are wider than Graphviz thought they cannot run into others.
    """
    if box.role in (BoxRole.INPUT, BoxRole.TARGET, BoxRole.OUTPUT):
        name = box.key.removeprefix("output ")
        rows = [f"<b>{escape(name)}</b>", _small(f"{box.role} {box.settings}")]
        return _table(rows, "#ffffff", box, rounded=True)
    settings = [escape(box.settings)] if box.settings else []
    rows = [f"<b>{escape(box.kind)}</b>", *settings, *(escape(line) for line in box.lines)]
    facts = [f"{box.parameters:,} parameters"] if box.parameters else []
    used = f"used {box.uses} times"
    facts += ([f"one set of weights, {used}"] if box.parameters else [used]) if box.uses > 1 else []
    if box.uses > 1 or box.role is BoxRole.WEIGHT:
        rows.insert(0, _small(box.key.removeprefix(f"{box.blocks[-1]}/") if box.blocks else box.key))
    return _table([*rows, *map(_small, facts)], FILLS.get(family(box.kind), "#ffffff"), box)


def _table(rows: list[str], fill: str, box: Box, rounded: bool = False) -> str:
    style = ",".join(["rounded"] * rounded + ["dashed"] * box.training)
    styled = f' style="{style}"' if style else ""
    width = 2 if box.uses > 1 else 1
    cells = "".join(f"<tr><td>{row}</td></tr>" for row in rows)
    return (
        f'<table border="{width}" cellborder="0" cellspacing="0" cellpadding="2" color="{QUIET}" '
        f'bgcolor="{fill}"{styled}>{cells}</table>'
    )


def _small(text: str) -> str:
    return f'<font point-size="9" color="{QUIET}">{escape(text)}</font>'


def _arrow(arrow: Arrow, names: dict[str, str]) -> str:
    label = arrow.type.describe().removeprefix("float") + (f"  use {arrow.use}" if arrow.use else "")
    style = "; style=dashed" if arrow.training else ""
    return f"  {names[arrow.source]} -> {names[arrow.target]} [label={_quoted(label)}{style}];"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'
