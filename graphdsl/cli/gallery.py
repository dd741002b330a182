"""`graphdsl gallery add people.safetensors model.safetensors Ada ada.png`, and what is asked of such a file."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Sequence, Sized
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from graphdsl.cli.given import dataset, files_of
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, counted, note, settings_option, tables, weights_option
from graphdsl.cli.weights import load
from graphdsl.data import INPUT, Dataset, Dense, Labels, Numerals, Places, read
from graphdsl.ir import Array
from graphdsl.learn import MOST_JUDGED, rates_of_embeddings
from graphdsl.model import Embedder, Gallery, Model, Seen, compile, embedder, judged, read_gallery
from graphdsl.report import fail

F = TypeVar("F", bound=Callable[..., Any])

NO = 4
"""The exit code of an answer that is no."""
UNKNOWN = "not recognized"


class Finite(click.FloatRange):
    """A number in a range; `nan` and `inf`, which are in no range of thresholds, click lets pass."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = click.FloatRange.convert(self, value, param, ctx)
        if not np.isfinite(found):
            self.fail(f"{value} is no finite number.", param, ctx)
        return found


_gallery = click.argument("gallery", metavar="GALLERY", type=click.Path(dir_okay=False))
_model = click.argument("spec", metavar="MODEL", type=click.Path())
_name = click.argument("name", metavar="NAME")
_pictures = click.argument("data", metavar="PICTURE…", nargs=-1, required=True)
_threshold = click.option(
    "--threshold",
    type=Finite(0),
    help="The largest squared distance that counts as the same. Default: the gallery's.",
)


def of_model(function: F) -> F:
    """Decorator: the options that say what makes embeddings."""
    layer = click.option("--features", "layer", metavar="LAYER", help="What is the embedding. Default: the output.")
    return layer(weights_option(settings_option(backend_option(function))))


@click.group(name="gallery")
def command() -> None:
    """Names for what a model embeds: who is it, without training anew.

    A gallery is one file with the embedding of each picture that was added, its name and a threshold. MODEL is a file
    of weights, which holds its spec, the folder of a run, or a spec; its output, or a layer, is the embedding, such as
    `triplet` trains.

    \b
    graphdsl gallery calibrate people.safetensors faces.safetensors "known/{person}/*.png"
    graphdsl gallery add people.safetensors faces.safetensors Ada ada.png
    graphdsl gallery verify people.safetensors faces.safetensors Ada photo.png
    graphdsl gallery identify people.safetensors faces.safetensors photos/
    graphdsl gallery list people.safetensors
    graphdsl gallery remove people.safetensors Ada
    """


@command.command()
@_gallery
@_model
@_name
@_pictures
@of_model
@answers
def add(gallery: str, spec: str, name: str, data: tuple[str, ...], **options: Any) -> Answer:
    """Add a person by one PICTURE or several. GALLERY is made where there is none.

    NAME in braces takes the names out of those of the files: a person each. The very same picture counts once.

    \b
    graphdsl gallery add people.safetensors faces.safetensors Ada ada.png
    graphdsl gallery add people.safetensors faces.safetensors "{person}" "photos/{person}/1.png"
    """
    known = read_gallery(Path(gallery)) if Path(gallery).exists() else Gallery()
    eye, given = looking(spec, options), pictures(data)
    found, model = eye.of(given), eye.fingerprint
    column = re.fullmatch(r"\{(\w+)\}", name)
    whose = truth(given, column[1]) if column else [name] * len(found)
    before, given_of = known.people, Counter(whose)
    for own in given_of:
        known = known.add(own, found[[n == own for n in whose]], model)
    known.save(Path(gallery))
    added = {own: known.people[own] - before.get(own, 0) for own in given_of}
    lines = [added_of(own, count, given_of[own] - count) for own, count in added.items()]
    more = [] if known.threshold is not None else ["no threshold yet: graphdsl gallery calibrate says which"]
    return Answer("\n".join([*lines, *more]), {"added": added, "people": known.people, "threshold": known.threshold})


@command.command()
@_gallery
@_model
@_name
@_pictures
@_threshold
@of_model
@tables
def verify(
    gallery: str, spec: str, name: str, data: tuple[str, ...], threshold: float | None, **options: Any
) -> Answer:
    """Is it this person? Yes or no for each PICTURE; the exit code is 4 where one is no."""
    known = read_gallery(Path(gallery))
    known.demand(name)
    limit = known.limit(threshold)
    given = pictures(data)
    seen = known.verify(name, asked(known, spec, options, given), limit)
    rows = [{**row(file, s, limit), "same": s.known} for file, s in zip(names_of(given, len(seen)), seen, strict=True)]
    lines = table([(r["file"], "yes" if r["same"] else "no", told(r)) for r in rows])
    code = 0 if all(s.known for s in seen) else NO
    return Answer(lines, {"name": name, "pictures": rows}, code, lambda: as_csv(rows))


