"""The option that says what a model runs on. Apart from the others, since it has to import the backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from graphdsl.backends import AUTO, DEFAULT, automatic

F = TypeVar("F", bound=Callable[..., Any])


def backend_option(function: F) -> F:
    """Decorator: `--device NAME`, what the model runs on; `--backend` is the same."""
    return click.option(
        "--device",
        "--backend",
        "backend",
        default=DEFAULT,
        metavar="cpu|cuda|auto",
        show_default=True,
        callback=_said,
        help="What runs the model. auto: a GPU that can be used, else the CPU.",
    )(function)


def _said(context: click.Context, option: click.Parameter, name: str) -> str:
    """Who writes `--device auto` is told what that is; otherwise only what people would wonder about is said."""
    given = option.name and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE
    if given and name == AUTO and not automatic().unsure:
        click.echo(automatic().said, err=True)
    return name
