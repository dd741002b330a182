"""`preprocess` of a spec: its steps for each input, built, and checked against the input before there are data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from graphdsl.data import NO_STEPS, STEPS, Preprocess, Wanted, shaped
from graphdsl.lang import Recipe, Spec
from graphdsl.report import Failed, Reporter, Span, fail


def steps_of(spec: Spec) -> dict[str, Preprocess]:
    """By input. Raises E0518, for all recipes at once, where steps do not end in what the input declares."""
    reporter = Reporter()
    found: dict[str, Preprocess] = {}
    for name, recipe in _each(spec.preprocess):
        try:
            found[name] = _longer(found.get(name, NO_STEPS), recipe)
            _check(found[name], spec, name)
        except Failed as failed:
            _report(failed, recipe.span, reporter)
    reporter.raise_if_failed()
    return found


def _longer(before: Preprocess, recipe: Recipe) -> Preprocess:
    return Preprocess((*before.steps, *(STEPS.build(step) for step in recipe.steps)), recipe.span)


def _each(recipes: tuple[Recipe, ...]) -> Iterator[tuple[str, Recipe]]:
    return ((name, recipe) for recipe in recipes for name in recipe.names)


def _report(failed: Failed, span: Span, reporter: Reporter) -> None:
    for diagnostic in failed.diagnostics:
        reporter.add(replace(diagnostic, span=diagnostic.span or span))


def _check(preprocess: Preprocess, spec: Spec, name: str) -> None:
    """The shape that steps leave of a picture of any size, against that of the input."""
    if name not in spec.inputs:
        raise fail("E0518", f"`{name}` is a target, and only inputs are preprocessed")
    port = spec.inputs[name]
    wanted = Wanted(name, "input", port.type, port.span)
    if not port.type.dtype.is_float:
        raise fail("E0518", f"{wanted.title} is {port.type.describe()}; only numbers, `float`, are preprocessed")
    last = wanted.shape[-1] if wanted.shape else 1
    pictures = len(wanted.shape) == 3 and isinstance(last, int)
    start = (None, None, preprocess.channels(int(last))) if pictures else _sizes(wanted)
    left = shaped(preprocess.steps, start)
    wrong = [(h, w) for h, w in zip(left, wanted.shape, strict=True) if h is not None and h != w and isinstance(w, int)]
    if wrong:
        message = f"`preprocess` leaves {list(left)} of a sample, {wanted.title} is {port.type.describe()}"
        raise fail(
            "E0518", message, help="give the last step that sets a size the size of the input, or the input that size"
        )


def _sizes(wanted: Wanted) -> tuple[int | None, ...]:
    return tuple(size if isinstance(size, int) else None for size in wanted.shape)