@command.command()
@_gallery
@_model
@_pictures
@_threshold
@click.option("--truth", metavar="COLUMN", help="The true names are in those of the files: say how often it is right.")
@of_model
@tables
def identify(
    gallery: str, spec: str, data: tuple[str, ...], threshold: float | None, truth: str | None, **options: Any
) -> Answer:
    """Who is on each PICTURE: a name of the gallery, or `not recognized` where the nearest is beyond the threshold.

    \b
    graphdsl gallery identify people.safetensors faces.safetensors photos/
    graphdsl gallery identify people.safetensors faces.safetensors "new/{person}/*.png" --truth person
    """
    known = read_gallery(Path(gallery))
    limit, given = known.limit(threshold), pictures(data)
    right = true_names(given, truth) if truth else []
    seen = known.identify(asked(known, spec, options, given), limit)
    rows = [
        {**row(file, s, limit), "name": s.name if s.known else None, "nearest": s.name}
        for file, s in zip(names_of(given, len(seen)), seen, strict=True)
    ]
    lines = table([(r["file"], r["name"] or UNKNOWN, told(r, r["name"] is None)) for r in rows])
    counts = judged(seen, right, known.people) if truth else {}
    answer = {"pictures": rows} | ({"judged": counts} if counts else {})
    return Answer("\n".join([lines, *summed(counts)]), answer, csv=lambda: as_csv(rows))


@command.command()
@_gallery
@_model
@click.argument("data", metavar="[PICTURE…]", nargs=-1)
@click.option("--truth", metavar="COLUMN", help="The part of the files' names that says who it is, where several do.")
@click.option(
    "--far",
    type=Finite(0, 1),
    help="Accept at most this part of pairs of two people. Default: as many errors of one kind as of the other.",
)
@of_model
@answers
def calibrate(
    gallery: str, spec: str, data: tuple[str, ...], truth: str | None, far: float | None, **options: Any
) -> Answer:
    """Measure the threshold, on all pairs of pictures of people whose names are known, and keep it in GALLERY.

    Without PICTUREs those of the spec's `test`, or else `valid`, are taken; of more than 5,000 the first. Take people
    that MODEL was not trained on: it tells those apart better than any others. With a gallery of many people a stranger
    has many chances to be near to one of them: `--far 0.001` allows for that.

    \b
    graphdsl gallery calibrate people.safetensors faces.safetensors "known/{person}/*.png" --far 0.01
    """
    known = read_gallery(Path(gallery)) if Path(gallery).exists() else Gallery()
    eye = looking(spec, options)
    given = pictures(data) if data else of_spec(eye.model)
    names = true_names(given, truth)
    demand_pairs(names[:MOST_JUDGED])
    _, numbers = np.unique(names, return_inverse=True)
    codes, judged_on = eye.of(given), names[:MOST_JUDGED]
    rates = rates_of_embeddings(codes, numbers)
    limit = rates.threshold(far)
    known.limited(limit, eye.fingerprint).save(Path(gallery))
    false, true = rates.at(limit)
    if true == 0:
        note([nobody(codes[:MOST_JUDGED], judged_on, names_of(given, len(codes)))])
    accepted = {"false_accept": false, "false_reject": 1 - true}
    pairs = {"genuine": int(rates.genuine[-1]), "impostors": rates.impostors}
    lines = [
        f"threshold {limit:.4g}, on {counted(len(judged_on), 'picture')} of {people_of(set(judged_on))}",
        f"accepts {accepted['false_accept']:.2%} of {counted(pairs['impostors'], 'pair')} of two people",
        f"refuses {accepted['false_reject']:.2%} of {counted(pairs['genuine'], 'pair')} of one person",
        f"equal error rate {rates.equal_error:.2%}",
    ]
    data_ = {"threshold": limit, **accepted, **pairs, "equal_error_rate": rates.equal_error}
    return Answer("\n".join(lines), data_)


@command.command(name="list")
@_gallery
@answers
def listed(gallery: str) -> Answer:
    """Who is in GALLERY, with how many pictures, and its threshold."""
    known = read_gallery(Path(gallery))
    limit = "no threshold" if known.threshold is None else f"threshold {known.threshold:.4g}"
    rows = [(name, counted(count, "picture")) for name, count in known.people.items()]
    lines = [f"{people_of(known.people)}, {limit}", table(rows)]
    return Answer("\n".join(filter(None, lines)), {"people": known.people, "threshold": known.threshold})


@command.command()
@_gallery
@click.argument("names", metavar="NAME…", nargs=-1, required=True)
@answers
def remove(gallery: str, names: tuple[str, ...]) -> Answer:
    """Take people out of GALLERY, with all their pictures; all that are named, or none."""
    known, named = read_gallery(Path(gallery)), list(dict.fromkeys(names))
    for name in named:
        known = known.remove(name)
    known.save(Path(gallery))
    left = f"{people_of(known.people)} {'is' if len(known.people) == 1 else 'are'} left"
    return Answer(f"removed {', '.join(named)}; {left}", {"removed": named, "people": known.people})


def looking(spec: str, options: dict[str, Any]) -> Embedder:
    """The model of the command line, with its weights."""
    model = compile(spec, options["settings"], backend=options["backend"])
    found = embedder(model, options["layer"])
    load(model, options["weights"], layer=found.layer)
    return found


