"""Sections that read other sections: route, shortcut, scale_channels, sam, and learned vectors that are added on."""

from __future__ import annotations

from graphdsl.interop.darknet.activations import activated
from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section
from graphdsl.interop.darknet.convs import MOST, demand_loaded


def route(a: Assembly, s: Section) -> Made:
    """What other sections gave, side by side; with groups, one part of the channels of each."""
    numbers = s.wholes("layers")
    if not numbers:
        raise s.refuse("no `layers=`", code="E0902")
    groups, group = s.whole("groups", 1, 1, MOST), s.whole("group_id", 0, 0)
    xs = [a.at(s, n, "layers") for n in numbers]
    if len(xs) > 1 and not all(x.flat for x in xs):
        xs = [a.picture(s, x) for x in xs]
    if any((x.height, x.width) != (xs[0].height, xs[0].width) for x in xs):
        sizes = ", ".join(f"{x.height}x{x.width}" for x in xs)
        raise s.refuse(
            f"its layers differ in height or width ({sizes}), which Darknet makes an empty tensor of", key="layers"
        )
    parts = [_part(a, s, x, groups, group) for x in xs]
    channels = sum(x.channels for x in parts)
    tensor = a.emit("concat", *(x.tensor for x in parts)) if len(parts) > 1 else parts[0].tensor
    return Made(tensor, xs[0].height, xs[0].width, channels, xs[0].flat)


def _part(a: Assembly, s: Section, x: Made, groups: int, group: int) -> Made:
    if groups == 1:
        return x
    if x.channels % groups or group >= groups:
        raise s.refuse(f"part {group} of {groups} of {x.channels} channels", key="groups", code="E0902")
    x = a.picture(s, x)
    size = x.channels // groups
    tensor = a.emit("slice", x.tensor, start=group * size, end=(group + 1) * size)
    return Made(tensor, x.height, x.width, size)


def shortcut(a: Assembly, s: Section) -> Made:
    """The sum of what flows in and what other sections gave, activated.

    Where channels differ Darknet adds what fits, and nobody is told. Here the sum of the first channels and the rest
    are written out, and the head of the spec says so.
    """
    if s.text("weights_type", "none") != "none":
        raise s.refuse(
            "weights_type: a learned weight for each tensor of the sum has no counterpart here", key="weights_type"
        )
    numbers = s.wholes("from")
    if not numbers:
        raise s.refuse("no `from=`", code="E0902")
    x = a.last(s)
    others = [a.at(s, n, "from") for n in numbers]
    if any(not o.flat or not x.flat for o in others):
        x, others = a.picture(s, x), [a.picture(s, o) for o in others]
    others = [_thinned(a, s, x, o) for o in others]
    tensor = _scaled(a, x.tensor, s.real("alpha", 1))
    equal = [_scaled(a, o.tensor, s.real("beta", 1)) for o in others if o.channels == x.channels]
    tensor = a.emit("add", tensor, *equal) if equal else tensor
    for o in (o for o in others if o.channels != x.channels):
        tensor = _added(a, s, Made(tensor, *x.picture), Made(_scaled(a, o.tensor, s.real("beta", 1)), *o.picture))
    return Made(activated(a, s, tensor, "linear"), *x.picture, flat=x.flat)


def _thinned(a: Assembly, s: Section, x: Made, other: Made) -> Made:
    """The other tensor at as many places as x: every second row and column of one twice as large."""
    if (other.height, other.width) == (x.height, x.width):
        return other
    stride = other.height // x.height
    if stride < 2 or (other.height // stride, other.width // stride) != (x.height, x.width):
        raise s.refuse(f"{other.height}x{other.width} places cannot be added to {x.height}x{x.width}", key="from")
    a.notes.append(
        f"{s.name}: {other.height}x{other.width} places are added to {x.height}x{x.width}; Darknet takes one in "
        f"{stride}, and so does this."
    )
    thin = a.emit("max_pool", other.tensor, size=1, stride=stride)
    return Made(thin, x.height, x.width, other.channels)


def _scaled(a: Assembly, tensor: str, factor: float) -> str:
    return tensor if factor == 1 else a.emit("*", tensor, right=factor)


def _added(a: Assembly, s: Section, x: Made, other: Made) -> str:
    """x plus other in as many channels as both have; what x has beyond stays, what other has beyond is left out."""
    kept = min(x.channels, other.channels)
    a.notes.append(
        f"{s.name}: {other.channels} channels are added to {x.channels}; Darknet adds the first {kept}, "
        "and so does this."
    )
    if other.channels > kept:
        return a.emit("add", x.tensor, a.emit("slice", other.tensor, start=0, end=kept))
    first = a.emit("slice", x.tensor, start=0, end=kept)
    rest = a.emit("slice", x.tensor, start=kept)
    return a.emit("concat", a.emit("add", first, other.tensor), rest)


def scale_channels(a: Assembly, s: Section) -> Made:
    """Another section's result times what flows in, which has one number a channel."""
    if s.flag("scale_wh"):
        raise s.refuse("scale_wh: one number a place has no counterpart here", key="scale_wh")
    other = a.picture(s, a.at(s, s.whole("from"), "from"))
    x = a.picture(s)
    if (x.height, x.width, x.channels) != (1, 1, other.channels):
        got = f"{x.height}x{x.width}x{x.channels}"
        raise s.refuse(f"needs one number for each of {other.channels} channels, got {got}", key="from")
    tensor = a.emit("multiply", other.tensor, _stretched(a, x, other))
    return Made(activated(a, s, tensor, "linear"), *other.picture)


def _stretched(a: Assembly, x: Made, like: Made) -> str:
    """One number a channel, repeated at every place."""
    if (like.height, like.width) == (1, 1):
        return x.tensor
    factor = like.height if like.height == like.width else (like.height, like.width)
    return a.emit("upsample", x.tensor, factor=factor)


def sam(a: Assembly, s: Section) -> Made:
    """Another section's result times what flows in, number by number."""
    x, other = a.picture(s), a.picture(s, a.at(s, s.whole("from"), "from"))
    if x.picture != other.picture:
        raise s.refuse("its two tensors differ in size", key="from")
    tensor = a.emit("multiply", other.tensor, x.tensor)
    return Made(activated(a, s, tensor, "linear"), *x.picture)


def implicit(a: Assembly, s: Section) -> Made:
    """A learned vector that nothing flows into: one number a channel."""
    channels, atoms = s.whole("filters", 128, 1, MOST), s.whole("atoms", 1, 1, MOST)
    if atoms != 1:
        raise s.refuse("more than one atom has no counterpart here", key="atoms")
    parts = {}
    if a.floats.given:
        demand_loaded(s)
        parts = {"": a.floats.take(s, "weights", 1, 1, channels)}
    return Made(a.emit("weight", weights=parts, shape=(1, 1, channels)), 1, 1, channels)


def shift_channels(a: Assembly, s: Section) -> Made:
    """What flows in plus a learned vector (YOLOR)."""
    return _with_vector(a, s, "add")


def control_channels(a: Assembly, s: Section) -> Made:
    """What flows in times a learned vector (YOLOR)."""
    return _with_vector(a, s, "multiply")


def _with_vector(a: Assembly, s: Section, word: str) -> Made:
    x, vector = a.picture(s), a.at(s, s.whole("from"), "from")
    if vector.picture != (1, 1, x.channels):
        raise s.refuse(f"needs a vector of {x.channels} numbers, got {vector.count}", key="from")
    return Made(a.emit(word, x.tensor, _stretched(a, vector, x)), *x.picture)
