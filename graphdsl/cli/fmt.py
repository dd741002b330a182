"""`graphdsl fmt model.dag`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from graphdsl.lang import format_text, read_source
from graphdsl.report import Source, write_whole


@click.command()
@click.argument(
    "specs", metavar="SPEC.dag...", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True)
)
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if a file would change.")
def command(specs: tuple[str, ...], check: bool) -> int:
    """Lay specs out in the one style. `-` reads standard input and writes standard output.

    \b
    graphdsl fmt model.dag
    graphdsl fmt --check specs/*.dag
    cat model.dag | graphdsl fmt -
    """
    if specs == ("-",) and not check:
        click.echo(format_text(Source("<stdin>", sys.stdin.read())), nl=False)
        return 0
    changed = [spec for spec in specs if tidy(spec, check)]
    for spec in changed:
        click.echo(f"{'would lay out' if check else 'laid out'} {spec}")
    return 1 if check and changed else 0


def tidy(spec: str, check: bool) -> bool:
    """Whether the file's layout differs from the one style; unless only checking, it is mended."""
    source = read_source(spec)
    text = format_text(source)
    if text == source.text:
        return False
    if not check:
        write_whole(Path(spec).resolve(), text.encode())
    return True
