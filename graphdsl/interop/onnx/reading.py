"""A graph becomes a Net: first as a batch of samples, and where that cannot be, as one sample with every axis written.

read as a batch ── an operator joins samples ──> read as one sample
     │
     ├── a convolution wants an input's channels last: begin anew with them last
     ├── an embedding reads an input: begin anew with class numbers
     └── sizes known only at run time have stand-ins; read with others, the result must be the same
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from math import prod
from pathlib import Path

import numpy as np

from graphdsl.interop.names import Namer
from graphdsl.interop.net import Layer, Net, Port
from graphdsl.interop.onnx.flow import NONE, Flow, Value
from graphdsl.interop.onnx.fold import FOLDED, folded
from graphdsl.interop.onnx.model import Model, Source, Step, load
from graphdsl.interop.onnx.patterns import needed, simplified
from graphdsl.interop.onnx.readers import READERS
from graphdsl.interop.onnx.sheet import Mixed, Reading, Sheet, Turned
from graphdsl.interop.refusal import cannot_say
from graphdsl.ir import Array
from graphdsl.report import Failed, dataclass, fail

PRIMES = (2003, 1009, 1013, 1019, 1021, 1031, 1033, 1039), (2011, 1049, 1051, 1061, 1063, 1069, 1087, 1091)
"""Stand-ins for the batch and other sizes known only at run time; two sets, to see what depends on them."""
MOST_FREE = len(PRIMES[0]) - 1
BATCH = "the batch"
LARGEST = (1 << 31) * PRIMES[0][0]
"""Numbers of an input, with a stand-in for the batch: the language has tensors of at most 2^31 for each sample."""


@dataclass(frozen=True)
class Feed:
    """How an input or output of ours holds one of ONNX's: the Flow says with which axes.

    name, ours  what ONNX calls it, and what a spec does
    """

    name: str
    ours: str
    flow: Flow


@dataclass(frozen=True)
class Imported:
    """A Net, and how its inputs and outputs hold those of the file."""

    net: Net
    inputs: tuple[Feed, ...]
    outputs: tuple[Feed, ...]
    batched: bool

    def to_ours(self, name: str, array: Array) -> Array:
        """ONNX's array of an input as ours, with a batch axis in front."""
        feed = next(f for f in self.inputs if f.name == name)
        order = feed.flow.order
        made = array.transpose((feed.flow.batch, *order)) if self.batched else array.transpose(order)[None]
        return np.ascontiguousarray(made, np.int32 if feed.flow.classes else np.float32)

    def to_theirs(self, name: str, array: Array) -> Array:
        """Our array of an output as ONNX's."""
        flow = next(f for f in self.outputs if f.name == name).flow
        have = (flow.batch, *flow.order) if self.batched else flow.order
        missing = [a for a in range(flow.rank) if a not in have]
        whole = (array if self.batched else array[0]).reshape(
            (*(array.shape if self.batched else array.shape[1:]), *(1,) * len(missing))
        )
        return np.asarray(whole.transpose(np.argsort((*have, *missing)))).astype(flow.dtype)


def read(path: Path, weights: Path | None = None) -> Net:
    """The network of an ONNX file.

    weights  not used: an ONNX file names its own, and they lie beside it

    Raises Failed E0901 naming the node that cannot be expressed, E0902 for a file that makes no sense, E0904 where the
    package onnx is not installed.
    """
    return imported(load(path)).net


def imported(model: Model) -> Imported:
    """The model in our words. Raises E0901 where it cannot be said, E0902 where it makes no sense."""
    model = _simplified(model)
    if not _looks_batched(model):
        return _checked(model, batched=False)
    alone = tuple(replace(s, shape=(1, *s.shape[1:])) if isinstance(s.shape[0], str) else s for s in model.inputs)
    problems: list[Mixed | Failed] = []
    for inputs, batched in ((model.inputs, True), (alone, True), (model.inputs, False)):
        try:
            return _checked(replace(model, inputs=inputs), batched)
        except (Mixed, Failed) as problem:
            problems.append(problem)
    raise _told(problems) from None


def _told(problems: list[Mixed | Failed]) -> Failed:
    """What to say when a graph can be read neither as a batch, nor as a batch of one, nor as one sample."""
    first, *_, last = problems
    assert isinstance(last, Failed)
    found = last.diagnostics[0]
    if isinstance(first, Failed):
        return first if first.diagnostics[0].code == "E0901" else last
    if first.step is None or found.code != "E0901":
        return last
    why = "it joins samples of a batch, and the whole cannot be read as one sample either"
    return cannot_say(first.step.name, first.step.op, why, found.message)


def _looks_batched(model: Model) -> bool:
    """Whether axis 0 of all inputs may be one batch."""
    if any(not s.shape for s in model.inputs) or not model.inputs:
        return False
    return len({s.shape[0] for s in model.inputs if isinstance(s.shape[0], int)}) <= 1


