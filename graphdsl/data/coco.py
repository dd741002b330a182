"""Boxes in COCO's JSON: the reader, and the ids that a file gives to its pictures and classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from graphdsl.data.annotations import Bad, Marked, Picture, dataset_of
from graphdsl.data.dataset import Dataset
from graphdsl.data.files import LARGEST_TEXT, Places, read_bytes, unreadable
from graphdsl.data.images import demand_pictures
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Words
from graphdsl.report import dataclass

WRONG = (KeyError, TypeError, IndexError, ValueError, OverflowError, AttributeError)
"""What goes wrong where JSON is not what was expected."""


@READERS.register("coco")
@dataclass(frozen=True)
class Coco(Reader):
    """Pictures with boxes in COCO's JSON: columns `image` and `objects`, for `target objects: box(n)[m]`.

    path      of the JSON file, at most 2 GiB
    pictures  the folder of its pictures
    bad       boxes that have no area, reach beyond the picture or are of a category that the file does not list: `stop`
              with a list of them, `skip` them, or `clip` them at the border

    Classes are numbered in the order of the file's categories. Crowds (`iscrowd`) are left out.
    Raises E0501, E0502, E0504, E0507, E0508, E0521.
    """

    path: Words
    pictures: Words
    bad: Bad = "stop"

    def read(self, places: Places) -> Dataset:
        path, folder = places.find(self.path), places.find(self.pictures)
        whole = json_of(path)
        try:
            names = {int(c["id"]): str(c["name"]) for c in whole["categories"]}
            pictures = _pictures(path, folder, names, whole)
        except WRONG as error:
            raise _no_coco(path, error) from error
        demand_pictures([picture.path for picture in pictures], folder)
        return dataset_of(pictures, tuple(names.values()), self.bad, str(path))


def _pictures(path: Path, folder: Path, names: Mapping[int, str], whole: Mapping[str, Any]) -> list[Picture]:
    marked: dict[int, list[Marked]] = {int(image["id"]): [] for image in whole["images"]}
    for box in whole["annotations"]:
        left, top, width, height = map(float, box["bbox"])
        place, corners = f"{path}: annotation {box['id']}", (left, top, left + width, top + height)
        image, kind = int(box["image_id"]), int(box["category_id"])
        if image not in marked:
            why = f"annotation {box['id']} is of picture {image}, which is none of `images`"
            raise unreadable(path, why, "list the picture there, or remove its annotations")
        if not box.get("iscrowd"):
            marked[image].append(Marked(place, names.get(kind, f"category {kind}"), corners))
    if whole["annotations"] and not names:
        raise unreadable(path, "its boxes are of categories, and `categories` lists none", "list id and name of each")
    return [Picture(folder / i["file_name"], tuple(marked[int(i["id"])])) for i in whole["images"]]


@dataclass(frozen=True)
class CocoIds:
    """How a set of COCO calls its pictures, by the names of their files as it writes them, and its classes, by name."""

    pictures: Mapping[str, int]
    classes: Mapping[str, int]

    def picture(self, path: Path) -> int | None:
        """The id of the picture at path. Where several are called so, the one whose folders stand in path too.

        None where none is called so, or several are and the folders do not tell which.
        """
        found = self._called.get(path.name, [])
        fitting = [(len(parts), id) for parts, id in found if path.parts[-len(parts) :] == parts]
        ids = {id for _, id in found} if len(found) == 1 else {id for n, id in fitting if n == max(fitting)[0]}
        return ids.pop() if len(ids) == 1 else None

    @cached_property
    def _called(self) -> dict[str, list[tuple[tuple[str, ...], int]]]:
        """By the last part of a name: all parts, and the id."""
        called: dict[str, list[tuple[tuple[str, ...], int]]] = {}
        for written, id in self.pictures.items():
            parts = PurePosixPath(written).parts
            called.setdefault(parts[-1] if parts else "", []).append((parts, id))
        return called


def coco_ids(path: Path) -> CocoIds:
    """The ids in a file of annotations. Raises E0502 where it is none."""
    whole = json_of(path)
    try:
        pictures = {str(image["file_name"]): int(image["id"]) for image in whole["images"]}
        return CocoIds(pictures, {str(c["name"]): int(c["id"]) for c in whole["categories"]})
    except WRONG as error:
        raise _no_coco(path, error) from error


def json_of(path: Path) -> Any:
    """What a file of JSON says. Raises E0501, E0504, and E0502 with line and column where it is no JSON."""
    content = read_bytes(path, LARGEST_TEXT)
    try:
        return json.loads(content)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: it is no JSON: {error.msg[:1].lower()}{error.msg[1:]}"
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        why = f"line {line}: it is no text in UTF-8"
    except ValueError:
        why = "it has a number of thousands of digits"
    except RecursionError:
        why = "its brackets nest too deep"
    raise unreadable(path, why, "expected COCO's JSON: images, annotations and categories")


def _no_coco(path: Path, error: Exception) -> Exception:
    told = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) and error.args else str(error)
    return unreadable(path, f"it is no JSON of COCO: {told}", "expected images, annotations and categories")
