"""The folder of a run as it begins, and the command that goes on with one that was stopped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphdsl.draw import render
from graphdsl.ir import show
from graphdsl.lang import Spec
from graphdsl.learn import SUMMARY, new_folder
from graphdsl.report import write_whole


def begin_folder(runs: Path, name: str, spec: Spec, summary: str) -> Path:
    """A new folder with the spec, its summary and its picture. Raises E0701."""
    folder = new_folder(runs, name)
    write_whole(folder / "spec.dag", spec.source.text.encode())
    params = [f"{name} = {show(parameter.value)}\n" for name, parameter in spec.params.items()]
    write_whole(folder / SUMMARY, "\n".join([summary, "".join(params)]).encode())
    render(spec.graph, folder / "graph.svg", title=name)
    return folder


def how_to_go_on(spec: Spec, settings: Mapping[str, Any], folder: Path, epochs: int | None) -> str:
    """The command line."""
    given = [f"--set {name}={shlex.quote(str(value))}" for name, value in settings.items()]
    file = spec.source.held or spec.source.path
    words = ["graphdsl run", shlex.quote(file), *given, "--resume", shlex.quote(str(folder))]
    return " ".join([*words, *([f"--epochs {epochs}"] if epochs is not None else [])])
