"""What a column's values must become to be what an input or target declares, or why they cannot.

Decided once, when data are bound: shape, dtype, range and finiteness are checked over every row, and numbers in memory
are converted once. What is left for each batch is to pick rows, scale the bytes of pictures, and augment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from graphdsl.data.augment import Augment, Picture
from graphdsl.data.boxes import Boxes, conformed, packed
from graphdsl.data.column import Array, Column, Dense, Labels, Numerals, Ragged, Rows, Shape, Texts
from graphdsl.data.images import Images
from graphdsl.data.points import Points
from graphdsl.data.preprocess import NO_STEPS, PLAIN, Preprocess, Step, applied, shaped
from graphdsl.data.running import Windows
from graphdsl.data.sounds import Sounds
from graphdsl.data.vocabulary import Vocabulary
from graphdsl.data.wanted import Wanted
from graphdsl.report import Failed, dataclass, did_you_mean, fail

CHUNK = 1 << 22
Place = Callable[[int], str]


@dataclass(frozen=True, eq=False)
class Suited:
    """A column that suits an input or target.

    picture    it holds bytes of pictures, which are scaled
    names      of the classes that its numbers stand for, empty when there are none
    preprocess the steps that are done to each batch: changes at random come before those that count
    follows    the input whose pictures its boxes are in, and the shape of these before changes at random
    words      what its numbers stand for, where a step of `preprocess` made them of texts
    """

    column: Column
    wanted: Wanted
    augments: tuple[Augment, ...] = ()
    picture: bool = False
    names: tuple[str, ...] = ()
    preprocess: Preprocess = NO_STEPS
    words: Vocabulary | None = None
    follows: tuple[str, Picture] | None = None

    @property
    def drawn_as(self) -> str:
        """Whose chance it takes part in: its own, or that of the pictures its boxes are in."""
        return self.follows[0] if self.follows else self.wanted.name

    @property
    def shape(self) -> Shape:
        """The shape of a sample after all steps."""
        if not self.preprocess.steps:
            return self.column.shape
        shape = self.column.shape
        return shaped(self.preprocess.batchwise, (*shape, 1) if _lacks_channel(shape, self.wanted) else shape)

    @property
    def time(self) -> str:
        """The name of the first axis when it is free, else empty."""
        first = self.wanted.shape[:1]
        return first[0] if first and isinstance(first[0], str) else ""

    def take(self, rows: Rows, sizes: Mapping[str, int], generator: np.random.Generator | None) -> Array:
        """The values of these rows as the network takes them; without a generator, as in validation."""
        if self.follows is not None:
            return self._followed(self.column.take(rows), self.follows[1], generator)
        values = self.column.take(rows, sizes[self.time] if self.time else 0)
        if self.preprocess.steps and _lacks_channel(values.shape[1:], self.wanted):
            values = values[..., None]
        values = applied(self.preprocess.placing, values)
        if self.augments:
            values = self._scaled(values, PLAIN).astype(np.float32, copy=False)
            values = self._scaled(self._augmented(values, generator), self.preprocess.unit / PLAIN)
        else:
            values = self._scaled(values, self.preprocess.unit)
        values = applied(self.preprocess.counting, values)
        shape = [sizes[size] if isinstance(size, str) else size for size in self.wanted.shape]
        return np.ascontiguousarray(values.reshape(len(rows), *shape), self.wanted.type.dtype.numpy)

    def _scaled(self, values: Array, by: float) -> Array:
        return (
            np.multiply(values, by, dtype=np.float32)
            if self.picture and (by != 1 or values.dtype == np.uint8)
            else values
        )

    def _followed(self, marks: Array, picture: Picture, generator: np.random.Generator | None) -> Array:
        """Boxes or points after the changes that pictures of this shape go through by the same chance."""
        boxes = [row[(row[:, 2:4] > 0).all(axis=1)] for row in marks] if self.wanted.boxes else []
        points = marks.astype(np.float64)
        for augment in self.augments:
            drawn = augment.draw(len(marks), picture, generator) if generator else None
            if self.wanted.boxes:
                boxes = augment.follow(boxes, picture, drawn)
            else:
                points = augment.follow_points(points, picture, drawn)
            picture = augment.shape(picture)
        return packed(boxes, marks.shape[1]) if self.wanted.boxes else points.astype(np.float32)

    def _augmented(self, images: Array, generator: np.random.Generator | None) -> Array:
        images = images if images.ndim == 4 else images[..., None]
        for augment in self.augments:
            images = augment.apply(images, generator) if generator else augment.still(images)
        return images


def conform(
    name: str,
    column: Column,
    wanted: Wanted,
    *,
    place: Place,
    augments: tuple[Augment, ...] = (),
    names: tuple[str, ...] = (),
    preprocess: Preprocess = NO_STEPS,
) -> Suited:
    """Makes column `name` suit `wanted`.

    names       the classes known from training; empty: the column's own
    preprocess  the steps for each batch: those for whole columns are done
    Raises E0507 (pictures), E0513 (shape), E0514 (kind of value), E0515 (range), E0516 (NaN), E0517 (unknown class) and
    E0518 (augment).
    """
    column = _sequences(_plain(column, wanted), wanted)
    if isinstance(column, Texts):
        help = "declare it as `int(10000)[T]`: the number of each word, for the 9,998 most frequent ones"
        raise _unfit("E0514", name, column, wanted, help)
    if isinstance(column, Boxes):
        boxes, names = conformed(name, column, wanted, names, place)
        return Suited(_checked(name, boxes, wanted, place), wanted, augments, False, names)
    if isinstance(column, Points) and wanted.points and column.shape == wanted.shape:
        return Suited(_checked(name, Dense(column.values), wanted, place), wanted, augments)
    if isinstance(column, Points) or wanted.points:
        raise _unfit("E0513", name, column, wanted, _points_help(column))
    if isinstance(column, Labels):
        column, names = _known(name, column, wanted, names, place)
    steps = preprocess
    if isinstance(column, Images):
        column = sized(name, column, wanted, preprocess)
        steps = replace(preprocess, steps=preprocess.counting, keys=())
    _check_kind(name, column, wanted)
    _check_shape(name, column, wanted, augments, steps)
    if isinstance(column, Images):
        column = column.kept()
    if _is_picture(column, wanted):
        return Suited(column, wanted, augments, True, names, steps)
    return Suited(_checked(name, column, wanted, place), wanted, augments, False, names, steps)


def _is_picture(column: Column, wanted: Wanted) -> bool:
    """Bytes in two axes or more that go to floats: they are scaled to 0..1."""
    return column.dtype == np.uint8 and len(column.shape) > 1 and wanted.type.dtype.is_float


def _plain(column: Column, wanted: Wanted) -> Column:
    """Recordings as sequences of numbers, and digits of names as classes where a class is asked."""
    if isinstance(column, Sounds):
        return column.sequences()
    if isinstance(column, Numerals) and wanted.classes and not wanted.shape:
        return Labels(column.values, tuple(map(str, range(wanted.classes))))
    return column


def _sequences(column: Column, wanted: Wanted) -> Column:
    """Sequences of one length are rows of one array, numbers where `int(n)[T]` is asked are sequences of one."""
    free = isinstance(wanted.shape[0], str) if wanted.shape else False
    if isinstance(column, Ragged) and not free:
        return column.dense() or column
    if isinstance(column, Dense) and column.shape == () and wanted.sequence and free:
        return Dense(column.values[:, None])
    return column


def _known(
    name: str, column: Labels, wanted: Wanted, names: tuple[str, ...], place: Place
) -> tuple[Labels, tuple[str, ...]]:
    """The labels by the class numbers of training. A class that training has not seen is E0517."""
    if not names or not column.classes or names == column.classes:
        return column, names or column.classes
    numbers = {known: i for i, known in enumerate(names)}
    for i, given in enumerate(column.classes):
        if given not in numbers and (column.values == i).any():
            where = place(int(np.argmax(column.values == i)))
            help = did_you_mean(given, names) or f"known classes: {', '.join(names[:20])}"
            raise fail(
                "E0517",
                f"{where}: `{given}` in `{name}` is no class that {wanted.title} was trained on",
                wanted.span,
                help=help,
            )
    table = np.array([numbers.get(given, 0) for given in column.classes], np.int64)
    return Labels(table[column.values], names), names


def sized(name: str, column: Images, wanted: Wanted, preprocess: Preprocess) -> Images:
    """Sizes left open are taken from the steps, or else from the input. E0513 when it does not say them either."""
    shape = wanted.shape if len(wanted.shape) != 2 else (*wanted.shape, 1)
    if len(shape) != 3 or shape[2] not in (1, 3, 4):
        raise _unfit(
            "E0513", name, column, wanted, "pictures need `float[height, width, channels]` with 1, 3 or 4 channels"
        )
    if preprocess.steps:
        column = column.stepped(preprocess.placing, preprocess.channels(int(shape[2])))
        if None not in column.shape:
            return column
    height, width = (column.height or shape[0]), (column.width or shape[1])
    if isinstance(height, str) or isinstance(width, str):
        raise _unfit("E0513", name, column, wanted, "give the reader a `size`, or the input a height and width")
    return column.sized(height, width, int(shape[2]))


def _check_kind(name: str, column: Column, wanted: Wanted) -> None:
    """Numbers are never silently turned into class numbers, nor classes into quantities."""
    whole = not wanted.type.dtype.is_float
    if whole and column.dtype.kind == "f":
        raise _unfit("E0514", name, column, wanted, "give whole numbers, or declare it as `float`")
    if whole or not isinstance(column, Labels):
        return
    count = int(column.values.max(initial=0)) + 1
    if wanted.shape not in ((), (1,)) or count > 2 or column.values.min(initial=0) < 0:
        raise _unfit(
            "E0514",
            name,
            column,
            wanted,
            f"classes are whole numbers: declare `{wanted.role} {wanted.name}: int({count})`",
        )


def _check_shape(
    name: str, column: Column, wanted: Wanted, augments: tuple[Augment, ...], preprocess: Preprocess
) -> None:
    shape = column.shape
    if preprocess.steps:
        shape = _stepped_shape(column, wanted, preprocess.placing, preprocess)
    if augments:
        shape = _augmented_shape(name, column, shape, wanted, augments)
    shape = shaped(preprocess.counting, shape)
    widened = (*shape, 1) if wanted.shape[-1:] == (1,) else shape
    narrowed = shape[:-1] if shape[-1:] == (1,) else shape
    for candidate in (shape, widened, narrowed):
        if len(candidate) == len(wanted.shape) and all(map(_fits, candidate, wanted.shape)):
            return
    what = "preprocessing" if preprocess.steps else "augmentation"
    after = f", {list(shape)} after {what}" if shape != column.shape else ""
    raise _unfit("E0513", name, column, wanted, _shape_help(shape, wanted), after)


def _fits(have: int | None, want: int | str) -> bool:
    return isinstance(want, str) or have == want


def _lacks_channel(shape: Shape, wanted: Wanted) -> bool:
    """Whether grey pictures come without their axis of one channel."""
    return wanted.shape[-1:] == (1,) and len(shape) == len(wanted.shape) - 1


def _stepped_shape(column: Column, wanted: Wanted, steps: tuple[Step, ...], preprocess: Preprocess) -> Shape:
    if not wanted.type.dtype.is_float:
        raise fail("E0518", f"{wanted.title} takes class numbers, which cannot be preprocessed", preprocess.span)
    return shaped(steps, (*column.shape, 1) if _lacks_channel(column.shape, wanted) else column.shape)


def _augmented_shape(name: str, column: Column, shape: Shape, wanted: Wanted, augments: tuple[Augment, ...]) -> Shape:
    shape = (*shape, 1) if len(shape) == 2 else shape
    sized = all(isinstance(size, int) for size in (*shape, *wanted.shape))
    if len(shape) != 3 or not sized or not wanted.type.dtype.is_float:
        raise _unfit("E0518", name, column, wanted, "only pictures, `float[height, width, channels]`, can be augmented")
    picture = (int(shape[0] or 0), int(shape[1] or 0), int(shape[2] or 0))
    for augment in augments:
        picture = augment.shape(picture)
    return picture


def _points_help(column: Column) -> str:
    if isinstance(column, Points):
        return f"declare it `target points: point[{column.shape[0]}]`"
    return "the readers `points` and `pts` read such, and arrays [rows, n, 2] of fractions of the picture"


def _shape_help(shape: Shape, wanted: Wanted) -> str:
    if None in shape:
        rest = "".join(f", {size}" for size in shape[1:])
        return f"its rows differ in length: declare a free size, `{wanted.name}: float[T{rest}]` or `int(n)[T{rest}]`"
    sizes = [size for size in shape if size is not None]
    declared = [size for size in wanted.shape if isinstance(size, int)]
    words = f"declare it as `[{', '.join(map(str, sizes))}]`" if sizes else "declare it without a shape, or as `[1]`"
    if len(declared) == len(wanted.shape) and np.prod(sizes) == np.prod(declared) and len(sizes) > len(declared):
        return f"{words} and let it flow `-> flatten`"
    if not sizes and wanted.shape and not wanted.classes:
        return "class numbers are not turned into vectors: declare it as `int(n)`" if wanted.role == "target" else words
    return words


def _checked(name: str, column: Column, wanted: Wanted, place: Place) -> Column:
    """The column with its numbers tested, and converted where they are in memory."""
    if isinstance(column, Ragged):
        values = _tested(name, column.values, wanted, lambda i: place(column.row_of(i)))
        return column.with_values(values)
    if isinstance(column, Dense | Labels | Windows):
        return replace(column, values=_tested(name, column.values, wanted, place))
    return column


def _tested(name: str, values: Array, wanted: Wanted, place: Place) -> Array:
    """The values in the wanted dtype; mapped ones stay in their file and are converted batch by batch."""
    dtype = wanted.type.dtype.numpy
    step = max(1, CHUNK // max(1, int(np.prod(values.shape[1:]))))
    chunks = [_bad(values[i : i + step], wanted, dtype) for i in range(0, len(values), step)]
    bad = np.flatnonzero(np.concatenate(chunks)) if chunks else np.zeros(0, np.int64)
    if bad.size and wanted.type.dtype.is_float:
        raise _wild(name, values, bad, wanted, place)
    if bad.size:
        raise _outside(name, values, bad, wanted, place)
    return values if isinstance(values, np.memmap) else values.astype(dtype, copy=False)


def _bad(values: Array, wanted: Wanted, dtype: np.dtype[Any]) -> Array:
    """bool [rows]: which hold a number that is not finite (after conversion), or is outside the classes."""
    if wanted.type.dtype.is_float:
        if values.dtype.kind != "f":
            return np.zeros(len(values), bool)
        bad = _not_finite(values, dtype)
        bad &= ~np.isnan(values) if wanted.partial else True
    else:
        low, high = (0, wanted.classes) if wanted.classes else (-(2**31), 2**31)
        bad = (values < low) | (values >= high)
    return np.asarray(bad.reshape(len(values), -1).any(axis=1))


def _not_finite(values: Array, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore"):
        return np.asarray(~np.isfinite(values.astype(dtype, copy=False)))


def _wild(name: str, values: Array, bad: Array, wanted: Wanted, place: Place) -> Failed:
    """E0516. Says the index inside the row too, where a row is more than one number."""
    row = np.asarray(values[bad[0]])
    wild = _not_finite(row, wanted.type.dtype.numpy)
    inner = np.argwhere(wild & ~np.isnan(row) if wanted.partial else wild)[0].tolist()
    where = f"{place(int(bad[0]))} of `{name}`" + (f" at {inner}" if inner else "")
    more = f" ({bad.size} rows hold such values)" if bad.size > 1 else ""
    message = f"{where} is {row[tuple(inner)]}; {wanted.title} needs finite numbers{more}"
    help = "repair the data or leave those rows out; rows count from 0"
    if wanted.role == "target" and np.isnan(row).any():
        sizes = f"[{', '.join(map(str, wanted.shape))}]" if wanted.shape else ""
        help += f"; of `target {wanted.name}: float?{sizes}` entries may be unknown"
    return fail("E0516", message, wanted.span, help=help)


def _outside(name: str, values: Array, bad: Array, wanted: Wanted, place: Place) -> Failed:
    """E0515."""
    low, high = (0, wanted.classes) if wanted.classes else (-(2**31), 2**31)
    row = np.asarray(values[bad[0]]).ravel()
    found = row[(row < low) | (row >= high)][0]
    more = f" ({bad.size} rows are outside)" if bad.size > 1 else ""
    largest = int(values.max())
    where, allowed = f"{place(int(bad[0]))} of `{name}`", f"{wanted.type.describe()}: {low} to {high - 1}"
    message = f"{where} is {found}; {wanted.title} is {allowed}{more}"
    fewest = f"declare `int({largest + 1})`" if largest >= high else "class numbers begin with 0"
    return fail("E0515", message, wanted.span, help=f"{fewest}; rows count from 0")


def _unfit(code: str, name: str, column: Column, wanted: Wanted, help: str, after: str = "") -> Failed:
    message = f"{wanted.title} is {wanted.type.describe()}, the column `{name}` is {column.describe()}{after}"
    return fail(code, message, wanted.span, help=help)
