"""A net of Caffe, layer by layer, into a Net.

Names of tensors are not unique in Caffe: a layer may write into what it reads, and the next reads the new numbers under
the old name. So every tensor is its name and how often that was written before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from graphdsl.interop.caffe.call import KINDS, Call, demand_known
from graphdsl.interop.caffe.norms import takes_scale
from graphdsl.interop.caffe.plan import Blob, Plan, features_last
from graphdsl.interop.caffe.sources import Shape, declared, origins, preprocess, rates, shapes_of
from graphdsl.interop.caffe.steps import DATA, Step
from graphdsl.interop.caffe.text import Message
from graphdsl.interop.caffe.training import LOSSES, Judged, Lesson, lesson, section
from graphdsl.interop.names import Namer, legal
from graphdsl.interop.net import Layer, Net, Port
from graphdsl.ir import Array
from graphdsl.report import did_you_mean, fail, nearest

Version = tuple[str, int]
"""A tensor of Caffe: its name, and how often that was written before."""

UNTRANSLATED = {
    "Python": "it runs a program",
    "Filter": "it leaves samples out of a batch",
    "BatchReindex": "it puts samples of a batch in another order",
    "Im2col": "it unfolds windows, which is a step inside of a convolution",
    "HDF5Output": "it writes a file",
    "ArgMax": "it gives places, and a spec's layers give numbers; without it the spec gives the scores",
    "ROIPooling": "it cuts regions out of a batch",
    "PriorBox": "it is a part of SSD, whose boxes our `detect` and `nms` do in another way",
    "DetectionOutput": "it is a part of SSD, whose boxes our `detect` and `nms` do in another way",
    "LSTM": "Caffe's goes over all samples at once, with marks where sequences begin",
    "RNN": "Caffe's goes over all samples at once, with marks where sequences begin",
}
"""Why these have no words; others are simply not known."""


class Reading:
    """One net while it is read.

    arrays  the weights of layers by their names, None where there is no file of weights
    shapes  of inputs, where somebody says more than the file
    """

    def __init__(
        self,
        net: Message,
        steps: Sequence[Step],
        arrays: Mapping[str, list[Array]] | None,
        shapes: Mapping[str, Shape],
    ) -> None:
        self.net, self.steps, self.arrays, self.shapes = net, steps, arrays, shapes
        self.plan = Plan()
        self.ports: list[Port] = []
        self.blobs: dict[Version, Blob] = {}
        self.labels: dict[Version, str] = {}
        self.judged: list[Judged] = []
        self.free: list[tuple[str, Version]] = []
        self.done: set[int] = set()
        self.owners: dict[str, str] = {}
        self.lines: list[str] = []
        self.remarks: list[str] = []
        self._count_versions()

    def read(self, title: str, more: Sequence[str] = ()) -> Net:
        """The whole of it. more: lines for the train section."""
        for name, shape in declared(self.net):
            self._open((name, 0), name, shape)
        for i, step in enumerate(self.steps):
            if i not in self.done:
                self._take(i, step)
        self._demand_inputs()
        found = lesson(self.judged)
        self.namer = Namer(legal(p.name) for p in self.ports)
        outputs = self._outputs(found)
        targets = self._targets()
        heads = self._heads(found, outputs)
        names = {tensor: name for name, tensor in (*outputs, *heads)} | {p.name: legal(p.name) for p in self.ports}
        text = section(found, targets, names, more if found.losses else ())
        if found.losses:
            self.remarks += [*origins(self.net), *rates(self.steps)]
        text = "\n".join(["", *self.lines, *(f"# {remark}" for remark in self.remarks), "", text])
        wanted = {tensor for _, tensor in (*outputs, *heads)}
        if not outputs:
            raise fail("E0901", "this net computes nothing: it has no layer that a tensor flows out of", self.net.span)
        return Net(title, tuple(self.ports), _reaching(self.plan.layers, wanted), tuple(outputs), tuple(heads), text)

    # --- which layer reads which tensor ---

    def _count_versions(self) -> None:
        """Fills reads and writes: for each step the tensors that go in and come out."""
        written: Counter[str] = Counter(self.net.texts("input"))
        self.reads: list[tuple[Version, ...]] = []
        self.writes: list[tuple[Version, ...]] = []
        self.readers: dict[Version, list[int]] = defaultdict(list)
        for i, step in enumerate(self.steps):
            bottoms = tuple((name, written[name] - 1) for name in step.bottoms)
            for version in bottoms:
                self.readers[version].append(i)
            for name in step.tops:
                written[name] += 1
            self.reads.append(bottoms)
            self.writes.append(tuple((name, written[name] - 1) for name in step.tops))

    # --- one layer ---

    def _take(self, i: int, step: Step) -> None:
        if step.kind in DATA:
            self._take_data(i, step)
        elif step.kind in LOSSES or step.kind == "Accuracy":
            reads = tuple(self.labels.get(v) or self._blob(v, step) for v in self.reads[i])
            self.judged.append(Judged(self._call(i, step), reads))
        elif step.kind != "Silence":
            self._translate(i, step)

    def _take_data(self, i: int, step: Step) -> None:
        """Inputs, and labels: what only losses and metrics read, as the truth."""
        for version in self.writes[i]:
            if self._is_label(version):
                self.labels[version] = version[0]
        opened = [v for v in self.writes[i] if v not in self.labels and self.readers[v]]
        if not opened:
            return
        readers = {v[0]: [self.steps[r] for r in self.readers[v]] for v in self.writes[i]}
        told = all(name in self.shapes for name, _ in opened)
        shapes = [()] if told else shapes_of(step, readers, self.arrays)
        shapes = shapes * len(self.writes[i]) if len(shapes) == 1 else shapes
        for version, shape in zip(self.writes[i], shapes, strict=False):
            if version in opened:
                self._open(version, version[0], shape)
        if opened[0] == self.writes[i][0]:
            blob = self.blobs[opened[0]]
            lines, remarks = preprocess(step, legal(blob.tensor), blob.shape[0] if len(blob.shape) == 3 else 0)
            self.lines += lines
            self.remarks += remarks

    def _demand_inputs(self) -> None:
        """E0902 for a size of something that is no input."""
        inputs = [p.name for p in self.ports]
        odd = next((name for name in self.shapes if name not in inputs), None)
        if odd is not None:
            help = did_you_mean(odd, inputs) or f"its inputs are {', '.join(f'`{name}`' for name in inputs)}"
            raise fail("E0902", f"the net has no input `{odd}`", help=help)

    def _is_label(self, version: Version) -> bool:
        judges = (*LOSSES, "Accuracy", "Silence")
        reads = [(self.steps[r], self.reads[r]) for r in self.readers[version]]
        return bool(reads) and all(s.kind in judges and (s.kind == "Silence" or v.index(version)) for s, v in reads)

    def _open(self, version: Version, name: str, shape: Shape) -> None:
        """An input; whole numbers where an Embed looks them up."""
        shape, name = self.shapes.get(name, shape), self.plan.unique(name)
        axes = features_last(len(shape))
        words = [self.steps[r] for r in self.readers[version] if self.steps[r].kind == "Embed"]
        kind = f"int({words[0].body.message('embed_param').count('input_dim', 1)})" if words else "float"
        sizes = ", ".join(str(shape[a]) for a in axes)
        self.ports.append(Port(name, f"{kind}[{sizes}]" if sizes else kind))
        self.blobs[version] = Blob(name, shape, axes)

    def _blob(self, version: Version, step: Step) -> Blob:
        found = self.blobs.get(version)
        if found is not None:
            return found
        if version in self.labels:
            raise step.refused(f"it computes with `{version[0]}`, which is a label")
        help = nearest(version[0], [name for name, _ in self.blobs])
        raise fail(
            "E0902",
            f"`{step.name}` ({step.kind}) reads `{version[0]}`, which no layer before it makes",
            step.span,
            help=f"did you mean `{help}`?" if help else "",
        )

    def _translate(self, i: int, step: Step) -> None:
        kind = KINDS.get(step.kind)
        if kind is None:
            known = nearest(step.kind, KINDS)
            help = f"did you mean `{known}`?" if known and step.kind not in UNTRANSLATED else ""
            raise step.refused(UNTRANSLATED.get(step.kind, "it is no layer that we know"), help)
        if not step.tops:
            raise step.refused("it has no `top`")
        call = replace(self._call(i, step), shares=self._owner(step))
        made = kind.translate(self._with_scale(i, call))
        if len(made) < len(step.tops):
            raise step.refused(f"it has {len(step.tops)} results")
        for (name, version), blob in zip(self.writes[i], made, strict=False):
            self._give((name, version), blob, step)

    def _give(self, version: Version, blob: Blob, step: Step) -> None:
        self.blobs[version] = blob
        if not self.readers[version] and step.only != "TRAIN":
            self.free.append((version[0], version))

    def _call(self, i: int, step: Step) -> Call:
        inputs = tuple(self._blob(v, step) for v in self.reads[i] if v not in self.labels)
        kind = KINDS.get(step.kind)
        param = step.body.message(kind.param) if kind else step.body
        if kind:
            demand_known(step, kind, param)
        if kind and not inputs:
            raise step.refused("nothing flows into it")
        return Call(self.plan, step, inputs, param, self.arrays)

    def _with_scale(self, i: int, call: Call) -> Call:
        """A BatchNorm together with the Scale that alone reads what it makes."""
        if call.step.kind != "BatchNorm" or len(self.readers[self.writes[i][0]]) != 1:
            return call
        (j,) = self.readers[self.writes[i][0]]
        step = self.steps[j]
        if step.kind != "Scale" or len(step.bottoms) != 1 or step.only != call.step.only:
            return call
        scale = Call(self.plan, step, call.inputs, step.body.message("scale_param"), self.arrays)
        demand_known(step, KINDS["Scale"], scale.param)
        if not takes_scale(scale) or bool(self._owner(step)) != bool(call.shares):
            return call
        self.done.add(j)
        self.writes[i] = self.writes[j]
        return replace(call, after=(scale,))

    def _owner(self, step: Step) -> str:
        """The layer whose weights this one uses, by the names of weights."""
        named = [name for name in step.shared if name]
        owners = {self.owners.get(name, "") for name in named}
        for name in named:
            self.owners.setdefault(name, step.name)
        if len(owners) > 1 or (owners - {""} and len(named) != len(step.shared)):
            raise step.refused("it shares some of its weights and has others of its own")
        return next(iter(owners), "")

    # --- what comes out ---

    def _outputs(self, found: Lesson) -> list[tuple[str, str]]:
        """What no layer reads, and what the losses that count most judge. Names as the file has them."""
        later = {t.prediction.tensor for t in (*found.losses, *found.metrics)}
        judged = {t.tensor for j in self.judged for t in j.reads if isinstance(t, Blob)}
        tensors = [(name, self.plan.in_order(self.blobs[v]).tensor) for name, v in self.free]
        wanted = dict((t, n) for n, t in tensors if t not in judged | later)
        for term in found.leading or found.metrics:
            wanted.setdefault(term.prediction.tensor, term.prediction.tensor)
        for remark in (j for j in self.judged if not found.losses):
            wanted |= {r.tensor: r.tensor for r in remark.reads if isinstance(r, Blob) and not found.metrics}
        inputs = {p.name for p in self.ports}
        return [(self.namer.name(name), tensor) for tensor, name in wanted.items() if tensor not in inputs]

    def _heads(self, found: Lesson, outputs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Tensors that training alone speaks of."""
        known = {tensor for _, tensor in outputs} | {p.name for p in self.ports}
        spoken = dict.fromkeys(t for term in (*found.losses, *found.metrics) for t in term.tensors)
        return [(self.namer.name(t), t) for t in spoken if t not in known]

    def _targets(self) -> dict[str, str]:
        """Labels → names of targets."""
        return {name: self.namer.name(self.plan.unique(name)) for name in dict.fromkeys(self.labels.values())}


def _reaching(layers: Sequence[Layer], wanted: set[str]) -> tuple[Layer, ...]:
    """The layers that lead to these tensors."""
    needed, kept = set(wanted), list[Layer]()
    for layer in reversed(layers):
        if needed & set(layer.outputs):
            needed |= set(layer.inputs)
            kept.append(layer)
    return tuple(reversed(kept))