def _checked(model: Model, batched: bool) -> Imported:
    """Read twice where sizes have stand-ins: what differs depends on them."""
    names = _free(model, batched)
    if len(names) > MOST_FREE + 1:
        raise fail("E0901", f"the inputs have {len(names)} sizes that are known only at run time", help=_FIX)
    free = [n for n in names if n != BATCH]
    first, second = ({n: p for n, p in zip(names, _primes(names, k), strict=True)} for k in (0, 1))
    try:
        made = _turned(model, batched, first)
    except Failed as failed:
        raise _of_free_sizes(failed, free) if free else failed from None
    if not names:
        return made
    again = _turned(model, batched, second)
    for one, other in zip(made.net.layers, again.net.layers, strict=False):
        if not _same(one, other):
            raise fail(
                "E0901", f"`{one.name}`: how {one.word} is built depends on a size known only at run time", help=_FIX
            )
    return made


def _of_free_sizes(failed: Failed, free: list[str]) -> Failed:
    """What makes no sense with stand-ins may with real sizes: then it depends on these."""
    found = failed.diagnostics[0]
    if found.code != "E0902" or " makes no sense" not in found.message:
        return failed
    where = found.message.partition(" makes no sense")[0]
    return fail(
        "E0901",
        f"{where} takes sizes for granted that the inputs leave open: {', '.join(n.lstrip('.') for n in free)}",
        help=_FIX,
    )


_FIX = "give the inputs fixed sizes: onnx.tools.update_model_dims, or export the model with fixed sizes"


def _primes(names: list[str], row: int) -> list[int]:
    others = iter(PRIMES[row][1:])
    return [PRIMES[row][0] if n == BATCH else next(others) for n in names]


def _same(one: Layer, other: Layer) -> bool:
    if (one.word, one.inputs, repr(one.settings)) != (other.word, other.inputs, repr(other.settings)):
        return False
    return all(k in other.weights and np.array_equal(a, other.weights[k]) for k, a in one.weights.items())


def _free(model: Model, batched: bool) -> list[str]:
    """Names of the sizes that are known only at run time. Read as one sample, the first axis of an input is 1."""
    places = [(s, axis, size) for s in model.inputs for axis, size in enumerate(s.shape) if not isinstance(size, int)]
    inner = dict.fromkeys(size or f".{source.name}.{axis}" for source, axis, size in places if axis)
    return [*([BATCH] if batched and places else []), *inner]


def _turned(model: Model, batched: bool, sizes: dict[str, int]) -> Imported:
    """Read until every input stands as its readers want it."""
    reading = Reading(batched, sizes, {}, {}, {})
    port = ""
    for _ in range(3 * len(model.inputs) + 1):
        try:
            return _read(model, reading)
        except Turned as wish:
            before, port, reading = reading, wish.port, _granted(reading, wish)
        if reading == before:
            break
    raise fail("E0901", f"`{port}` is read as numbers in one place and as class numbers in another")


def _granted(reading: Reading, wish: Turned) -> Reading:
    """The reading that gives an input as it is wanted."""
    orders = {**reading.orders, **({wish.port: wish.order} if wish.order else {})}
    classes = {**reading.classes, **({wish.port: wish.classes} if wish.classes else {})}
    batches = {**reading.batches, **({wish.port: wish.batch} if wish.batch else {})}
    return replace(reading, orders=orders, classes=classes, batches=batches)


def _read(model: Model, reading: Reading) -> Imported:
    sheet = Sheet(model, reading)
    sheet.values.update(model.constants)
    namer = Namer()
    feeds = [_enter(sheet, s, namer.name(s.name)) for s in model.inputs]
    for step in needed(model):
        _take(sheet, step)
    outputs = tuple(_leave(sheet, name, namer.name(name)) for name in model.outputs)
    layers = _alive(sheet.layers, {f.flow.name for f in outputs})
    read = {n for layer in layers for n in layer.inputs} | {f.flow.name for f in outputs}
    used = tuple(f for f in feeds if f.flow.name in read)
    ports = tuple(Port(f.ours, _type_text(sheet, f)) for f in used)
    net = Net(_title(model, reading, used), ports, tuple(layers), tuple((f.ours, f.flow.name) for f in outputs))
    return Imported(net, used, outputs, reading.batched)


