"""The formats that `graphdsl import` reads, by the endings of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from graphdsl.interop.caffe.check import check as check_caffe
from graphdsl.interop.caffe.files import read as read_caffe
from graphdsl.interop.darknet import check as check_darknet
from graphdsl.interop.darknet import read as read_darknet
from graphdsl.interop.keras import check as check_keras
from graphdsl.interop.keras import read as read_keras
from graphdsl.interop.nam import read as read_nam
from graphdsl.interop.net import Net
from graphdsl.interop.onnx.check import check as check_onnx
from graphdsl.interop.onnx.reading import read as read_onnx
from graphdsl.ir import Array
from graphdsl.report import dataclass, did_you_mean, fail

BARE = (".safetensors", ".npz")
"""Weights that came without a graph."""

Outputs = Callable[[Mapping[str, Array]], Mapping[str, Array]]
"""Arrays with a batch axis by the names of the inputs → by the names of the outputs."""


@dataclass(frozen=True)
class Format:
    """A way in.

    name     of the tool whose files they are
    read     the file, and the file of weights where that is another one → the network
    check    the same files and our network → the largest difference between our outputs and those of the source's own
             runtime on random inputs, divided by the range of its outputs; None where that runtime is not installed
    runtime  what that runtime is called, where not like the tool
    apart    whether weights stand in a file of their own, or may
    sized    whether read also takes the sizes of inputs, `{"data": "28x28x1"}`, which its files may leave open
    """

    name: str
    read: Callable[..., Net]
    check: Callable[[Path, Path | None, Outputs], float | None] = lambda path, weights, outputs: None
    runtime: str = ""
    apart: bool = True
    sized: bool = False


FORMATS: dict[str, Format] = {
    ".onnx": Format("ONNX", read_onnx, check_onnx, apart=False),
    ".prototxt": Format("Caffe", read_caffe, check_caffe, "OpenCV", sized=True),
    ".cfg": Format("Darknet", read_darknet, check_darknet),
    ".keras": Format("Keras", read_keras, check_keras),
    ".h5": Format("Keras", read_keras, check_keras),
    ".hdf5": Format("Keras", read_keras, check_keras),
    ".json": Format("Keras", read_keras, check_keras),
    ".nam": Format("Neural Amp Modeler", read_nam, apart=False),
}


def format_of(path: Path) -> Format:
    """The format of a file. Raises Failed E0905 for an ending that none has."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        ends = f"end in `{path.suffix}`" if path.suffix else "have no ending"
        raise fail("E0905", f"`{path}`: no network is read from files that {ends}", help=_way_in(path.suffix.lower()))
    return found


def _way_in(ending: str) -> str:
    """What to do with a file that has this ending."""
    if ending in (".pt", ".pth"):
        return (
            "it may hold code, so it is never read; in PyTorch: torch.onnx.export(model, x, 'model.onnx'), or "
            "safetensors.torch.save_file(model.state_dict(), 'model.safetensors') and here --spec SPEC.dag"
        )
    if ending in BARE:
        return "these are weights without a network: name the one that they are for, --spec SPEC.dag"
    if ending in (".weights", ".caffemodel"):
        return "these are weights: import the .cfg or .prototxt that they belong to, and give them by --weights"
    known = ", ".join(f"`{ending}` ({form.name})" for ending, form in FORMATS.items())
    return did_you_mean(ending, FORMATS) or f"there are {known or 'none'}"
