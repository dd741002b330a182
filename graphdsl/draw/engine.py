"""From DOT to a file people can open. There is always a picture.

First Graphviz' own `dot`; without it the Graphviz bundled with the optional package pygraphviz; without that a page
(HTML) that carries the viz.js build of Graphviz and lays itself out in the browser.
"""

from __future__ import annotations

import base64
import contextlib
import json
import zlib
from html import escape
from importlib import resources
from pathlib import Path

from graphdsl.draw.dot import dot_text
from graphdsl.ir import Graph
from graphdsl.report import fail, nearest, write_whole

FORMATS = ("svg", "png", "pdf", "dot", "html")


def render(graph: Graph, path: Path, *, title: str = "", depth: int | None = None) -> Path:
    """Draws graph into path, whose ending says how: .svg .png .pdf .dot .html. Returns the path written.

    That is path, or the same with .html when there is no Graphviz to make an .svg, .png or .pdf. The file is whole or
    absent. Raises Failed E0702 for another ending, E0701 where the file cannot be written.
    """
    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        guess = nearest(kind, FORMATS) or "svg"
        raise fail(
            "E0702",
            f"`{path.name}` does not end in {', '.join('.' + f for f in FORMATS)}",
            help=f"write -o {path.with_suffix('.' + guess)}",
        )
    dot = dot_text(graph, title=title, depth=depth)
    if kind == "dot":
        return write_whole(path, dot.encode())
    if kind == "html":
        return write_whole(path, page(dot, title).encode())
    picture = layout(dot, kind)
    if picture is None:
        return write_whole(path.with_suffix(".html"), page(dot, title).encode())
    return write_whole(path, picture)


def layout(dot: str, kind: str) -> bytes | None:
    """The picture as bytes, by the first engine that is there; None when there is none."""
    for engine in (_system, _bundled):
        picture = engine(dot, kind)
        if picture is not None:
            return picture
    return None


def _system(dot: str, kind: str) -> bytes | None:
    import graphviz

    try:
        return bytes(graphviz.Source(dot).pipe(format=kind, quiet=True))
    except graphviz.ExecutableNotFound:
        return None


def _bundled(dot: str, kind: str) -> bytes | None:
    try:
        import pygraphviz
    except ImportError:
        return None
    drawing = pygraphviz.AGraph(string=dot)
    with contextlib.redirect_stderr(None):
        return bytes(drawing.draw(format=kind, prog="dot"))


def page(dot: str, title: str = "") -> str:
    """A page that stands alone: drag to move, wheel to zoom, search by name, click to follow what a box touches.

    Where Graphviz is at hand the drawing is inside; else the page lays the graph out itself, with viz.js.
    """
    drawing = layout(dot, "svg")
    files = resources.files("graphdsl.draw")
    template = files.joinpath("page.html").read_text("utf-8")
    if drawing is not None:
        svg = drawing.decode()
        picture, engine = svg[svg.index("<svg") :], ""
    else:
        packed = base64.b64encode(zlib.compress(files.joinpath("viz-global.js").read_bytes(), 9)).decode()
        picture, engine = "", packed
    source = json.dumps(dot).replace("</", "<\\/")
    parts = {"TITLE": escape(title or "graphdsl"), "PICTURE": picture, "ENGINE": engine, "DOT": source}
    for key, text in parts.items():
        template = template.replace(f"@{key}@", text)
    return template
