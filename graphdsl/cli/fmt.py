"""`graphdsl fmt model.dag`"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from graphdsl.lang import format_text, read_source
from graphdsl.report import Source


@click.command()
@click.argument("specs", metavar="SPEC.dag...", nargs=-1, required=True, type=click.Path(dir_okay=False, allow_dash=True))
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
        replace(Path(spec), text)
    return True


def replace(path: Path, text: str) -> None:
    """Write beside the file, then rename: whoever reads meanwhile sees the old text or the new one, never half."""
    path = path.resolve()
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8", newline="\n")
        beside.chmod(path.stat().st_mode)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
