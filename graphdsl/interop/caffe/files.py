"""The files of a net: what it is (prototxt), and its weights (caffemodel)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path

from graphdsl.interop.caffe import convolutions, elementwise, norms, pools, shapes
from graphdsl.interop.caffe.reading import Reading
from graphdsl.interop.caffe.snapshot import is_hdf5, read_hdf5
from graphdsl.interop.caffe.solver import is_solver, net_file, net_inside, training
from graphdsl.interop.caffe.sources import shape_set
from graphdsl.interop.caffe.steps import steps_of
from graphdsl.interop.caffe.text import Message, parsed
from graphdsl.interop.caffe.wire import read_blobs
from graphdsl.interop.net import Net
from graphdsl.interop.refusal import read_text
from graphdsl.ir import Array
from graphdsl.report import Source

FAMILIES = (convolutions, elementwise, norms, pools, shapes)
"""Files whose translations enter themselves into the table."""

GENERIC = ("deploy", "train_val", "train_test", "train", "test")
"""Names of files that say nothing of the net; its folder does."""

MOST_LINES, LONGEST_LINE = 20, 200
"""Of what a file says at its head."""


def read(path: Path, weights: Path | None = None, sizes: Mapping[str, str] | None = None) -> Net:
    """A net of Caffe as a Net; without weights, its graph and shapes.

    path     a prototxt file: a net to be used or to be trained, of V1 or V2, or a solver, which names a net
    weights  a caffemodel file, also one in HDF5
    sizes    of inputs by their names, as a spec writes them, features last: `{"data": "28x28x1"}`. A data layer often
             does not tell them

    E0901  a layer that has no words here, by its name
    E0902  a file that is malformed, at its place
    E0903  weights that do not fit
    """
    message = _message(path)
    more: list[str] = []
    if is_solver(message):
        more = training(message)
        inside = net_inside(message)
        if inside is None:
            path = net_file(message, path)
        message = inside or _message(path)
    arrays = _arrays(weights) if weights else None
    shapes = {name: shape_set(name, size) for name, size in (sizes or {}).items()}
    return Reading(message, steps_of(message), arrays, shapes).read(_title(message, path), more)


def _title(net: Message, path: Path) -> str:
    """What a net is called and where it comes from, and what its file says at its head: whom to cite, say."""
    said = path.resolve().parent.name if path.stem in GENERIC else path.stem.removeprefix("deploy_")
    head = takewhile(lambda line: not line or line.startswith("#"), map(str.strip, net.span.source.text.splitlines()))
    lines = ["".join(c for c in line.lstrip("# ")[:LONGEST_LINE] if c.isprintable()) for line in head]
    kept = [line for line in lines if line][:MOST_LINES]
    return "\n".join([f"{net.text('name') or said}, from Caffe ({path.name})", *kept])


def _arrays(path: Path) -> dict[str, list[Array]]:
    return read_hdf5(path) if is_hdf5(path) else read_blobs(path)


def _message(path: Path) -> Message:
    return parsed(Source(str(path), read_text(path)))
