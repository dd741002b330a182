"""`graphdsl anchors model.dag`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from graphdsl.cli.options import Answer, answers, counted, settings_option
from graphdsl.data import READERS, Anchors, Dataset, Places, chosen, shared_out, suits, written
from graphdsl.ir import Array
from graphdsl.model import Head, Sizes, compile, heads_of, sizes_learned, sizes_of
from graphdsl.report import fail

COUNT = 5
"""Anchors where nothing says how many: as Redmon and Farhadi 2016 took."""
MOST = 64
SPECS = (".dag", ".safetensors")
BAD = ("stop", "skip", "clip")
CURVE = 9
"""How many anchors the curve goes up to, at least."""


def _pixels(ctx: click.Context, option: click.Parameter, value: str | None) -> tuple[int, int] | None:
    """`240x320`: height and width, as everywhere in a spec but in anchors."""
    parts = value.split("x") if value is not None else []
    if len(parts) > 2 or not all(part.isdecimal() and 0 < int(part) < 1 << 16 for part in parts):
        raise click.BadParameter(f"write it as 240x320, height and width in pixels, not {value!r}", ctx, option)
    return (int(parts[0]), int(parts[-1])) if parts else None


@click.command()
@click.argument("source", metavar="SPEC.dag|DATA", type=click.Path())
@click.option(
    "--count", type=click.IntRange(1, MOST), help=f"How many. Default: those of the spec's heads, or {COUNT}."
)
@click.option("--size", metavar="HEIGHTxWIDTH", callback=_pixels, help="Of what the network sees, where DATA is given.")
@click.option("--part", metavar="NAME", help="A list of DATA in Pascal VOC's layout: `train`.")
@click.option("--pictures", metavar="FOLDER", help="The pictures of DATA in a .json or .csv file. Default: beside it.")
@click.option(
    "--bad", type=click.Choice(BAD), help=f"What happens to bad boxes. Default: what a spec says, or {BAD[0]}."
)
@click.option("--heads", type=click.IntRange(1, MOST), help="How many heads share them, where DATA is given.")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, help="Of the draws that k-means begins with.")
@settings_option
@answers
def command(
    source: str,
    count: int | None,
    size: tuple[int, int] | None,
    part: str | None,
    pictures: str | None,
    bad: str | None,
    heads: int | None,
    seed: int,
    settings: dict[str, str],
) -> Answer:
    """Anchors for a detector that suit the boxes of its data, by k-means over how much shapes overlap.

    With a spec: the boxes that it trains on, as its `preprocess` leaves them, shared out among its heads. DATA is a
    folder in the layout of Pascal VOC or with YOLO's text files, a .json file of COCO, or a .csv file of boxes.

    \b
    graphdsl anchors model.dag
    graphdsl anchors model.dag --count 9
    graphdsl anchors VOC2007/ --part train --size 416x416 --heads 3 --count 9
    graphdsl anchors instances.json --pictures photos/ --size 416x416
    """
    if source.endswith(SPECS):
        _demand_none(("--size", size), ("--part", part), ("--pictures", pictures), ("--heads", heads))
        model = compile(source, settings)
        known, found = heads_of(model.spec), sizes_learned(model, bad)
    else:
        if size is None:
            raise click.UsageError("anchors are in pixels of what the network sees: give its --size, such as 240x320")
        known, found = [], sizes_of(_read(source, part, pictures, bad or BAD[0]), size)
    own = sum(len(head.anchors) for head in known)
    wanted = count or own or COUNT
    made = chosen(found.sizes, wanted, seed)
    names = [head.name for head in known] or [f"head {k + 1}" for k in range(min(heads or 1, wanted))]
    if len(names) > wanted:
        raise click.UsageError(f"--count {wanted} is less than the spec has heads, {len(names)}")
    shares = [len(head.anchors) for head in known][::-1] if wanted == own else shared_out(wanted, len(names))
    return _answer(found, known, names, _shared(made, shares), made, _curve(found.sizes, wanted, seed))


def _demand_none(*given: tuple[str, object]) -> None:
    for option, value in given:
        if value is not None:
            raise click.UsageError(f"{option} goes with data; a spec says it itself")


def _read(source: str, part: str | None, pictures: str | None, bad: str) -> Dataset:
    """The boxes and pictures in files, by the reader that their names ask for. Raises E0519 where none does."""
    places = Places()
    path = places.find(source)
    settings: dict[str, Any] = {"path": source, "bad": bad}
    if path.is_dir() or path.suffix.lower() == ".txt":
        reader = "voc" if (path / "Annotations").is_dir() else "yolo"
        settings |= {"part": part} if reader == "voc" else {}
    elif path.suffix.lower() == ".json":
        reader, settings = "coco", settings | {"pictures": pictures or str(path.parent)}
    elif path.suffix.lower() == ".csv":
        reader, settings = "boxes", settings | {"pictures": pictures}
    else:
        help = "give a spec, a folder with `Annotations` or with pictures and .txt files, or a .json or .csv file"
        raise fail("E0519", f"`{source}` cannot be read as pictures with boxes", help=help)
    if part is not None and reader != "voc":
        raise click.UsageError(f"--part names a list of Pascal VOC, and `{source}` is read by `{reader}`")
    found: Dataset = READERS[reader].make(**settings).read(places)
    return found


def _shared(made: Anchors, shares: Sequence[int]) -> list[Array]:
    """The anchors of each head, the smallest first, that with the smallest anchors last: as heads are listed."""
    ends = np.cumsum(shares)
    return [made.shapes[end - share : end] for end, share in zip(ends, shares, strict=True)][::-1]


def _curve(sizes: Array, wanted: int, seed: int) -> list[float]:
    """The mean overlap of 1, 2, 3 … anchors, as far as there are boxes of different sizes."""
    most = min(max(CURVE, wanted + 1), len(np.unique(sizes, axis=0)))
    return [chosen(sizes, k, seed).mean for k in range(1, most + 1)]


def _answer(
    found: Sizes,
    known: Sequence[Head],
    names: Sequence[str],
    shares: Sequence[Array],
    made: Anchors,
    curve: list[float],
) -> Answer:
    height, width = found.seen
    rows = [
        f"{counted(len(found.sizes), 'box', 'boxes')} of {counted(found.pictures, 'picture')}, as {height}x{width}",
        "",
    ]
    wide = max(map(len, names))
    for place, (name, share) in enumerate(zip(names, shares, strict=True)):
        cells = f"  {known[place].rows}x{known[place].columns} cells" if known else ""
        rows.append(f"  {name:<{wide}}{cells}  anchors={written(share)}")
    now = np.array([anchor for head in known for anchor in head.anchors])
    before = f"; of those in the spec {suits(found.sizes, now):.4f}" if len(now) else ""
    rows += ["", f"mean overlap of a box with its best anchor {made.mean:.4f}{before}", "", "anchors  mean overlap"]
    rows += [f"{k:>7}  {mean:.4f}" for k, mean in enumerate(curve, 1)]
    data: dict[str, Any] = {"boxes": len(found.sizes), "pictures": found.pictures, "size": [height, width]}
    data |= {"anchors": [s.tolist() for s in shares], "heads": list(names), "mean": made.mean, "curve": curve}
    return Answer("\n".join(rows), data | ({"spec_mean": suits(found.sizes, now)} if len(now) else {}))
