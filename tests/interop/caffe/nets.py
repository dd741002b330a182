"""Small nets of Caffe, imported and run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import graphdsl
from graphdsl.interop import Net, written
from graphdsl.interop.caffe import read
from graphdsl.runtime import save_weights
from tests.support.caffemodel import write

Array = np.ndarray[Any, Any]


def net(folder: Path, prototxt: str, blobs: Mapping[str, Sequence[Array]] | None = None, **how: Any) -> Net:
    """A prototxt, with weights if any, as the importer sees it."""
    file = folder / "net.prototxt"
    file.write_text(prototxt)
    return read(file, write(folder / "net.caffemodel", blobs, **how) if blobs else None)


def text(folder: Path, prototxt: str) -> str:
    """The spec of a prototxt without its head, its lines joined where the layout broke them."""
    lines = [line for line in written(net(folder, prototxt)).text.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\n  ->", " ->").strip()


def run(folder: Path, made: Net, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What an imported net makes of inputs in Caffe's layout, in Caffe's layout: channels first."""
    spec = written(made)
    (folder / "net.dag").write_text(spec.text)
    model = graphdsl.compile(folder / "net.dag")
    if spec.weights:
        model.load(save_weights(spec.weights, folder / "net.safetensors", {}))
    found = model.predict({name: np.ascontiguousarray(_last(x)) for name, x in inputs.items()})
    return {name: np.moveaxis(y, -1, 1) if y.ndim > 2 else y for name, y in found.items()}


def _last(x: Array) -> Array:
    return np.moveaxis(x, 1, -1) if x.ndim > 2 and x.dtype.kind == "f" else x


def layer(kind: str, name: str, bottoms: str, settings: str = "", top: str = "") -> str:
    """One layer in V2: bottoms and tops as words, apart by blanks."""
    flows = "".join(f' bottom: "{b}"' for b in bottoms.split())
    tops = "".join(f' top: "{t}"' for t in (top or name).split())
    return f'layer {{ name: "{name}" type: "{kind}"{flows}{tops} {settings} }}\n'


def data(*shape: int, name: str = "data") -> str:
    dims = " ".join(f"dim: {n}" for n in (1, *shape))
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
