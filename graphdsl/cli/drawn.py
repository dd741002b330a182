"""Pictures with what was found in them: of one picture a file, of several a folder."""

from __future__ import annotations

from pathlib import Path

from graphdsl.ir import Array
from graphdsl.model import Found, marked
from graphdsl.report import fail, write_whole

PICTURE = ".png"


def drawable(output: str, files: list[str]) -> bool:
    """Whether output names a folder, or one picture for one. Raises E0519 where it is one picture for several."""
    ending = Path(output).suffix.lower()
    if ending == PICTURE and len(files) > 1:
        help = f"name a folder: `-o {Path(output).stem}/`"
        raise fail("E0519", f"{len(files)} pictures do not go into `{output}`", help=help)
    return ending in ("", PICTURE)


def draw_all(
    output: Path, found: dict[str, list[list[Found]]], points: dict[str, Array], files: list[str]
) -> list[Path]:
    """A picture of each file with what all heads have found in it, in a folder or, of one file, as output. Gives what
    was written.

    Raises E0519 where a picture would be written over itself, E0701.
    """
    names = [output] if output.suffix else [output / f"{stem}{PICTURE}" for stem in apart(files)]
    own = {Path(file).resolve() for file in files}
    for name in names:
        if name.resolve() in own:
            message = f"`{name}` is one of the pictures that were given, and would be painted over"
            raise fail("E0519", message, help="name another folder, such as `-o found/`")
    for i, (file, name) in enumerate(zip(files, names, strict=True)):
        both = sorted((thing for pictures in found.values() for thing in pictures[i]), key=lambda t: -t.score)
        write_whole(name, marked(Path(file), both, [values[i] for values in points.values()]))
    return names


def apart(files: list[str]) -> list[str]:
    """The names of files without their endings; with the name of the folder in front where two are the same."""
    stems = [Path(file).stem for file in files]
    longer = [s if stems.count(s) == 1 else f"{Path(f).parent.name}_{s}" for s, f in zip(stems, files, strict=True)]
    return [s if longer.count(s) == 1 else f"{s}_{i}" for i, s in enumerate(longer)]
