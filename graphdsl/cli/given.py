"""Data named on the command line: pictures, a folder of them, or a .npz, .npy, .csv file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from graphdsl.data import INPUT, Csv, Dataset, Folder, Images, Npy, Npz, Places
from graphdsl.report import fail

TABLES: dict[str, type[Npz | Npy | Csv]] = {".npz": Npz, ".npy": Npy, ".csv": Csv}
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".pgm", ".ppm"})


def dataset(paths: tuple[str, ...]) -> Dataset | None:
    """The samples in these files, None when there are none: then the spec's own data are meant.

    Several files must all be pictures, one sample each. Columns bind to inputs by name, a lone one to a lone input.
    Raises Failed E0501 (no such file), E0503 (another kind of file), and what reading them gives.
    """
    if not paths:
        return None
    places = Places()
    found = [places.find(path) for path in paths]
    if all(path.suffix.lower() in PICTURES for path in found):
        return Dataset({"image": Images(tuple(found))}, {"image": INPUT}, origin=str(found[0].parent))
    if len(found) == 1 and found[0].is_dir():
        return Folder(paths[0]).read(places)
    if len(found) == 1 and found[0].suffix.lower() in TABLES:
        return _lone_is_input(TABLES[found[0].suffix.lower()](paths[0]).read(places))
    raise _unknown(found)


def _lone_is_input(read: Dataset) -> Dataset:
    """A single column needs no name: it is what the model reads."""
    return replace(read, roles=dict.fromkeys(read.columns, INPUT)) if len(read.columns) == 1 else read


def _unknown(found: list[Path]) -> Exception:
    odd = next(path for path in found if path.suffix.lower() not in PICTURES)
    help = "give pictures, or one folder, .npz, .npy or .csv file"
    return fail("E0519", f"`{odd}` cannot be read as data" if len(found) == 1 else f"`{odd}` is no picture", help=help)
