"""A model that dreams: the dream sections of a spec, and what they leave."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.data import SOURCES, Places
from graphdsl.ir import INITIALIZERS, Array
from graphdsl.learn import METRICS_FILE, Ascent, Done, Dream, as_bytes, curves, grid, png, progress, summed, write_table
from graphdsl.model.beginning import begin_folder
from graphdsl.model.model import Model
from graphdsl.report import Diagnostic, Failed, fail, json_text, write_whole

Row = Mapping[str, Any]


def dream(model: Model, runs: str | Path | None = "runs", *, before: Done | None = None, shown: bool = True) -> Done:
    """Runs the dream sections of a model's spec, with the weights as they are.

    runs    where the folder of this run is made; None: nothing is written
    before  the run that has trained the model: its folder is used, its numbers stay
    Raises E0605 where the network has no weights, E0621 where a picture does not fit, and what reading pictures raises.
    """
    seen = progress(shown)
    if before is None:
        model.demand_weights(judged=True)
        for line in model.told:
            seen.say(line)
    folder = before.folder if before is not None else _new_folder(model, runs)
    begun, rows, numbers = time.perf_counter(), list[Row](), dict[str, dict[str, float]]()
    for found in model.dreams:
        rows += _dreamt(model, found, folder, seen.say)
        numbers[found.name] = {n: v for n, v in rows[-1].items() if n not in ("section", "octave", "step")}
    seconds = time.perf_counter() - begun + (before.seconds if before is not None else 0)
    done = Done({**(before.metrics if before is not None else {}), **numbers}, seconds, folder)
    if folder is not None:
        write_table(folder / "dream.csv", rows)
        write_whole(folder / "dream.svg", curves([_curve(row) for row in rows], "step").encode())
        write_whole(folder / METRICS_FILE, json_text({"metrics": done.metrics, "seconds": seconds}).encode() + b"\n")
    seen.close()
    return done


def _new_folder(model: Model, runs: str | Path | None) -> Path | None:
    return None if runs is None else begin_folder(Path(runs), model.name, model.spec, model.summary())


def _dreamt(model: Model, dream: Dream, folder: Path | None, say: Callable[[str], None]) -> list[Row]:
    """One section. Leaves its pictures in the folder; gives what every step has seen."""
    photograph = _photograph(model, dream)
    size = dream.size if photograph is None else (photograph.shape[0], photograph.shape[1])
    assert size is not None, "checked when the section was read"
    rows: list[Row] = []
    for octave in Ascent(dream, model.graph, model.executor).octaves(photograph, _noise(dream), size):
        made = summed(octave.rows, dream)
        rows += [
            {"section": dream.name, "octave": octave.number, "step": len(rows) + i, **r} for i, r in enumerate(made, 1)
        ]
        height, width = octave.pictures.shape[1:3]
        told = ", ".join(f"{name} {made[0][name]:.4g} to {made[-1][name]:.4g}" for name in dream.shown)
        say(f"{dream.name}: octave {octave.number} of {dream.octaves}, {height}x{width}: {told}")
        if folder is not None:
            name = dream.name if octave.number == dream.octaves else f"{dream.name}_octave_{octave.number}"
            write_whole(folder / f"{name}.png", png(_sheet(octave.pictures)))
    return rows


def _photograph(model: Model, dream: Dream) -> Array | None:
    """float32 [height, width, channels]; None where the picture begins as noise."""
    made = dream.start
    if made.kind != "source":
        return None
    settings = made.settings
    places = Places(Path(model.spec.source.path).parent)
    try:
        array = SOURCES[made.name].make(**{**settings, "path": str(places.find(settings["path"]))})
    except Failed as failed:
        raise Failed(
            Diagnostic(d.code, d.message, d.span or made.span, help=d.help) for d in failed.diagnostics
        ) from None
    _demand_fit(array, dream)
    return np.asarray(array, np.float32)


def _demand_fit(photograph: Array, dream: Dream) -> None:
    wanted = dream.image.type.shape[1:]
    fits = all(not isinstance(size, int) or size == own for size, own in zip(wanted, photograph.shape, strict=True))
    if not fits:
        got = "x".join(map(str, photograph.shape))
        message = f"`{dream.image.name}` is {dream.image.type.describe()}, the photograph {got}"
        raise fail("E0621", message, dream.start_span, help='write `photo("cat.jpg", size=224)`')


def _noise(dream: Dream) -> Callable[[tuple[int, int]], Array]:
    def noise(size: tuple[int, int]) -> Array:
        channels = dream.image.type.channels
        assert isinstance(channels, int), "checked when the section was read"
        drawn = INITIALIZERS[dream.start.name].make(**dream.start.settings)
        numbers = drawn.sample((dream.count, *size, channels), np.random.default_rng(dream.seed))
        return np.asarray(np.clip(numbers, 0, 1), np.float32)

    return noise


def _sheet(pictures: Array) -> Array:
    """One picture, or all of them in a grid that is about square."""
    columns = int(np.ceil(np.sqrt(len(pictures))))
    return grid(as_bytes(pictures), columns) if len(pictures) > 1 else as_bytes(pictures[0])


def _curve(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "octave"}
