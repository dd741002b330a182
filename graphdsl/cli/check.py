"""`graphdsl check model.dag`"""

from __future__ import annotations

import click

from graphdsl.cli.options import Answer, answers, settings_option
from graphdsl.model import compile
from graphdsl.report import Diagnostic, Failed, Severity, as_data, print_diagnostics


@click.command()
@click.argument("specs", metavar="SPEC.dag...", nargs=-1, required=True, type=click.Path(dir_okay=False))
@settings_option
@answers
def command(specs: tuple[str, ...], settings: dict[str, str]) -> Answer:
    """Find all mistakes in specs, without reading any data; warn of what has no effect.

    \b
    graphdsl check model.dag
    graphdsl check model.dag --set width=32
    graphdsl check specs/*.dag --format json
    """
    found: list[Diagnostic] = []
    for spec in specs:
        found += told(spec, settings)
    wrong = any(d.severity is Severity.ERROR for d in found)
    if found:
        print_diagnostics(found)
    fine = f"{len(specs)} specs are fine" if len(specs) > 1 else f"{specs[0]} is fine"
    data = {"ok": not wrong, "diagnostics": [as_data(d) for d in found]}
    return Answer("" if found else fine, data, 1 if wrong else 0)


def told(spec: str, settings: dict[str, str]) -> tuple[Diagnostic, ...]:
    """All that is wrong with one spec; where nothing is, its warnings."""
    try:
        return compile(spec, settings).warnings
    except Failed as failed:
        return failed.diagnostics
