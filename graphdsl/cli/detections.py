"""Boxes that were found in pictures, for other programs: a table of them, and COCO's list of detections."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from graphdsl.data import CocoIds, Places, coco_ids
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

    given   a file of annotations that says the ids of pictures, by file name, and of classes, by name. None: one that
            a reader `coco` of the spec names and that knows all of these. Otherwise image_id is the number that each
            file has for a name (`000000397133.jpg`), or where one has none, its place among the files, from 1; and
            category_id is the number of the class, from 1
    Raises E0519 where there are no boxes, no files, two of one name, or given does not know one of them.
    """
    if not found or not files:
        why = "there are no boxes" if not found else "boxes of what is no picture file are fractions, not pixels"
        raise fail("E0519", f"no COCO detections: {why}", help="give pictures to a detector, one that ends in `nms`")
    _demand_different([Path(file).name for file in files])
    things = [
        (file, thing) for pictures in found.values() for file, p in zip(files, pictures, strict=True) for thing in p
    ]
    ids = _ids(files, [thing for _, thing in things], spec, given)
    rows = [
        {
            "image_id": ids.pictures[Path(file).name],
            "category_id": ids.classes[thing.label],
            "bbox": list(thing.box),
            "score": thing.score,
        }
        for file, thing in things
    ]
    return json_text(rows)


def _ids(files: Sequence[str], things: Sequence[Found], spec: Spec, given: str | None) -> CocoIds:
    """Ids for all that is there."""
    names, labels = [Path(file).name for file in files], dict.fromkeys(thing.label for thing in things)
    if given is not None:
        ids = coco_ids(Places().find(given))
        _demand_known(names, ids.pictures, "picture", given)
        _demand_known(list(labels), ids.classes, "class", given)
        return ids
    for path in _read_by(spec):
        ids = coco_ids(path)
        if set(names) <= set(ids.pictures) and set(labels) <= set(ids.classes):
            return ids
    return CocoIds(_numbered(names), {thing.label: thing.number + 1 for thing in things})


def _demand_different(names: Sequence[str]) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        message = f"{names.count(twice)} pictures are called `{twice}`, and COCO tells them apart by their names"
        raise fail("E0519", message, help="predict one folder at a time, or save a table: `-o found.csv`")


def _demand_known(names: Sequence[str], known: Mapping[str, int], what: str, given: str) -> None:
    strange = next((name for name in names if name not in known), None)
    if strange is not None:
        shown = ", ".join(list(known)[:5])
        help = f"it knows {shown}{' …' if len(known) > 5 else ''}; names must be the same, letter by letter"
        raise fail("E0519", f"`{given}` knows no {what} `{strange}`", help=help)


def _read_by(spec: Spec) -> list[Path]:
    """The files of annotations that readers of the spec name and that are there, those of later sections first."""
    made = [value for section in spec.sections for value in section.settings.values() if isinstance(value, Made)]
    folder = Path(spec.source.path).parent
    paths = [place / str(m.settings["path"]) for m in reversed(made) if m.name == "coco" for place in (folder, Path())]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _numbered(names: Sequence[str]) -> dict[str, int]:
    stems = [Path(name).stem for name in names]
    if all(stem.isascii() and stem.isdigit() for stem in stems) and len({int(s) for s in stems}) == len(stems):
        return {name: int(stem) for name, stem in zip(names, stems, strict=True)}
    return {name: place for place, name in enumerate(names, 1)}
