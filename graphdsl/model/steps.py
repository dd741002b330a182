"""`preprocess` of a spec: its steps for each input and target, built, and checked against what it declares before there
are data; `augment` likewise."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from graphdsl.data import NO_STEPS, STEPS, AnyStep, ColumnStep, Preprocess, Wanted, demand_augments, shaped
from graphdsl.ir import Made
from graphdsl.lang import Recipe, Spec
from graphdsl.learn import Plan
from graphdsl.model.loading import located
from graphdsl.model.supply import Supply
from graphdsl.report import Failed, Reporter, Span, fail

Sizes = tuple[int | None, ...]
COLOURS = ("bgr", "grey")
"""Steps that say how many channels there are."""


def steps_of(spec: Spec) -> dict[str, Preprocess]:
    """By input or target. Raises E0518, for all recipes at once, where steps do not end in what is declared."""
    reporter = Reporter()
    found: dict[str, Preprocess] = {}
    written: dict[str, tuple[Made, ...]] = {}
    used: list[str] = []
    for recipe in spec.preprocess:
        steps, keys = tuple(STEPS.build(step) for step in recipe.steps), _keys(recipe, used)
        for name in recipe.names:
            found[name] = _longer(found.get(name, NO_STEPS), steps, keys, recipe.span)
            written[name] = (*written.get(name, ()), *recipe.steps)
    for name, preprocess in found.items():
        try:
            _check(preprocess, written[name], spec, name)
        except Failed as failed:
            _report(failed, preprocess.span, reporter)
    reporter.raise_if_failed()
    return found


def demand_changes(supply: Supply, plans: Sequence[Plan]) -> None:
    """Raises E0518 where `augment` of a section asks for what no data could make right."""
    for plan in plans:
        if plan.augment:
            wanted = supply.wanted(plan.judged(supply.spec.graph))
            with located(plan.augment[0].span):
                demand_augments(supply.augments(plan), wanted, supply.preprocess, _written(plan.augment))


def _written(recipes: Iterable[Recipe]) -> dict[str, tuple[Span, ...]]:
    """For each name the recipe of each of its steps."""
    spans: dict[str, tuple[Span, ...]] = {}
    for recipe in recipes:
        spans |= {name: (*spans.get(name, ()), *[recipe.span] * len(recipe.steps)) for name in recipe.names}
    return spans


def _keys(recipe: Recipe, used: list[str]) -> tuple[str, ...]:
    """What the state of each step is kept under: `text+next/characters`. What is there already gets a number."""
    keys = []
    for step in recipe.steps:
        key = f"{'+'.join(recipe.names)}/{step.name}"
        used.append(key)
        keys.append(key if used.count(key) == 1 else f"{key}_{used.count(key)}")
    return tuple(keys)


def _longer(before: Preprocess, steps: tuple[AnyStep, ...], keys: tuple[str, ...], span: Span) -> Preprocess:
    return Preprocess((*before.steps, *steps), span, (*before.keys, *keys))


def _report(failed: Failed, span: Span | None, reporter: Reporter) -> None:
    for diagnostic in failed.diagnostics:
        reporter.add(replace(diagnostic, span=diagnostic.span or span))


def _check(preprocess: Preprocess, written: Sequence[Made], spec: Spec, name: str) -> None:
    """The shape that steps leave of a picture of any size, against that of the input."""
    role = "input" if name in spec.inputs else "target"
    port = spec.inputs[name] if role == "input" else spec.targets[name]
    wanted = Wanted(name, role, port.type, port.span)
    for made, step in zip(written, preprocess.steps, strict=True):
        with located(made.span):
            _suit(step, made, wanted)
    if preprocess.whole == 0:
        _check_pictures(preprocess, written, wanted)


def _suit(step: AnyStep, made: Made, wanted: Wanted) -> None:
    """A step alone against the type."""
    if isinstance(step, ColumnStep):
        step.suit(wanted)
    elif not wanted.type.dtype.is_float:
        message = f"{wanted.title} is {wanted.type.describe()}; `{made.name}` is for numbers, `float`"
        raise fail("E0518", message, help="`words`, `characters` and `bytes` make whole numbers of texts")


def _check_pictures(preprocess: Preprocess, written: Sequence[Made], wanted: Wanted) -> None:
    last = wanted.shape[-1] if wanted.shape else 1
    pictures = len(wanted.shape) == 3 and isinstance(last, int)
    sizes = [(None, None, preprocess.channels(int(last))) if pictures else _sizes(wanted)]
    for made, step in zip(written, preprocess.batchwise, strict=True):
        with located(made.span):
            sizes.append(shaped((step,), sizes[-1]))
    _compare(wanted, sizes, written)


def _compare(wanted: Wanted, sizes: Sequence[Sizes], written: Sequence[Made]) -> None:
    """What is left at last against the input. Each error points at the step that made it so."""
    errors: list[Failed] = []
    if _differ(sizes[-1][:-1], wanted.shape[:-1]):
        changed = [made for made, old, new in zip(written, sizes, sizes[1:], strict=False) if old[:-1] != new[:-1]]
        errors.append(_wrong_size(wanted, sizes[-1], changed[-1].span))
    if _differ(sizes[-1][-1:], wanted.shape[-1:]):
        coloured = [made for made in written if made.name in COLOURS]
        errors.append(_wrong_channels(wanted, sizes[-1], coloured[-1]))
    if errors:
        raise Failed(diagnostic for error in errors for diagnostic in error.diagnostics)


def _differ(left: Sizes, wanted: Sequence[int | str]) -> bool:
    pairs = zip(left, wanted, strict=True)
    return any(have is not None and have != want and isinstance(want, int) for have, want in pairs)


def _wrong_size(wanted: Wanted, left: Sizes, span: Span | None) -> Failed:
    message = f"`preprocess` makes pictures of {left[0]}x{left[1]}, {wanted.title} takes `{wanted.type.describe()}`"
    size = f"{wanted.shape[0]}x{wanted.shape[1]}"
    declared = f"float[{left[0]}, {left[1]}, {wanted.shape[2]}]"
    return fail("E0518", message, span, help=f"make them {size} in this step, or declare the input `{declared}`")


def _wrong_channels(wanted: Wanted, left: Sizes, step: Made) -> Failed:
    """Steps that know colours take three channels, whatever the input takes."""
    channels = "1 channel" if left[-1] == 1 else f"{left[-1]} channels"
    message = f"`preprocess` makes pictures of {channels}, {wanted.title} takes `{wanted.type.describe()}`"
    declared = f"float[{', '.join(map(str, (*wanted.shape[:-1], left[-1])))}]"
    grey = "write `grey` for one channel" if wanted.shape[-1] == 1 else f"leave `{step.name}` out"
    return fail("E0518", message, step.span, help=f"{grey}, or declare the input `{declared}`")


def _sizes(wanted: Wanted) -> Sizes:
    return tuple(size if isinstance(size, int) else None for size in wanted.shape)
