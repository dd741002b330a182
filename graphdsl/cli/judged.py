"""What `evaluate` judges by: data of the command line, read as the spec reads its own where that says more than a path
does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from graphdsl.cli.given import dataset
from graphdsl.data import READERS, Dataset, Places, read
from graphdsl.ir import Made, SettingError
from graphdsl.model import Model

AS_IN_THE_SPEC = ("voc", "coco", "yolo", "boxes", "points", "pts", "table")
"""Readers whose files are no samples by themselves: where the pictures are, which classes there are, the spec says."""
ARRAYS = (".npz", ".npy")
"""Endings of files that are samples by themselves, whatever the spec reads."""


def judged(data: tuple[str, ...], part: str | None, model: Model) -> Dataset | None:
    """The samples to judge by; None: those of the spec.

    data  paths; one path that is no array is read by the reader of the spec where that is one of boxes, points or rows
    part  in place of the part that the spec reads; of data, where a path is given

    Raises UsageError where the spec's reader knows no parts, and what reading gives.
    """
    made = _reader(model)
    lone = len(data) == 1 and Path(data[0]).suffix.lower() not in ARRAYS
    alike = made is not None and made.name in AS_IN_THE_SPEC and lone
    if part is None and not alike:
        return dataset(data)
    if made is None or (part is not None and READERS[made.name].setting("part") is None):
        name = f"`{made.name}`, by which the spec reads, knows none" if made else "the spec reads no data"
        raise click.UsageError(f"--part chooses a part of the data, and {name}")
    if data and not alike:
        raise click.UsageError(f"--part goes with one path that `{made.name}` reads, or with none")
    return _read(made, data[0] if data else None, part, model)


def _reader(model: Model) -> Made | None:
    """How the last section with data reads what it tests on, or else validates on, or else learns from."""
    found = [made for plan in model.plans for made in (plan.data, plan.valid, plan.test) if made is not None]
    return found[-1] if found else None


def _read(made: Made, path: str | None, part: str | None, model: Model) -> Dataset:
    """As the spec says, but from another path, of which all is taken, or another part."""
    settings = made.settings
    if path is not None:
        settings = {name: value for name, value in settings.items() if name != "part"} | {"path": path}
    if part is not None:
        settings["part"] = _accepted(made, part)
    places = Places() if path is not None else Places(Path(model.spec.source.path).parent)
    return read(replace(made, arguments=tuple(settings.items()), span=None), places).dataset


def _accepted(made: Made, part: str) -> str:
    setting = READERS[made.name].setting("part")
    assert setting is not None
    try:
        return str(setting.domain.accept(part))
    except SettingError as error:
        raise click.UsageError(f"--part {error}") from error
