"""Steps of `preprocess` for numbers and categories of tables; most learn from the rows that are trained on.

Each input has numbers of its own: `[rooms, area] -> standardize` keeps a mean and a deviation for either. Targets are
left as they are, so that losses and metrics are in the unit of the data: a network that tells prices ends in `-> exp`
and a product, `500000 * x`, where others would scale the prices.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar

import numpy as np

from graphdsl.data.column import Array, Column, Dense, Labels, Ragged
from graphdsl.data.preprocess import STEPS, ColumnStep, Fitted, State, Use, cannot
from graphdsl.data.wanted import Wanted
from graphdsl.ir import Choice, Either, NonNegative, Number, Real
from graphdsl.report import Failed, dataclass, fail

Average = Annotated[float | str, Either((Real(), Choice(("mean", "median"))))]
Unknown = Annotated[str, Choice(("zeros", "stop"))]


class Numeric(ColumnStep):
    """A step for columns of numbers, of vectors or of sequences of them; along their last axis each is by itself."""

    def suit(self, wanted: Wanted) -> None:
        demand_numbers(self, wanted)

    def changed(self, column: Column, use: Use, formula: Mapping[str, Array]) -> Column:
        """The column with `values * scale + shift`. Raises E0516 where a number is missing."""
        values = _finite(self, column, use)
        new = (values * formula["scale"] + formula["shift"]).astype(np.float32)
        return column.with_values(new) if isinstance(column, Ragged) else Dense(new)


class Affine(Fitted, Numeric):
    """A step that adds to numbers and multiplies them by what it has learned."""

    together: ClassVar[bool] = False

    @property
    def learns(self) -> tuple[str, ...]:
        return ("shift", "scale")

    def knows(self, state: State) -> bool:
        shift, scale = (state.get(name, ()) for name in self.learns)
        return len(shift) == len(scale) > 0 and _numbers(shift) and _numbers(scale)

    @abstractmethod
    def learned(self, values: Array) -> tuple[float, float]:
        """What numbers are multiplied with, then what is added. values: of one feature, all finite, at least one."""

    def fit(self, columns: Sequence[Column], uses: Sequence[Use]) -> State:
        scales, shifts = zip(*(self.learned(feature) for c in columns for feature in _features(c)), strict=True)
        return {"shift": shifts, "scale": scales}

    def change(self, column: Column, state: State, use: Use) -> Column:
        features, learned = len(_features(column)), {name: np.array(state[name]) for name in self.learns}
        if len(learned["scale"]) != features:
            message = f"{use.wanted.title} had {len(learned['scale'])} numbers when it was trained, "
            help = "give data like those of training"
            raise fail("E0513", f"{message}`{use.column}` has {features}", use.wanted.span, help=help)
        return self.changed(column, use, learned)


@STEPS.register("standardize")
@dataclass(frozen=True)
class Standardize(Affine):
    """Takes off the mean and divides by the standard deviation, both of the rows that are trained on. Where all rows
    are equal, by 1."""

    def learned(self, values: Array) -> tuple[float, float]:
        scale = 1 / (float(values.std()) or 1.0)
        return scale, -float(values.mean()) * scale


@STEPS.register("min_max")
@dataclass(frozen=True)
class MinMax(Affine):
    """Moves numbers so that those of the rows that are trained on go from `low` to `high`; others may go beyond. Where
    all rows are equal, to `low`."""

    low: Number = 0.0
    high: Number = 1.0

    def suit(self, wanted: Wanted) -> None:
        demand_numbers(self, wanted)
        if self.low >= self.high:
            raise cannot(f"`min_max` from {self.low:g} to {self.high:g} leaves no range", "give a `low` below `high`")

    def learned(self, values: Array) -> tuple[float, float]:
        least, most = float(values.min()), float(values.max())
        scale = (self.high - self.low) / ((most - least) or 1.0)
        return scale, self.low - least * scale


@STEPS.register("fill")
@dataclass(frozen=True)
class Fill(Affine):
    """Puts a number where a table has none: csv and table leave such cells to it with `missing=keep`.

    by   `mean` or `median` of the rows that are trained on, or a number
    """

    by: Average = "median"

    def learned(self, values: Array) -> tuple[float, float]:
        if isinstance(self.by, float | int):
            return 0.0, float(self.by)
        return 0.0, float(values.mean() if self.by == "mean" else np.median(values))

    def changed(self, column: Column, use: Use, formula: Mapping[str, Array]) -> Column:
        values = _values(self, column, use).astype(np.float64)
        new = np.where(np.isfinite(values), values, formula["shift"])
        return column.with_values(new) if isinstance(column, Ragged) else Dense(new)


@STEPS.register("log")
@dataclass(frozen=True)
class Log(Numeric):
    """The natural logarithm of x + plus: for sizes and prices, which differ by factors.

    plus   1 where there are zeros
    """

    plus: NonNegative = 0.0

    def change(self, column: Column, state: State, use: Use) -> Column:
        values = _finite(self, column, use) + self.plus
        low = np.flatnonzero((values <= 0).reshape(len(values), -1).any(axis=1))
        if low.size:
            row = column.row_of(int(low[0])) if isinstance(column, Ragged) else int(low[0])
            least = float(values.min()) - self.plus
            message = f"{use.place(row)} of `{use.column}` has no logarithm"
            help = f"the least number is {least:g}: write `log(plus=1)`" if least > -1 else "leave `log` out"
            raise fail("E0515", message, use.wanted.span, help=help)
        new = np.log(values).astype(np.float32)
        return column.with_values(new) if isinstance(column, Ragged) else Dense(new)


@STEPS.register("one_hot")
@dataclass(frozen=True)
class OneHot(Fitted):
    """Makes a category a vector with 1 at its place and 0 elsewhere. Those of the rows that are trained on have places:
    in alphabetical order, or by size where all are whole numbers. Places that are left over stay 0.

    unknown   a category that was not there: `zeros` everywhere, or `stop`

    Without it, `int(n)` and `embedding` or the layer `one_hot` do the same with categories that are all known.
    """

    unknown: Unknown = "zeros"

    together: ClassVar[bool] = False

    @property
    def learns(self) -> tuple[str, ...]:
        return ("categories",)

    def knows(self, state: State) -> bool:
        known = state.get("categories", ())
        return len(known) > 0 and all(isinstance(category, str) for category in known)

    def suit(self, wanted: Wanted) -> None:
        if wanted.role == "target" or not wanted.type.dtype.is_float or len(wanted.shape) != 1 or wanted.sequence:
            message = f"{wanted.title} is {wanted.type.describe()}; `one_hot` makes vectors for inputs"
            raise cannot(message, f"declare `input {wanted.name}: float[n]`, or `int(n)` and leave `one_hot` out")

    def fit(self, columns: Sequence[Column], uses: Sequence[Use]) -> State:
        named = [category for c, use in zip(columns, uses, strict=True) for category in _categories(c, use)]
        return {"categories": tuple(_ordered(named))}

    def change(self, column: Column, state: State, use: Use) -> Column:
        known = state["categories"]
        width = use.wanted.shape[0]
        if not isinstance(width, int) or len(known) > width:
            message = f"`{use.column}` has {len(known)} categories in the rows that are trained on, {use.wanted.title} "
            raise fail("E0513", f"{message}has {width} places", use.wanted.span, help=f"declare `float[{len(known)}]`")
        places = {category: i for i, category in enumerate(known)}
        found = np.array([places.get(category, -1) for category in _categories(column, use)])
        if self.unknown == "stop" and (found < 0).any():
            row = int(np.argmax(found < 0))
            message = f"{use.place(row)}: `{_categories(column, use)[row]}` in `{use.column}` was not there in training"
            raise fail("E0517", message, use.wanted.span, help="`one_hot(unknown=zeros)` takes it for none of them")
        return Dense((found[:, None] == np.arange(width)).astype(np.float32))


# --- parts -----------------------------------------------------------------------------------------------------------


def demand_numbers(step: ColumnStep, wanted: Wanted) -> None:
    """Raises E0518 where wanted is no input of numbers, vectors or sequences of them."""
    word = _word(step)
    if wanted.role == "target":
        message = f"`{word}` would change {wanted.title}, and with it the unit of losses and metrics"
        raise cannot(message, "scale in the network, as by `500000 * x` or `x -> exp`, or use another loss: `mape`")
    if not wanted.type.dtype.is_float:
        help = f"declare `input {wanted.name}: float[1]`"
        raise cannot(f"{wanted.title} is {wanted.type.describe()}; `{word}` is for numbers, `float`", help)
    if len(wanted.shape) > 2:
        raise cannot(f"`{word}` is for numbers and sequences of them", "for pictures write `normalize`")


def _word(step: ColumnStep) -> str:
    return next(name for name, entry in STEPS.items() if entry.make is type(step))


def _values(step: ColumnStep, column: Column, use: Use) -> Array:
    if isinstance(column, Dense | Ragged) and column.dtype.kind in "iufb":
        return column.values
    message = f"`{_word(step)}` is for numbers, the column `{use.column}` is {column.describe()}"
    raise fail("E0514", message, use.wanted.span, help=f'for categories write `one_hot`, or `numeric=["{use.column}"]`')


def _finite(step: ColumnStep, column: Column, use: Use) -> Array:
    """The numbers as float64. Raises E0516 where one is missing or infinite."""
    values = _values(step, column, use).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(axis=1))
    if bad.size:
        row = column.row_of(int(bad[0])) if isinstance(column, Ragged) else int(bad[0])
        message = f"{use.place(row)} of `{use.column}` has no finite number, and `{_word(step)}` needs one"
        raise fail("E0516", message, use.wanted.span, help="put `fill(median)` before it, or leave such rows out")
    return values


def _features(column: Column) -> list[Array]:
    """The finite numbers of each feature: along the last axis, but for numbers and sequences of numbers. A feature
    without any counts as 0."""
    if not isinstance(column, Dense | Ragged) or column.dtype.kind not in "iufb":
        return [np.zeros(1)]
    values = column.values.astype(np.float64)
    table = values.reshape(-1, values.shape[-1] if values.ndim > 1 else 1)
    kept = [feature[np.isfinite(feature)] for feature in table.T]
    return [feature if feature.size else np.zeros(1) for feature in kept]


def _numbers(values: Sequence[object]) -> bool:
    return all(isinstance(x, int | float) for x in values)


def _categories(column: Column, use: Use) -> list[str]:
    """Each row's category as text. Raises E0514 for columns of anything else."""
    if isinstance(column, Labels) and column.classes:
        return [column.classes[number] for number in column.values]
    if isinstance(column, Dense | Labels) and column.shape == () and column.dtype.kind in "iub":
        return [str(int(number)) for number in column.values]
    raise _no_category(column, use)


def _ordered(categories: Sequence[str]) -> list[str]:
    different = set(categories)
    whole = all(c.isascii() and c.removeprefix("-").isdigit() for c in different)
    return sorted(different, key=int) if whole else sorted(different)


def _no_category(column: Column, use: Use) -> Failed:
    message = f"`one_hot` is for categories, the column `{use.column}` is {column.describe()}"
    help = f'name it in the reader: `categorical=["{use.column}"]`'
    return fail("E0514", message, use.wanted.span, help=help)
