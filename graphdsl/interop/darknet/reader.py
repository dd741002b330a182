"""A cfg file, and its weights where there are any → a Net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from graphdsl.interop.darknet import convs, heads, joints, pools
from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section, read_cfg
from graphdsl.interop.darknet.keys import strange_keys
from graphdsl.interop.darknet.training import lesson
from graphdsl.interop.darknet.weights import Floats
from graphdsl.interop.net import Layer, Net, Port

MOST_PIXELS = 1 << 26
LONGEST_SIDE = 1 << 16
SCORE, OVERLAP = 0.3, 0.45
"""What a spec begins with; Darknet itself shows boxes from 0.25 on, of which many are doubtful."""

Reader = Callable[[Assembly, Section], Made]


def read(path: Path, weights: Path | None = None) -> Net:
    """The network of a cfg file, with its weights where a file is given.

    Raises Failed: E0901 for a section that cannot be said, E0902 for a file that is none, E0903 for weights that do
    not fit.
    """
    a = assembled(path, weights)
    trained = lesson(a.net, a)
    outputs = _outputs(a)
    heads = tuple((head, head) for head in a.heads)
    return Net(_title(path, a), (a.port,), tuple(a.layers), outputs, heads, _sections(a, trained))


def assembled(path: Path, weights: Path | None = None) -> Assembly:
    """The steps of all sections, and what each section gave. Raises as read does."""
    net, *sections = read_cfg(path)
    if not sections:
        raise net.refuse("no layer follows", code="E0902")
    strange = strange_keys((net, *sections))
    a = Assembly(net, sections, *_input(net), Floats(weights))
    a.notes.extend(strange)
    for section in sections:
        a.begin(section)
        a.end(_reader(section)(a, section))
    a.floats.finish()
    return a


def _reader(s: Section) -> Reader:
    reader = READERS.get(s.kind)
    if reader is None:
        raise s.refuse("Darknet knows no such layer", help="correct its name")
    return reader


def _input(net: Section) -> tuple[Port, Made]:
    """What flows in: a picture, or a vector where only `inputs=` is given."""
    height, width, channels = (net.whole(k, 0, 0, LONGEST_SIDE) for k in ("height", "width", "channels"))
    if height and width and channels:
        if height * width * channels > MOST_PIXELS:
            raise net.refuse(
                f"a picture of {height}x{width}x{channels}; at most {MOST_PIXELS:,} numbers are taken", code="E0902"
            )
        return Port("image", f"float[{height}, {width}, {channels}]"), Made("image", height, width, channels)
    count = net.whole("inputs", 0, 0, MOST_PIXELS)
    if not count:
        raise net.refuse("neither height, width and channels nor inputs", code="E0902")
    return Port("x", f"float[{count}]"), Made("x", 1, 1, count, flat=True)


def _outputs(a: Assembly) -> tuple[tuple[str, str], ...]:
    """The boxes that are found; without heads what the last section gave."""
    if not a.heads:
        return (("y", a.made[-1].tensor),)
    a.layers.append(Layer("found", "nms", tuple(a.heads), ("found",), {"score": SCORE, "iou": OVERLAP}))
    return (("found", "found"),)


def _sections(a: Assembly, trained: str) -> str:
    """How pictures come in: stretched as OpenCV does it, or with letter_box=1 fitted into grey; numbers from 0 to 1."""
    if a.input.flat:
        return trained
    size = a.input.height if a.input.height == a.input.width else f"{a.input.height}x{a.input.width}"
    mode = "fit, fill=127" if a.net.flag("letter_box") else "stretch"
    return f"\npreprocess = {a.port.name} -> resize({size}, mode={mode}, filter=opencv)\n\n{trained}\n"


def _title(path: Path, a: Assembly) -> str:
    notes = "\n".join(["", *a.notes] if a.notes else [])
    return f"{path.name}, from Darknet{notes}"


READERS: Mapping[str, Reader] = {
    "convolutional": convs.convolutional,
    "conv": convs.convolutional,
    "deconvolutional": convs.deconvolutional,
    "deconv": convs.deconvolutional,
    "connected": convs.connected,
    "conn": convs.connected,
    "batchnorm": convs.batchnorm,
    "activation": convs.activation,
    "maxpool": pools.maxpool,
    "max": pools.maxpool,
    "avgpool": pools.avgpool,
    "avg": pools.avgpool,
    "local_avgpool": pools.local_avgpool,
    "local_avg": pools.local_avgpool,
    "upsample": pools.upsample,
    "reorg": pools.reorg,
    "reorg_old": pools.reorg,
    "reorg3d": pools.reorg3d,
    "crop": pools.crop,
    "route": joints.route,
    "shortcut": joints.shortcut,
    "scale_channels": joints.scale_channels,
    "sam": joints.sam,
    "implicit": joints.implicit,
    "implicit_add": joints.implicit,
    "implicit_mul": joints.implicit,
    "shift_channels": joints.shift_channels,
    "control_channels": joints.control_channels,
    "dropout": heads.dropout,
    "softmax": heads.softmax,
    "soft": heads.softmax,
    "cost": heads.cost,
    "logistic": heads.logistic,
    "empty": heads.empty,
    "silence": heads.empty,
    "yolo": heads.yolo,
    "Gaussian_yolo": heads.gaussian_yolo,
    "region": heads.region,
    "detection": heads.detection,
    "rnn": heads.refused(
        "it activates input and state apart and has a layer behind the state, which no layer here does"
    ),
    "crnn": heads.refused("a recurrence of convolutions over time has no counterpart here"),
    "conv_lstm": heads.refused("an LSTM of convolutions has no counterpart here"),
    "history": heads.refused("memory of earlier calls has no counterpart here"),
    "lstm": heads.refused(
        "its gates are normalised each, and its state goes on from batch to batch, which none does here"
    ),
    "gru": heads.refused("its candidate goes through a sigmoid in place of tanh, which no layer here does"),
    "local": convs.local,
    "normalization": heads.refused(
        "Darknet's sums over neighbouring channels leave one channel out, which none here does"
    ),
    "lrn": heads.refused("Darknet's sums over neighbouring channels leave one channel out, which none here does"),
    "l2norm": heads.l2norm,
    "iseg": heads.refused("a head for masks has no counterpart here"),
    "contrastive": heads.cost,
}
