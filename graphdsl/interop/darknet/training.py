"""What [net] says of training: a train section for classifiers, and remarks on what our sections do not say alike."""

from __future__ import annotations

from graphdsl.interop.darknet.assembly import Assembly, Made
from graphdsl.interop.darknet.cfg import Section

TOLD = ("batch", "subdivisions", "angle", "saturation", "exposure", "hue", "aspect", "flip", "min_crop", "max_crop")
"""Of batches and of changes to pictures: they belong to the data, which a cfg does not name."""
POWER = 4.0
"""Of `poly` and of the burn-in, where none is given."""
USUAL = 0.9, 0.0001, 0.001
"""Momentum, decay and learning rate, where they are not given."""


def lesson(net: Section, a: Assembly) -> str:
    """A train section where the last tensor is probabilities of classes; nothing else has its loss here."""
    classes, (rate, odd) = _classes(a), _rate(net)
    told = [f"{key}={net.text(key)}" for key in TOLD if net.has(key)]
    optimizer = [] if classes else [f"{_optimizer(net, rate)} for {net.whole('max_batches', 0)} steps"]
    remarks = (", ".join(told), *optimizer, odd)
    a.notes.extend(f"Darknet trains with {remark}." for remark in remarks if remark)
    return _section(net, classes, rate) if classes else ""


def _classes(a: Assembly) -> int:
    """How many classes the last tensor tells probabilities of; 0 where it does not."""
    last: Made = a.made[-1]
    maker = next((layer for layer in a.layers if last.tensor in layer.outputs), None)
    one = maker is not None and maker.word == "softmax" and (last.height, last.width) == (1, 1) and last.flat
    return last.channels if one and not a.heads else 0


def _section(net: Section, classes: int, rate: str) -> str:
    lines = [
        f"target label: int({classes})",
        "",
        "train {",
        "  loss = [y, label] -> categorical_crossentropy",
        "  metrics = [y, label] -> accuracy",
        f"  optimizer = {_optimizer(net, rate)}",
    ]
    most = net.whole("max_batches", 0, 0)
    return "\n".join([*lines, *([f"  steps = {most}"] if most else []), "}"])


def _optimizer(net: Section, rate: str) -> str:
    momentum, decay, _ = USUAL
    decay = net.real("decay", decay)
    if net.flag("adam"):
        beta1, beta2, eps = net.real("B1", 0.9), net.real("B2", 0.999), net.real("eps", 1e-6)
        return f"adam(lr={rate}, beta1={beta1:g}, beta2={beta2:g}, eps={eps:g}, decay={decay:g})"
    return f"sgd(lr={rate}, momentum={net.real('momentum', momentum):g}, decay={decay:g})"


def _rate(net: Section) -> tuple[str, str]:
    """The learning rate as a schedule, and a remark where Darknet's differs."""
    policy = net.text("policy", "constant")
    base, odd = net.real("learning_rate", USUAL[2]), []
    most = net.whole("max_batches", 0, 0)
    rate = f"{base:g}"
    match policy:
        case "constant":
            pass
        case "steps" if net.has("steps") and net.has("scales"):
            places, scales = net.wholes("steps"), net.reals("scales")
            rate = f"steps({base:g}, at={places}, factor={scales[0]:g}, by=steps)"
            odd += [f"scales={net.text('scales')}"] if len(set(scales[: len(places)])) > 1 else []
        case "step" if net.whole("step", 1) > 0:
            rate = f"exponential({base:g}, {net.real('scale', 1):g}, every={net.whole('step', 1)}, by=steps)"
        case "exp":
            rate = f"exponential({base:g}, {net.real('gamma', 1):g}, by=steps)"
        case "poly" if most:
            rate = f"poly({base:g}, {net.real('power', POWER):g})"
        case _:
            odd.append(f"policy={policy}")
    burn = net.whole("burn_in", 0, 0)
    if burn:
        rate = f"warmup({rate}, {burn}, by=steps)"
        power = net.real("power", POWER)
        odd += [f"a burn-in that grows with the power {power:g}, not along a straight line"] if power != 1 else []
    return rate, ", ".join(odd)
