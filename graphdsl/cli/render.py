"""`graphdsl render model.dag -o model.svg`"""

from __future__ import annotations

from pathlib import Path

import click

from graphdsl.cli.options import settings_option, spec_argument
from graphdsl.draw import FORMATS, render
from graphdsl.model import compile


@click.command()
@spec_argument
@settings_option
@click.option("-o", "--output", metavar="FILE", help=f"Where to; ends in {', '.join('.' + f for f in FORMATS)}.")
@click.option("--depth", type=click.IntRange(0), help="Blocks deeper than this are drawn as one box.")
def command(spec: str, settings: dict[str, str], output: str | None, depth: int | None) -> None:
    """Draw a model: blocks as frames, shapes on the arrows, shared layers once.

    \b
    graphdsl render model.dag                    writes model.svg
    graphdsl render model.dag -o model.html      a page to zoom and search
    graphdsl render model.dag -o m.png --depth 1
    """
    wanted = Path(output) if output else Path(Path(spec).stem + ".svg")
    graph = compile(spec, settings).graph
    written = render(graph, wanted, title=Path(spec).stem, depth=depth)
    if written != wanted:
        click.echo(f"there is no Graphviz here, so the picture is a page that draws itself: {written}", err=True)
    click.echo(f"wrote {written}")
