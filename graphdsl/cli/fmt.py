"""`graphdsl fmt model.dag`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from graphdsl.lang import decode, format_text, read_source
from graphdsl.report import Diagnostic, Failed, Source, write_whole

STDIN = "-"


@click.command()
@click.argument(
    "specs", metavar="SPEC.dag...", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True)
)
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if a file would change.")
def command(specs: tuple[str, ...], check: bool) -> int:
    """Lay specs out in the one style. `-` reads standard input and writes standard output.

    A spec with syntax errors is left as it is; the others are laid out all the same.

    \b
    graphdsl fmt model.dag
    graphdsl fmt --check specs/*.dag
    cat model.dag | graphdsl fmt -
    """
    changed, mistakes = 0, list[Diagnostic]()
    for spec in specs:
        try:
            changed += tidy(spec, check)
        except Failed as failed:
            mistakes += failed.diagnostics
    if mistakes:
        raise Failed(mistakes)
    return 1 if check and changed else 0


def tidy(spec: str, check: bool) -> bool:
    """Whether a spec's layout differs from the one style. Unless only checking, it is mended, and this is said."""
    source = read(spec)
    text = format_text(source)
    changed = text != source.text
    if spec == STDIN and not check:
        click.echo(text, nl=False)
    elif changed:
        click.echo(f"{'would lay out' if check else 'laid out'} {spec}")
    if changed and spec != STDIN and not check:
        # The file behind a symbolic link is replaced, not the link.
        write_whole(Path(spec).resolve(), text.encode())
    return changed


def read(spec: str) -> Source:
    """The text of a file, or of standard input."""
    if spec != STDIN:
        return read_source(spec)
    return decode(sys.stdin.buffer.read(), "<stdin>")
