"""Recipes: what is done to samples as they are read, `image -> random_crop(224) -> flip`."""

from __future__ import annotations

from collections.abc import Sequence

from graphdsl.ir import Made
from graphdsl.lang import ast
from graphdsl.lang.frame import Frame
from graphdsl.lang.metrics import items_of
from graphdsl.lang.pipes import repeats
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.settings import make
from graphdsl.lang.spec import Recipe
from graphdsl.lang.values import is_unknown
from graphdsl.report import Failed, did_you_mean

PREPROCESS = "preprocess"
"""The kind of words, and the name of the definition, of what is done to samples wherever an input is fed."""

EXAMPLES = {"augment": "image -> random_crop(224) -> flip", PREPROCESS: "image -> resize(224) -> scale(1/255)"}
LISTED = 5
"""How many names an error lists."""


def read_recipes(expression: ast.Expression, frame: Frame, kind: str = "augment") -> tuple[Recipe, ...]:
    """One recipe of words of a kind, or several. A list before an arrow names inputs that change together."""
    found = []
    for item in items_of(expression):
        try:
            found.append(_recipe(item, frame, kind))
        except Failed as failed:
            frame.session.tell(failed, frame)
    return tuple(found)


def _recipe(item: ast.Expression, frame: Frame, kind: str) -> Recipe:
    if isinstance(item, ast.Pipe) and item.source is not None:
        names = [_sample(part, frame) for part in items_of(item.source)]
        steps = tuple(step for stage in item.stages for step in _steps(stage, frame, kind))
        return Recipe(tuple(names), steps, item.span)
    raise refuse("E0320", "needs a recipe for samples", item.span, help=f"write `{EXAMPLES[kind]}`")


def _sample(part: ast.Expression, frame: Frame) -> str:
    known = [*frame.module.inputs, *frame.module.targets]
    if isinstance(part, ast.Name) and part.name in known:
        return part.name
    binding = frame.names.find(part.name) if isinstance(part, ast.Name) else None
    if binding is not None and is_unknown(binding.value):
        raise told()
    if isinstance(part, ast.Name) and binding is None:
        raise _no_input(part, frame)
    help = frame.session.suggest(part.name, known) if isinstance(part, ast.Name) else ""
    raise refuse("E0320", "a recipe begins with an input or a target", part.span, help=help)


def _no_input(part: ast.Name, frame: Frame) -> Failed:
    """A name that nothing has."""
    inputs = [*frame.module.inputs, *frame.module.targets]
    what = "input or target" if frame.module.targets else "input"
    listed = ", ".join(f"`{name}`" for name in inputs[:LISTED]) + (", …" if len(inputs) > LISTED else "")
    known = f"the {what} is {listed}" if len(inputs) == 1 else f"the {what.replace(' or ', 's and ')}s are {listed}"
    help = did_you_mean(part.name, inputs) or (
        known if inputs else "declare it first: `input image: float[224, 224, 3]`"
    )
    return refuse("E0320", f"`{part.name}` is no {what}", part.span, help=help)


def _steps(stage: ast.Stage, frame: Frame, kind: str) -> Sequence[Made]:
    times = 1 if stage.repeat is None else repeats(stage.repeat, frame)
    return [make(stage.call, (kind,), frame)] * times
