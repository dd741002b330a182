"""Boxes that were found in pictures, for other programs: a table of them, and COCO's list of detections."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from graphdsl.data import Places, coco_ids
from graphdsl.ir import Made
from graphdsl.lang import Spec
from graphdsl.model import Found
from graphdsl.report import fail, json_text

FoundBy = Mapping[str, Sequence[Sequence[Found]]]
"""For each head what it found in each picture."""

COLUMNS = ("class", "score", "left", "top", "width", "height")


def boxes_csv(found: FoundBy, files: Sequence[str]) -> str:
    """A row a box: `file`, or `sample` where there are no files, then COLUMNS; with several heads also `output`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    several = len(found) > 1
    writer.writerow(["file" if files else "sample", *(["output"] if several else []), *COLUMNS])
    for name, pictures in found.items():
        for i, picture in enumerate(pictures):
            head = [files[i] if files else i, *([name] if several else [])]
            writer.writerows([*head, t.label, f"{t.score:.6g}", *(f"{x:.6g}" for x in t.box)] for t in picture)
    return buffer.getvalue()


def as_coco(found: FoundBy, files: Sequence[str], spec: Spec, given: str | None) -> str:
    """COCO's JSON of detections: a list of image_id, category_id, bbox [left, top, width, height] in pixels, score.

    given   a file of annotations that says the ids of pictures, by the names of their files, with folders where these
            tell them apart, and of classes, by name. None: one that a reader `coco` of the spec names and that knows
            all of these. Otherwise image_id is the number that each
            file has for a name (`000000397133.jpg`), or where one has none, its place among the files, from 1; and
            category_id is the number of the class, from 1
    Raises E0519 where there are no boxes, no files, two of one name, or given does not know one of them.
    """
    if not found or not files:
        why = "there are no boxes" if not found else "boxes of what is no picture file are fractions, not pixels"
        raise fail("E0519", f"no COCO detections: {why}", help="give pictures to a detector, one that ends in `nms`")
    things = [
        (file, thing) for pictures in found.values() for file, p in zip(files, pictures, strict=True) for thing in p
    ]
    ids, classes = _ids(files, [thing for _, thing in things], spec, given)
    rows = [
        {
            "image_id": ids[file],
            "category_id": classes[thing.label],
            "bbox": list(thing.box),
            "score": thing.score,
        }
        for file, thing in things
    ]
    return json_text(rows)


def _ids(
    files: Sequence[str], things: Sequence[Found], spec: Spec, given: str | None
) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Of all files, and of all classes."""
    labels = dict.fromkeys(thing.label for thing in things)
    if given is not None:
        ids = coco_ids(Places().find(given))
        own = {file: id for file in files if (id := ids.picture(Path(file))) is not None}
        _demand_known(files, own, ids.pictures, "picture", given)
        _demand_known(list(labels), ids.classes, ids.classes, "class", given)
        _demand_different(files, [own[file] for file in files])
        return own, ids.classes
    for path in _read_by(spec):
        ids = coco_ids(path)
        own = {file: id for file in files if (id := ids.picture(Path(file))) is not None}
        if len({*own.values()}) == len(files) and set(labels) <= set(ids.classes):
            return own, ids.classes
    names = [Path(file).name for file in files]
    _demand_different(files, names)
    return dict(zip(files, _numbered(names), strict=True)), {thing.label: thing.number + 1 for thing in things}


def _demand_different(files: Sequence[str], told: Sequence[object]) -> None:
    """told: what each file is known by."""
    twice = next((what for what, count in Counter(told).items() if count > 1), None)
    if twice is not None:
        alike = [file for file, what in zip(files, told, strict=True) if what == twice]
        message = f"{len(alike)} pictures are called `{Path(alike[0]).name}`, and COCO tells them apart by their names"
        raise fail("E0519", message, help="predict one folder at a time, or save a table: `-o found.csv`")


def _demand_known(
    wanted: Sequence[str], found: Mapping[str, int], known: Mapping[str, int], what: str, given: str
) -> None:
    """known: all that given knows; of these found is what was asked for."""
    strange = next((Path(name).name if what == "picture" else name for name in wanted if name not in found), None)
    if strange is not None:
        shown = ", ".join(list(known)[:5])
        several = sum(PurePosixPath(name).name == strange for name in known) if what == "picture" else 0
        help = f"it knows {shown}{' …' if len(known) > 5 else ''}; names must be the same, letter by letter"
        told = f"{several} pictures `{strange}`, in other folders" if several > 1 else f"no {what} `{strange}`"
        raise fail("E0519", f"`{given}` knows {told}", help=help)


def _read_by(spec: Spec) -> list[Path]:
    """The files of annotations that readers of the spec name and that are there, those of later sections first."""
    made = [value for section in spec.sections for value in section.settings.values() if isinstance(value, Made)]
    folder = Path(spec.source.path).parent
    paths = [place / str(m.settings["path"]) for m in reversed(made) if m.name == "coco" for place in (folder, Path())]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _numbered(names: Sequence[str]) -> list[int]:
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(s) for s in stems}) == len(stems):
        return [int(stem) for stem in stems]
    return [place for place, _ in enumerate(names, 1)]
