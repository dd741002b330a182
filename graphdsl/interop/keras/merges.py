"""Several tensors into one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphdsl.interop.keras.options import Options
from graphdsl.interop.keras.scene import Flow, Scene, Step, axis_at, axis_of
from graphdsl.interop.keras.table import rule
from graphdsl.report import fail

WORDS = {
    "Add": "+",
    "Subtract": "-",
    "Multiply": "*",
    "Average": "average",
    "Maximum": "maximum",
    "Minimum": "minimum",
}
IN_PAIRS = ("+", "-", "*", "/")
LISTED = {"+": "add", "*": "multiply"}
MODES = {"sum": "+", "mul": "*", "ave": "average", "max": "maximum"}


@rule(*WORDS, many=True, timed=True)
def merge(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow:
    """Element by element."""
    return joined(scene, step, WORDS[step.kind], xs)


def joined(scene: Scene, step: Step, word: str, xs: Sequence[Flow]) -> Flow:
    """Tensors of one shape, element by element; what Keras stretches is stretched in sight."""
    scene.take_numbers(*xs)
    if len(xs) == 1:
        return xs[0]
    rank = max(x.rank for x in xs)
    widest = next(x for x in xs if x.rank == rank)
    alike = [scene.arranged(step, lifted(scene, step, x, rank), widest.order) for x in xs]
    target = tuple(_widest(step, sizes) for sizes in zip(*(x.ours for x in alike), strict=True))
    scene.same_lengths |= None in target
    names = [stretched(scene, step, x, target).name for x in alike]
    if word in IN_PAIRS and len(names) > 2:
        word = LISTED.get(word) or word
    return scene.made(widest, scene.emit(step, word, names), target)


def _widest(step: Step, sizes: Sequence[int | None]) -> int | None:
    known = {n for n in sizes if n not in (1, None)}
    if len(known) > 1 or (known and None in sizes):
        raise step.refuse(f"sizes {', '.join('free' if n is None else str(n) for n in sizes)} do not go together")
    return known.pop() if known else (None if None in sizes else 1)


def lifted(scene: Scene, step: Step, x: Flow, rank: int) -> Flow:
    """x with axes of size 1 in front, as Keras adds them where ranks differ."""
    if x.rank == rank:
        return x
    x = scene.straight(step, x)
    ours = (*(1,) * (rank - x.rank), *x.ours)
    if None in ours:
        raise step.refuse("a free size is stretched")
    name = scene.emit(step, "reshape", [x.name], {"shape": list(ours)}, tag="lifted")
    return Flow(name, ours, tuple(range(rank)))


def stretched(scene: Scene, step: Step, x: Flow, target: tuple[int | None, ...]) -> Flow:
    """x repeated along axes on which it has size 1. Raises E0901 where these are free."""
    if x.ours == target:
        return x
    if None in target:
        raise step.refuse("it stretches a tensor to a size that is free", "give the model an input of a fixed size")
    name = scene.emit(step, "stretch", [x.name], {"shape": list(target)}, tag="stretched")
    return scene.made(x, name, target)


@rule("Concatenate", many=True, timed=True)
def concatenate(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow:
    """Side by side."""
    return beside(scene, step, xs, axis_of(step, xs[0]))


def beside(scene: Scene, step: Step, xs: Sequence[Flow], axis: int) -> Flow:
    """Tensors joined on an axis of Keras'."""
    scene.take_numbers(*xs)
    if any(x.rank != xs[0].rank for x in xs):
        raise step.refuse("it joins tensors of different ranks")
    alike = [scene.arranged(step, x, xs[0].order) for x in xs]
    if len(alike) == 1:
        return alike[0]
    at = xs[0].order.index(axis)
    sizes = [x.ours[at] for x in alike]
    if len({(*x.ours[:at], *x.ours[at + 1 :]) for x in alike}) > 1:
        shapes = " and ".join(str(list(x.shape)) for x in alike)
        raise fail("E0902", f"{step.options.where}: {shapes} differ in more than the axis that they are joined on")
    total = None if None in sizes else sum(n for n in sizes if n is not None)
    scene.same_lengths |= any(None in x.ours for x in alike)
    settings = {} if at == xs[0].rank - 1 else {"axis": at}
    name = scene.emit(step, "concat", [x.name for x in alike], settings)
    return scene.made(xs[0], name, (*alike[0].ours[:at], total, *alike[0].ours[at + 1 :]))


@rule("Dot", many=True)
def dot(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow:
    """Scalar products along an axis of each."""
    axes = step.options.raw("axes", -1)
    pair = axes if isinstance(axes, list | tuple) else [axes, axes]
    if len(pair) != 2 or len(xs) != 2 or not all(type(a) is int for a in pair):
        raise step.options.wrong("axes", "an axis, or one of each of two tensors")
    return product(scene, step, xs, pair, step.options.flag("normalize", False))


def product(scene: Scene, step: Step, xs: Sequence[Flow], axes: Sequence[int], normalize: bool) -> Flow:
    """The scalar products of two tensors along these axes of Keras', counted with the batch axis."""
    scene.take_numbers(*xs)
    turned = [scene.last(step, x, axis_at(step, x, a, "axes")) for x, a in zip(xs, axes, strict=True)]
    if any(x.rank != turned[0].rank or x.rank > 2 for x in turned):
        raise step.refuse("it multiplies tensors of more than [features] or [time, features]")
    settings: dict[str, Any] = {"normalize": True} if normalize else {}
    name = scene.emit(step, "dot", [x.name for x in turned], settings)
    shape = (1,) if turned[0].rank == 1 else (turned[0].ours[0], turned[1].ours[0])
    return Flow(name, shape, tuple(range(len(shape))))


@rule("Merge", many=True)
def old_merge(scene: Scene, step: Step, xs: Sequence[Flow]) -> Flow:
    """Keras 1's one layer for all of these. A mode may be a function, which is refused."""
    options: Options = step.options
    mode = options.raw("mode", "sum")
    if options.raw("mode_type", "raw") != "raw" or not isinstance(mode, str):
        raise step.refuse("its mode is Python code, and code in a file is never run", "write what it does in the .dag")
    if mode in MODES:
        return joined(scene, step, MODES[mode], xs)
    if mode == "concat":
        return beside(scene, step, xs, axis_of(step, xs[0]))
    if mode not in ("dot", "cos") or len(xs) != 2:
        raise options.wrong("mode", "one of sum, mul, concat, ave, max, and dot or cos of two tensors")
    axes = options.raw("dot_axes", -1)
    pair = axes if isinstance(axes, list | tuple) and len(axes) == 2 else [axes, axes]
    if not all(type(a) is int for a in pair):
        raise options.wrong("dot_axes", "an axis, or one of each of two tensors")
    return product(scene, step, xs, pair, mode == "cos")