def _enter(sheet: Sheet, source: Source, ours: str) -> Feed:
    reading = sheet.reading
    batch = reading.batches.get(source.name, 0) if reading.batched else NONE
    shape = tuple(_size(reading, source, axis, axis == batch) for axis in range(len(source.shape)))
    if any(s < 1 for s in shape):
        raise fail("E0901", f"input `{source.name}` of shape {source.shape} holds no numbers")
    if prod(shape) > LARGEST:
        raise fail("E0901", f"input `{source.name}` of shape {source.shape} has more than {LARGEST:,} numbers")
    order = reading.orders.get(source.name, tuple(a for a in range(len(shape)) if a != batch))
    flow = Flow(ours, shape, order, batch, source.dtype, reading.classes.get(source.name, 0), port=source.name)
    sheet.values[source.name] = flow
    sheet.claim(ours)
    if reading.batched:
        sheet.samples = shape[batch]
    return Feed(source.name, ours, flow)


def _size(reading: Reading, source: Source, axis: int, batch: bool) -> int:
    """A size, or its stand-in; what stands before all others in one sample is 1."""
    size = source.shape[axis]
    if isinstance(size, int):
        return size
    if batch:
        return reading.sizes[BATCH]
    return reading.sizes.get(size or f".{source.name}.{axis}", 1)


def _simplified(model: Model) -> Model:
    try:
        return simplified(model)
    except Failed:
        raise
    except Exception as error:
        raise fail("E0902", f"`{model.name}` makes no sense: {error or type(error).__name__}") from error


def _take(sheet: Sheet, step: Step) -> None:
    """One step: worked out now if nothing in it depends on the input, written down otherwise."""
    sheet.step = step
    try:
        inputs = [sheet.raw(i) for i in range(len(step.inputs))]
        known = [a for a in inputs if a is None or isinstance(a, np.ndarray)]
        if len(known) == len(inputs) and step.op in FOLDED:
            made: Value | tuple[Value, ...] = folded(step, known, sheet.model.opset)
        elif step.op in READERS:
            made = READERS[step.op](sheet, step)
        else:
            raise sheet.refused(f"the language has no word for the operator {step.op}")
    except Mixed as mixed:
        mixed.step = step
        if sheet.reading.batched:
            raise
        raise sheet.refused("it joins the axis of samples with others in a way that a spec has no words for") from None
    except (Failed, Turned):
        raise
    except Exception as error:
        # An attribute of another type, a missing one, shapes that do not meet: readers rely on what ONNX demands, and
        # what goes wrong when a file does not keep to that is the fault of the file.
        raise fail("E0902", f"{step.label} makes no sense: {error or type(error).__name__}") from error
    results = made if isinstance(made, tuple) else (made,)
    sheet.values.update({name: value for name, value in zip(step.outputs, results, strict=False) if name})


def _leave(sheet: Sheet, name: str, ours: str) -> Feed:
    found = sheet.values.get(name)
    if found is None:
        raise fail(
            "E0901" if any(name in s.outputs for s in sheet.model.steps) else "E0902",
            f"nothing makes the output `{name}`",
        )
    sheet.step = Step(name, "output", (), (name,), {})
    if not isinstance(found, Flow):
        raise fail("E0901", f"output `{name}` is the same for every input")
    if found.groups:
        raise Mixed
    flow = sheet.plain(found)
    return Feed(name, ours, flow)


def _alive(layers: list[Layer], wanted: set[str]) -> list[Layer]:
    """The layers that reach an output."""
    kept: list[Layer] = []
    for layer in reversed(layers):
        if wanted & {*layer.outputs}:
            kept.append(layer)
            wanted |= {*layer.inputs}
    return kept[::-1]


def _type_text(sheet: Sheet, feed: Feed) -> str:
    names = _free_names(sheet.reading)
    sizes = ", ".join(names.get(s, str(s)) for s in feed.flow.written)
    kind = f"int({feed.flow.classes})" if feed.flow.classes else "float"
    return f"{kind}[{sizes}]" if sizes else kind


def _free_names(reading: Reading) -> dict[int, str]:
    """What a spec calls sizes that are known only at run time: names with a capital."""
    return {size: name for (_, size), name in zip(reading.sizes.items(), _letters(reading), strict=False)}


def _letters(reading: Reading) -> Iterator[str]:
    taken: set[str] = set()
    spare = (f"T{n}" if n else "T" for n in count())
    for name in reading.sizes:
        legal = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_")
        legal = legal[:1].upper() + legal[1:]
        if name == BATCH:
            legal = "N"
        elif name.startswith(".") or not legal[:1].isalpha() or legal in taken:
            legal = next(s for s in spare if s not in taken)
        taken.add(legal)
        yield legal


def _title(model: Model, reading: Reading, feeds: tuple[Feed, ...]) -> str:
    """What the head of the spec says."""
    made = f", written by {model.producer}" if model.producer else ""
    text = f"From {model.name}{made}."
    if any(f.flow.order != tuple(sorted(f.flow.order)) for f in feeds):
        text += " Channels are last here; in the ONNX file they come first."
    return text if reading.batched else text + "\nThe batch axis of the ONNX file is written too: feed one sample."