def asked(known: Gallery, spec: str, options: dict[str, Any], given: Dataset) -> Array:
    """What MODEL makes of samples. Raises E0623 where the gallery is of another model."""
    eye = looking(spec, options)
    known.demand_model(eye.fingerprint)
    return eye.of(given)


def pictures(data: tuple[str, ...]) -> Dataset:
    """Those that the command line names."""
    found = dataset(data)
    assert found is not None
    return found


def of_spec(model: Model) -> Dataset:
    """What the spec's last section is tested or validated on. Raises E0615 where it names no such data."""
    made = next((m for plan in reversed(model.plans) for m in (plan.test, plan.valid) if m is not None), None)
    if made is None:
        help = 'name pictures with the people in their names: "known/{person}/*.png"'
        raise fail("E0615", "the spec names neither `test` nor `valid` to measure a threshold on", help=help)
    return read(made, Places(Path(model.spec.source.path).parent)).dataset


def demand_pairs(names: Sequence[str]) -> None:
    """Raises E0622 where no two pictures are of one person, or all are."""
    shown = Counter(names)
    if 1 < len(shown) < len(names):
        return
    whom = "one person" if len(shown) > 1 else "two people"
    help = 'take several people, and at least two pictures of each of some: `"known/{person}/*.png"`'
    told = f"{counted(len(names), 'picture')} of {people_of(shown)}"
    raise fail("E0622", f"there is no pair of {whom} among {told}, so no error rate", help=help)


def truth(given: Dataset, column: str) -> list[str]:
    """What a column says in words. Raises E0624 where there is no such one."""
    match given.columns.get(column):
        case Labels() as known if known.classes:
            return [known.classes[i] for i in known.values.tolist()]
        case Numerals() as known:
            return list(known.texts)
        case Labels() | Dense() as known:
            return [str(value) for value in known.values.tolist()]
    named = [f"`{name}`" for name in given.columns if given.roles.get(name) != INPUT]
    help = f"there is {', '.join(named)}" if named else f'put it into the pattern: "photos/{{{column}}}/*.png"'
    raise fail("E0624", f"the names of files say no `{column}`", help=help)


def true_names(given: Dataset, column: str | None) -> list[str]:
    """Those of a column, or of the only one that tells classes or stands in the names of files."""
    told = [name for name, known in given.columns.items() if isinstance(known, Labels | Numerals)]
    if column is None and len(told) > 1:
        listed = " and ".join(f"`{name}`" for name in told)
        raise fail("E0624", f"{listed} may each say who it is", help=f"`--truth {told[0]}`, or another of them")
    return truth(given, column or next(iter(told), "person"))


def nobody(codes: Array, names: Sequence[str], files: Sequence[str]) -> str:
    """Why a threshold accepts no pair of one person: which two pictures of two people are nearest to each other."""
    people, found = np.array(names), (float("inf"), 0, 0)
    for i in range(len(codes) - 1):
        others = np.flatnonzero(people[i + 1 :] != people[i]) + i + 1
        apart = np.square(codes[others].astype(np.float64) - codes[i]).sum(axis=1)
        if len(others) and apart.min() < found[0]:
            found = (float(apart.min()), i, int(others[apart.argmin()]))
    distance, i, j = found
    pair = f"`{files[i]}` of {names[i]} and `{files[j]}` of {names[j]} are {distance:.4g} apart"
    return f"this threshold accepts nobody: {pair}; is one of them filed under a wrong name? Or give a larger `--far`"


def names_of(given: Dataset, count: int) -> list[str]:
    """What samples are called: their files, or numbers."""
    return files_of(given) or [str(i) for i in range(count)]


def row(file: str, seen: Seen, limit: float) -> dict[str, Any]:
    """What is known of a picture, for programs; a distance to nobody is none."""
    return {"file": file, "distance": seen.distance if np.isfinite(seen.distance) else None, "threshold": limit}


def told(row: dict[str, Any], stranger: bool = False) -> str:
    """How far it is, and from whom where that is not said yet."""
    if row["distance"] is None:
        return "the gallery is empty"
    whom = f", nearest {row['nearest']}" if stranger else ""
    return f"distance {row['distance']:.4f}, threshold {row['threshold']:.4f}{whom}"


def summed(counts: dict[str, int]) -> list[str]:
    """How often it was right."""
    if not counts:
        return []
    return [
        f"of {counts['known']} pictures of people in the gallery: {counts['recognised']} recognised, "
        f"{counts['confused']} taken for another, {counts['missed']} not recognised",
        f"of {counts['strangers']} pictures of strangers: {counts['accepted']} taken for somebody",
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns, two spaces apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(r, widths, strict=True)).rstrip() for r in rows)


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """A row a picture."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["file"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def added_of(name: str, count: int, same: int) -> str:
    """What became of the pictures of somebody."""
    left = f"; {counted(same, 'picture')} the gallery has already, left out" if same else ""
    return f"added {name}: {counted(count, 'picture')}{left}"


def people_of(people: Sized) -> str:
    """`1 person`, `2 people`."""
    return counted(len(people), "person", "people")
