"""Whole columns through the steps of `preprocess` that take whole columns, and what those learn.

What a step learns, it learns once for all inputs and targets that one recipe names together, from the rows that are
trained on: `[text, next] -> characters` numbers both alike, so the column of each is followed up to that step. Steps
that are not `together`, as in `[rooms, area] -> standardize`, learn for each by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace

import numpy as np

from graphdsl.data.column import Column, Dense, Labels, Rows, Texts
from graphdsl.data.preprocess import NO_STEPS, AnyStep, ColumnStep, Fitted, Preprocess, Spelling, State, Step, Use
from graphdsl.data.preprocess_sound import SoundStep
from graphdsl.data.preprocess_text import WordsStep, tokeniser
from graphdsl.data.running import Running
from graphdsl.data.sounds import Sounds
from graphdsl.data.vocabulary import Vocabulary
from graphdsl.data.wanted import Wanted
from graphdsl.report import Failed, dataclass, fail

NOTHING: State = {}
Training = Callable[[int], Rows | None]
"""Of so many rows, those that are trained on; None where none are, as in `predict`: then nothing is learned."""


def every(count: int) -> Rows:
    """All rows are trained on."""
    return np.arange(count)


def none(count: int) -> None:
    """No row is trained on."""
    return


@dataclass
class Prepare:
    """Lives for one binding.

    columns   by input or target, with the names that the data have for them
    states    what steps have learned, by key; what is learned here is added
    """

    columns: dict[str, tuple[str, Column]]
    wanted: Mapping[str, Wanted]
    preprocess: Mapping[str, Preprocess]
    states: dict[str, State]
    place: Callable[[int], str]
    training: Training
    _done: dict[tuple[str, int], Column] = field(default_factory=dict)
    _recipes: dict[str, Preprocess] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self._column(next(iter(self.columns)), 0)) if self.columns else 0

    def of(self, name: str) -> tuple[Column, Preprocess, Vocabulary | None]:
        """The column after its steps, the steps that are left for each batch, and what its numbers stand for."""
        recipe = self._recipe(name)
        column = self._column(name, recipe.whole)
        words = [s.vocabulary(self._state(s, k, name)) for s, k in self._steps(recipe) if isinstance(s, Spelling)]
        left = replace(recipe, steps=recipe.steps[recipe.whole :], keys=recipe.keys[recipe.whole :])
        return column, left, words[-1] if words else None

    def _steps(self, recipe: Preprocess) -> list[tuple[AnyStep, str]]:
        return list(zip(recipe.steps[: recipe.whole], recipe.keys[: recipe.whole], strict=True))

    def _recipe(self, name: str) -> Preprocess:
        """Its steps; texts that no step makes numbers of are cut into words."""
        if name not in self._recipes:
            recipe = self.preprocess.get(name, NO_STEPS)
            first, column = tokeniser(recipe.steps), self.columns[name][1]
            implied = first is None and _is_text(column, self.wanted[name])
            self._recipes[name] = _with_words(name, recipe) if implied else recipe
        return self._recipes[name]

    def _column(self, name: str, steps: int) -> Column:
        """The column after so many steps."""
        if (name, steps) not in self._done:
            self._done[name, steps] = self._raw(name) if not steps else self._after(name, steps - 1)
        return self._done[name, steps]

    def _raw(self, name: str) -> Column:
        recipe, column = self._recipe(name), self.columns[name][1]
        first = tokeniser(recipe.steps)
        if isinstance(column, Running):
            if first is None:
                raise _no_unit(name, self.wanted[name])
            return column.cut(first.unit)
        if first is not None and isinstance(column, Labels) and column.classes:
            return Texts(tuple(column.classes[number] for number in column.values))
        return column

    def _after(self, name: str, index: int) -> Column:
        recipe = self._recipe(name)
        step, column = recipe.steps[index], self._column(name, index)
        if isinstance(step, Step):
            return Dense(step.apply(column.take(np.arange(len(column)))))
        if isinstance(column, Sounds) and not isinstance(step, SoundStep):
            column = column.sequences()
        state = self._state(step, recipe.keys[index], name)
        return step.change(column, state, self._use(name))

    def _state(self, step: ColumnStep, key: str, name: str) -> State:
        if not isinstance(step, Fitted) or not step.learns:
            return NOTHING
        own = key if step.together else f"{key}:{name}"
        if not step.knows(self.states.get(own, NOTHING)):
            sharing = [n for n in self.columns if key in self._recipe(n).keys] if step.together else [name]
            self.states[own] = self._fit(step, key, sharing)
        return self.states[own]

    def _fit(self, step: Fitted, key: str, names: list[str]) -> State:
        columns = [self._column(name, self._recipe(name).keys.index(key)) for name in names]
        rows = self.training(len(columns[0]))
        if rows is None:
            raise _unknown(key, self.wanted[names[0]])
        return step.fit([column.only(rows) for column in columns], [self._use(name) for name in names])

    def _use(self, name: str) -> Use:
        return Use(self.columns[name][0], self.wanted[name], self.place)


def vocabularies(
    names: Iterable[str], preprocess: Mapping[str, Preprocess], states: Mapping[str, State]
) -> dict[str, Vocabulary]:
    """What the numbers of these inputs and targets stand for, where texts become numbers and what that takes is
    known."""
    recipes = {name: preprocess.get(name, NO_STEPS) for name in names}
    whole = {name: r if tokeniser(r.steps) else _with_words(name, r) for name, r in recipes.items()}
    steps = [(name, *pair) for name, r in whole.items() for pair in zip(r.steps, r.keys, strict=True)]
    spelling = [(name, step, states.get(key, NOTHING)) for name, step, key in steps if isinstance(step, Spelling)]
    return {name: step.vocabulary(state) for name, step, state in spelling if step.knows(state)}


def _with_words(name: str, recipe: Preprocess) -> Preprocess:
    """The recipe for texts that no step of it cuts: they are cut into words."""
    return replace(recipe, steps=(WordsStep(), *recipe.steps), keys=(f"{name}/words", *recipe.keys))


def _is_text(column: Column, wanted: Wanted) -> bool:
    """Texts where whole numbers in a row are wanted; short texts look like class names."""
    return wanted.sequence and (isinstance(column, Texts) or (isinstance(column, Labels) and bool(column.classes)))


def _no_unit(name: str, wanted: Wanted) -> Failed:
    message = f"{wanted.title} takes running text, and nothing says what it is made of"
    help = f"write `preprocess = {name} -> characters`, or `words`, or `bytes`; `[text, next] -> …` for both"
    return fail("E0518", message, wanted.span, help=help)


def _unknown(key: str, wanted: Wanted) -> Failed:
    step = key.rpartition("/")[2]
    message = f"`{step}` of {wanted.title} learns from the rows that are trained on, and nothing has been trained"
    return fail("E0520", message, wanted.span, help="train first, or load weights that a run has left")
