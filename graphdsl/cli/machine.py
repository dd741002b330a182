"""The option that says what a model runs on. Apart from the others, since it has to import the backends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from graphdsl.backends import DEFAULT

F = TypeVar("F", bound=Callable[..., Any])


def backend_option(function: F) -> F:
    """Decorator: `--backend NAME`, what the model runs on."""
    return click.option("--backend", default=DEFAULT, metavar="NAME", show_default=True, help="What runs the model.")(
        function
    )
