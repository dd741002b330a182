"""`graphdsl slide sliding.dag street.png`"""

from __future__ import annotations

import click

from graphdsl.cli.given import dataset
from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.model import Compared, compile, demand_slides


@click.command()
@spec_argument
@click.argument("data", nargs=-1)
@weights_option
@settings_option
@backend_option
@answers
def command(spec: str, data: tuple[str, ...], weights: str | None, settings: dict[str, str], backend: str) -> Answer:
    """What a network that is slid over pictures says in one pass, beside what it says crop by crop: how far the two
    differ, and how long each takes.

    DATA is pictures, or a folder of them, or else what the spec's `predict` section or its `test` names.

    \b
    graphdsl slide sliding.dag street.png
    """
    model = compile(spec, settings, backend=backend)
    demand_slides(model.spec)
    load(model, weights)
    found = model.slides(dataset(data))
    return Answer("\n".join(map(said, found)), {"slides": [told(each) for each in found]})


def said(found: Compared) -> str:
    """Three lines."""
    op = found.windows
    down, across = op.windows
    size, stride, picture = ("x".join(map(str, sizes)) for sizes in (op.crop, op.stride, op.picture))
    return (
        f"{found.name}: {down * across:,} windows of {size}, {stride} apart, on {picture}\n"
        f"  one pass      {1000 * found.once:8.2f} ms  {op.once / 1e6:10,.1f} MFLOP\n"
        f"  crop by crop  {1000 * found.apart:8.2f} ms  {op.apart / 1e6:10,.1f} MFLOP\n"
        f"  one pass is {found.apart / found.once:.1f} times as fast; largest difference {found.largest:.1e}"
    )


def told(found: Compared) -> dict[str, object]:
    """For programs."""
    op = found.windows
    return {
        "name": found.name,
        "windows": list(op.windows),
        "largest_difference": found.largest,
        "seconds": found.once,
        "seconds_crop_by_crop": found.apart,
        "flops": op.once,
        "flops_crop_by_crop": op.apart,
    }
