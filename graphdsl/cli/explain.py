"""`graphdsl explain E0301`"""

from __future__ import annotations

import click

from graphdsl.cli.options import choose
from graphdsl.report import CODES


@click.command()
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """What an error code means, with an example; without a code, all of them.

    \b
    graphdsl explain E0301
    graphdsl explain 301
    graphdsl explain
    """
    if code is None:
        for page in CODES.values():
            click.echo(f"{page.code}  {page.title}")
        return
    full = f"E{code:0>4}" if code.isdecimal() else code.upper()
    page = CODES[choose(full, list(CODES), "error code")]
    example = "\n".join(f"    {line}".rstrip() for line in page.example.rstrip().split("\n"))
    click.echo(f"{page.code}: {page.title}\n\n{page.text}\n\n{example}")
