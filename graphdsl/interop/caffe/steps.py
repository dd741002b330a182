"""The layers of a prototxt file in one form, whichever generation of Caffe wrote them, and which of them are in use.

V1  layers { name: "c" type: CONVOLUTION param: "w" blobs_lr: 1 }         2013 to 2014
V2  layer { name: "c" type: "Convolution" param { name: "w" lr_mult: 1 } }   since then
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from graphdsl.interop.caffe.text import Message
from graphdsl.report import Failed, Span, dataclass, did_you_mean, fail

MOST = 20_000
DATA = ("Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "DummyData", "Input")
"""Layers that bring tensors in from elsewhere."""

V1_TYPES = {
    "ABSVAL": "AbsVal",
    "BNLL": "BNLL",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "IM2COL": "Im2col",
    "LRN": "LRN",
    "MVN": "MVN",
    "RELU": "ReLU",
    "PRELU": "PReLU",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "TANH": "TanH",
    "ARGMAX": "ArgMax",
}
"""V1 names whose V2 names are not the words of the former, each with a capital."""


@dataclass(frozen=True)
class Step:
    """A layer of Caffe.

    kind         its type, as V2 calls it
    body         all that is written in it
    shared       the names of its weights, "" where one has none: equal names are the same weights
    rates        factors of the learning rate, for each of its weights that has one
    loss_weight  what its result counts in the loss; None where nothing is said
    only         the phase it is in, "" for both
    """

    name: str
    kind: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    body: Message
    shared: tuple[str, ...]
    rates: tuple[float, ...]
    loss_weight: float | None
    only: str = ""

    @property
    def span(self) -> Span:
        return self.body.span

    @property
    def in_place(self) -> bool:
        return any(top in self.bottoms for top in self.tops)

    def refused(self, why: str, help: str = "") -> Failed:
        """E0901 at this layer's place."""
        return fail("E0901", f"`{self.name}` ({self.kind}) cannot be expressed: {why}", self.span, help=help)


NET = frozenset(
    (
        *("name", "input", "input_shape", "input_dim", "layer", "layers"),
        *("force_backward", "state", "debug_info"),
    )
)
LAYER = frozenset(
    (
        *("name", "type", "bottom", "top", "phase", "include", "exclude", "layer"),
        *("param", "blobs", "blobs_lr", "weight_decay", "blob_share_mode", "loss_weight", "propagate_down"),
    )
)
"""What may stand in a net and in a layer; a layer also has settings of its kind, `…_param`."""


def demand_fields(message: Message, known: frozenset[str], what: str) -> None:
    """E0902 for a field that a net or a layer cannot have, which is a slip most of the time."""
    odd = next((name for name in message.fields if name not in known and not name.endswith("_param")), None)
    if odd is not None:
        help = did_you_mean(odd, known)
        raise fail("E0902", f"{what} has no field `{odd}`", message.fields[odd][0].span, help=help or "")


def steps_of(net: Message) -> list[Step]:
    """The layers that are in use when a net is tested, and behind them those that only training has, in file order.

    Of data layers that feed the same tensors in both phases the one for tests is taken.

    E0901  a layer from before V1, or one that only training has and that changes a tensor in place
    E0902  no layers, or more than 20,000; a field that there is not
    """
    demand_fields(net, NET, "a net")
    messages = [(m, True) for m in net.messages("layer")] + [(m, False) for m in net.messages("layers")]
    if not messages and "input" not in net:
        raise fail("E0902", "this is no net: no `layer { … }` stands here", net.span)
    if len(messages) > MOST:
        raise fail("E0902", f"the net has {len(messages):,} layers; at most {MOST:,} are read", net.span)
    messages.sort(key=lambda pair: pair[0].span.start)
    every = [_step(m) if v2 else _v1_step(m) for m, v2 in messages]
    staged = any("deploy" in rule.texts("stage") for step in every for rule in step.body.messages("include"))
    tested = {id(s) for s in every if _in_use(s, "TEST", {"deploy"} if staged else set())}
    trained = {id(s) for s in every if _in_use(s, "TRAIN", set())}
    made = {top for s in every if id(s) in tested for top in s.tops if top not in s.bottoms}
    more = trained - tested
    extra = {id(s) for s in every if id(s) in more and not made & (set(s.tops) - set(s.bottoms))}
    _demand_own_tensors(s for s in every if id(s) in extra)
    both, used = tested & trained, tested | extra
    return [
        replace(s, only="" if s.kind in DATA or id(s) in both else "TEST" if id(s) in tested else "TRAIN")
        for s in every
        if id(s) in used
    ]


def _demand_own_tensors(extra: Iterable[Step]) -> None:
    for step in extra:
        if step.in_place and step.kind != "Dropout":
            raise step.refused(
                "it changes a tensor in training only",
                "leave it out of the prototxt, or take the deploy version of the net",
            )


def _step(body: Message) -> Step:
    params = body.messages("param")
    names = tuple(p.text("name") for p in params)
    rates = tuple(p.number("lr_mult", 1) for p in params)
    return _common(body, body.text("type"), names, rates)


def _v1_step(body: Message) -> Step:
    if body.messages("layer"):
        name = body.message("layer").text("name")
        raise fail(
            "E0901",
            f"`{name}` cannot be expressed: it is written as before 2014, a layer inside a layer",
            body.span,
            help="Caffe's tool upgrade_net_proto_text brings the file up to date",
        )
    kind = body.text("type")
    known = V1_TYPES.get(kind) or "".join(word.capitalize() for word in kind.split("_"))
    return _common(body, known, tuple(body.texts("param")), tuple(body.numbers("blobs_lr")))


def _common(body: Message, kind: str, names: tuple[str, ...], rates: tuple[float, ...]) -> Step:
    bottoms, tops = tuple(body.texts("bottom")), tuple(body.texts("top"))
    demand_fields(body, LAYER, "a layer")
    name = body.text("name") or (tops[0] if tops else kind)
    if not kind:
        raise fail("E0902", f"layer `{name}` has no type", body.span)
    weights = body.numbers("loss_weight")
    return Step(name, kind, bottoms, tops, body, names, rates, weights[0] if weights else None)


def _in_use(step: Step, phase: str, stages: set[str]) -> bool:
    """Caffe's rule: with `include` one must hold, with `exclude` none may."""
    included = step.body.messages("include")
    if included:
        return any(_holds(rule, phase, stages) for rule in included)
    return not any(_holds(rule, phase, stages) for rule in step.body.messages("exclude"))


def _holds(rule: Message, phase: str, stages: set[str]) -> bool:
    return (
        rule.text("phase", phase) == phase
        and rule.count("min_level", 0) <= 0 <= rule.count("max_level", 0)
        and set(rule.texts("stage")) <= stages
        and not set(rule.texts("not_stage")) & stages
    )
