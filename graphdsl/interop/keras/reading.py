"""A file of Keras as a Net."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from graphdsl.interop.keras.absorb import absorbed
from graphdsl.interop.keras.files import Found, opened
from graphdsl.interop.keras.options import MOST, is_whole
from graphdsl.interop.keras.scene import INNER, Dims, Flow, Scene
from graphdsl.interop.keras.structure import Model, Unit, model_of
from graphdsl.interop.keras.training import trained
from graphdsl.interop.keras.walk import Walk
from graphdsl.interop.names import Namer
from graphdsl.interop.net import Net, Port
from graphdsl.interop.refusal import cannot_say
from graphdsl.report import dataclass, fail

LETTERS = {1: ("T",), 2: ("T",), 3: ("H", "W"), 4: ("D", "H", "W")}
"""How free sizes are called, by the number of axes."""

RECURRENT = {"LSTM", "GRU", "SimpleRNN", "CuDNNLSTM", "CuDNNGRU", "Bidirectional"}


@dataclass(frozen=True)
class Imported:
    """A file as a Net, and what a comparison has to know of it.

    inputs, outputs  the tensors, whose order of axes is Keras' or ours, in Keras' order
    names            of the inputs and then of the outputs in the text of the spec
    """

    net: Net
    inputs: tuple[Flow, ...]
    outputs: tuple[Flow, ...]
    names: tuple[str, ...]


def read(path: Path, weights: Path | None = None) -> Net:
    """The network in a `.keras`, `.h5`, `.hdf5` or `.json` file.

    weights  a file of weights, where path holds a model alone

    Raises E0901 for a layer that has no words in our language, E0902 for a damaged file, E0903 for weights that do not
    belong to the model, E0904 where h5py is needed and not installed.
    """
    return imported(path, weights).net


def imported(path: Path, weights: Path | None = None) -> Imported:
    """What `read` reads, and more."""
    with opened(path, weights) as found:
        try:
            return _imported(path, found)
        except RecursionError:
            raise fail("E0902", f"`{path}` cannot be read: it is nested too deep") from None


def _imported(path: Path, found: Found) -> Imported:
    model = model_of(found.config)
    scene = Scene()
    first = channels_first(model)
    masks = any(_masks(unit) for unit in _all(model)) and any(unit.kind in RECURRENT for unit in _all(model))
    flows = [_input(scene, model, ref.layer, first, masks) for ref in model.inputs]
    made = Walk(scene, found.generation, found.weights).model(model, flows, ())
    for ref, flow in zip(model.outputs, made, strict=True):
        if flow.name == INNER:
            why = "it gives its state, and in the language that stays within the layer"
            raise cannot_say(ref.layer, "output", why)
    layers = absorbed(scene.layers, {flow.name for flow in made}, scene.turned)
    ports = tuple(Port(flow.name, _type(scene, flow, i)) for i, flow in enumerate(flows))
    namer = Namer()
    names = tuple(namer.name(n) for n in (*(p.name for p in ports), *(r.layer for r in model.outputs)))
    heads = names[len(ports) :]
    for head, flow in zip(heads, made, strict=True):
        if flow.order != tuple(range(flow.rank)):
            scene.note("its channels come first in Keras, and last here", head)
    sections = trained(scene, found.training, layers, list(zip(heads, made, strict=True)), namer)
    outputs = tuple((head, flow.name) for head, flow in zip(heads, made, strict=True))
    net = Net(_title(path, model, scene, found), ports, tuple(layers), outputs, sections=sections)
    return Imported(net, tuple(flows), made, names)


def _all(model: Model) -> Iterator[Unit]:
    for unit in model.units:
        yield unit
        for inner in (unit.inner, *(w.inner for w in unit.wrapped)):
            yield from _all(inner) if inner is not None else ()
        yield from unit.wrapped


def channels_first(model: Model) -> frozenset[int]:
    """Of how many axes the tensors are whose features stand first in this model. Nothing where it mixes both."""
    first: set[int] = set()
    last: set[int] = set()
    for unit in _all(model):
        axes = re.findall(r"([123])D", unit.kind)
        form = unit.options.raw("data_format")
        if axes and form in ("channels_first", "channels_last"):
            (first if form == "channels_first" else last).add(int(axes[0]) + 1)
    return frozenset(first - last)


def _masks(unit: Unit) -> bool:
    return unit.kind == "Masking" or bool(unit.options.raw("mask_zero"))


def _input(scene: Scene, model: Model, name: str, first: frozenset[int], masks: bool) -> Flow:
    unit = next(u for u in model.units if u.name == name)
    if unit.kind != "InputLayer":
        raise fail("E0902", f"{unit.where} is an input of the model, and no InputLayer")
    shape = _shape(unit)
    if masks and _is_masked(model, name):
        scene.note("padded steps are told by the length of a sequence here, not by a value", name)
        shape = (None, *shape[1:])
    order = (*range(1, len(shape)), 0) if len(shape) in first else tuple(range(len(shape)))
    if order != tuple(range(len(shape))):
        scene.note("its channels come first in Keras, and last here", name)
    flow = Flow(scene.unique(name), shape, order, port=name)
    scene.ports[name] = flow
    return flow


def _is_masked(model: Model, name: str) -> bool:
    """Whether a masking layer reads this input itself."""
    return any(r.layer == name for unit in model.units if _masks(unit) for node in unit.nodes for r in node.refs)


def _shape(unit: Unit) -> Dims:
    options = unit.options
    whole = options.raw("batch_shape") or options.raw("batch_input_shape")
    given = options.raw("input_shape") or options.raw("shape")
    if whole is None and given is not None:
        whole = [None, *given] if isinstance(given, list | tuple) else given
    if whole is None:
        raise fail(
            "E0902",
            f"{options.where}: the file does not say what size the input has",
            help="build the model before it is saved: Keras writes sizes that it knows",
        )
    if not isinstance(whole, list | tuple) or not whole:
        raise options.wrong("batch_shape", "a list of sizes that begins with that of the batch")
    sizes = whole[1:]
    if sizes and not is_whole([1 if n is None else n for n in sizes]):
        raise options.wrong("batch_shape", "a list of sizes")
    if any(n is not None and not 1 <= n <= MOST for n in sizes):
        raise options.wrong("batch_shape", f"a list of sizes from 1 to {MOST:,}")
    return tuple(sizes)


def _type(scene: Scene, flow: Flow, number: int) -> str:
    """`float[224, 224, 3]`, `int(1000)[T]`. Free sizes have letters of their own, unless inputs are joined."""
    free = iter(LETTERS.get(flow.rank, tuple(f"S{i}" for i in range(flow.rank))))
    behind = "" if scene.same_lengths or not number else str(number + 1)
    axes = [f"{next(free, 'S')}{behind}" if n is None else str(n) for n in flow.ours]
    words = scene.vocabulary.get(flow.port)
    if words is not None and flow.port in scene.numbers:
        raise fail(
            "E0901", f"`{flow.port}` (InputLayer) cannot be expressed: it is read as numbers and as class indices"
        )
    kind = f"int({words})" if words is not None else "float"
    return f"{kind}[{', '.join(axes)}]" if axes else kind


def _title(path: Path, model: Model, scene: Scene, found: Found) -> str:
    lines = [f"{model.name or path.stem}: imported from {path.name}, a model of Keras {found.generation}"]
    for what, layers in scene.notes.items():
        shown = ", ".join(layers[:4]) + (f" and {len(layers) - 4} more" if len(layers) > 4 else "")
        lines.append(f"{shown}: {what}" if shown else what)
    return "\n".join(lines)
