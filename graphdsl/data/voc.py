"""Boxes in the XML files of Pascal VOC, one for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.parsers import expat

from graphdsl.data.annotations import Bad, Marked, Picture, dataset_of
from graphdsl.data.dataset import Dataset
from graphdsl.data.files import Places, read_bytes, unreadable
from graphdsl.data.images import ENDINGS
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Flag, Words
from graphdsl.report import Failed, dataclass

LARGEST = 16 << 20
CORNERS = ("xmin", "ymin", "xmax", "ymax")


@READERS.register("voc")
@dataclass(frozen=True)
class Voc(Reader):
    """Pictures with boxes as Pascal VOC lays them out: columns `image` and `objects`, for `target objects: box(n)[m]`.

    path       the folder with `Annotations`, `JPEGImages` and, for parts, `ImageSets/Main`
    part       a list there: `train`, `val`, `trainval`, `test`; none: every annotation
    classes    in the order in which they are numbered; none: those that occur, in alphabetical order
    difficult  whether objects that are marked as difficult count
    bad        boxes that have no area, reach beyond the picture or are of an unknown class: `stop` with a list of them
               by file and line, `skip` them, or `clip` them at the border

    An XML file has at most 16 MiB. Raises E0501, E0502, E0504, E0507, E0508, E0521.
    """

    path: Words
    part: Words | None = None
    classes: tuple[Words, ...] = ()
    difficult: Flag = True
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path = places.find(self.path)
        pictures = [self._picture(path, file) for file in self._annotations(path)]
        return dataset_of(pictures, self.classes, self.bad, str(path))

    def _annotations(self, path: Path) -> Sequence[Path]:
        folder = path / "Annotations"
        if not folder.is_dir():
            raise unreadable(path, "it has no folder `Annotations`", "expected the layout of Pascal VOC")
        if self.part is None:
            return sorted(folder.glob("*.xml"))
        sets = path / "ImageSets" / "Main"
        file = sets / f"{self.part}.txt"
        if not file.is_file():
            found = ", ".join(sorted(f.stem for f in sets.glob("*.txt"))) or "none"
            raise unreadable(file, "there is no such part", f"the parts are: {found}")
        lines = read_bytes(file).decode("utf-8", "replace").splitlines()
        return [folder / f"{line.split()[0]}.xml" for line in lines if line.strip()]

    def _picture(self, path: Path, file: Path) -> Picture:
        found = _read(file)
        marked = tuple(m for m, hard in found.objects if self.difficult or not hard)
        return Picture(_beside(path / "JPEGImages", file, found.filename), marked)


def _beside(folder: Path, file: Path, named: str) -> Path:
    """The picture of an annotation: as it says, or of the same name."""
    said = folder / Path(named).name if named else folder
    if said.is_file():
        return said
    found = [folder / f"{file.stem}{ending}" for ending in sorted(ENDINGS)]
    picture = next((path for path in found if path.is_file()), None)
    if picture is None:
        raise unreadable(file, f"there is no picture of it in `{folder}`", "put it there, or remove the annotation")
    return picture


class _Reading:
    """One XML file while it is read. Entities and document types are refused: nothing is expanded."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.filename = ""
        self.objects: list[tuple[Marked, bool]] = []
        self._path: list[str] = []
        self._text = ""
        self._line = 0
        self._values: dict[str, str] = {}
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse

    def parse(self, data: bytes) -> _Reading:
        try:
            self._parser.Parse(data, True)
        except expat.ExpatError as error:
            raise unreadable(self.file, f"line {error.lineno}: {expat.ErrorString(error.code)}") from error
        return self

    def _begin(self, name: str, attributes: object) -> None:
        self._path.append(name)
        self._text = ""
        if self._path[1:] == ["object"]:
            self._values, self._line = {}, self._parser.CurrentLineNumber

    def _characters(self, text: str) -> None:
        self._text += text

    def _end(self, name: str) -> None:
        inner, text = self._path[1:], self._text.strip()
        self._path.pop()
        self._text = ""
        if inner == ["filename"]:
            self.filename = text
        elif inner == ["object"]:
            self._object()
        elif inner[:1] == ["object"] and (len(inner) == 2 or inner[1] == "bndbox"):
            self._values[name] = text

    def _object(self) -> None:
        try:
            left, top, right, bottom = (float(self._values[corner]) for corner in CORNERS)
            label = self._values["name"]
        except (KeyError, ValueError) as error:
            what = f"an object without {error}" if isinstance(error, KeyError) else str(error)
            wanted = "expected name, xmin, ymin, xmax, ymax"
            raise unreadable(self.file, f"line {self._line}: {what}", wanted) from error
        hard = self._values.get("difficult", "0") == "1"
        self.objects.append((Marked(f"{self.file}:{self._line}", label, (left, top, right, bottom)), hard))

    def _refuse(self, *unused: object) -> None:
        raise _document_type(self.file)


def _document_type(file: Path) -> Failed:
    return unreadable(file, "it declares a document type, which is not read", "remove the line `<!DOCTYPE …>`")


def _read(file: Path) -> _Reading:
    return _Reading(file).parse(read_bytes(file, LARGEST))
