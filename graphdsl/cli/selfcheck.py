"""`graphdsl selfcheck`"""

from __future__ import annotations

from itertools import chain

import click

from graphdsl.backends import STRICT, backend
from graphdsl.cli.options import Answer, answers
from graphdsl.model.selfcheck import networks


@click.command()
@answers
def command() -> Answer:
    """Does the GPU give the right numbers? Every kernel, and whole networks, in a few minutes.

    Kernels are compared with NumPy in float64, networks with the CPU, and a recorded step with the same step made call
    by call, bit for bit.

    \b
    graphdsl selfcheck
    """
    machine = backend("cuda")
    for name, value in machine.facts().items():
        click.echo(f"{name}: {value}")
    found = []
    for outcome in chain(machine.checked(), networks(machine, backend("cpu").precise(STRICT))):
        click.echo(str(outcome))
        found.append(outcome)
    failed = [outcome.what for outcome in found if not outcome.passed]
    said = f"{len(failed)} of {len(found)} checks failed: {', '.join(failed)}" if failed else "all checks passed"
    return Answer(said, {"device": machine.facts(), "failed": failed, "checks": len(found)}, 1 if failed else 0)
