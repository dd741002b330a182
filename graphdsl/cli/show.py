"""`graphdsl show model.dag`"""

from __future__ import annotations

from pathlib import Path

import click

from graphdsl.cli.given import dataset
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.draw import features_sheet, filters_sheet, summary_data, summary_text
from graphdsl.model import Model, compile


@click.command()
@spec_argument
@settings_option
@click.option("--after", metavar="PASS", help="Print the graph as it is after a pass of the compiler, a line a node.")
@click.option("--filters", metavar="LAYER", help="Draw the filters of a convolution.")
@click.option("--features", metavar="LAYER", help="Draw what a layer makes of the --input.")
@click.option("--input", "picture", metavar="FILE", help="A picture, or a .npy or .npz file with one sample.")
@weights_option
@click.option("-o", "--output", metavar="FILE.png", help="Where drawn filters and features go.")
@answers
def command(
    spec: str,
    settings: dict[str, str],
    after: str | None,
    filters: str | None,
    features: str | None,
    picture: str | None,
    weights: str | None,
    output: str | None,
) -> Answer:
    """The summary of a model: layers, shapes, parameters, uses, FLOPs; or one of its other sides.

    \b
    graphdsl show model.dag
    graphdsl show model.dag --after fuse
    graphdsl show model.dag --filters conv_1 -o filters.png
    graphdsl show model.dag --features conv_1 --input cat.png
    """
    if (features is None) != (picture is None):
        raise click.UsageError("--features LAYER and --input FILE go together")
    model = compile(spec, settings)
    if after is not None:
        return Answer(model.stage(after), {"after": after, "graph": model.stage(after).splitlines()})
    if filters is not None or features is not None:
        load(model, weights)
        return sheets(model, filters, features, picture, output)
    return Answer(summary_text(model.graph, Path(spec).stem).rstrip(), summary_data(model.graph))


def sheets(model: Model, filters: str | None, features: str | None, picture: str | None, output: str | None) -> Answer:
    """Draws filters, feature maps or both; says where."""
    written = []
    if filters is not None:
        written.append(filters_sheet(model.filters(filters), target(output, filters, "filters")))
    if features is not None and picture is not None:
        maps = model.features(features, dataset((picture,)))[0]
        written.append(features_sheet(maps, target(None if filters else output, features, "features")))
    return Answer("\n".join(f"wrote {path}" for path in written), {"written": [str(path) for path in written]})


def target(output: str | None, layer: str, what: str) -> Path:
    """The file asked for, or one named after the layer."""
    return Path(output) if output else Path(f"{layer.replace('/', '.')}.{what}.png")
