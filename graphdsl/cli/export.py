"""`graphdsl export model.dag -o model.onnx`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.interop.onnx import difference, export, exported
from graphdsl.interop.source import TOOLS
from graphdsl.model import Model, compile
from graphdsl.report import write_whole

ENDINGS = (".onnx", ".safetensors", ".py")
LARGEST = "the largest output"
UNPREPARED = "`preprocess` of the spec is not in it: whoever uses it prepares samples so"


@click.command()
@spec_argument
@weights_option
@click.option("--untrained", is_flag=True, help="The weights as they begin, read from no file.")
@settings_option
@click.option("-o", "--output", metavar="FILE", help=f"Where to: {', '.join(ENDINGS)}. Default: SPEC.onnx.")
@click.option("--to", "tool", type=click.Choice(list(TOOLS)), help="Whose source code a .py file is.")
@click.option(
    "--layout",
    type=click.Choice(["nhwc", "nchw"]),
    default="nhwc",
    help="How an ONNX file takes pictures: as the spec, or channels first.",
)
@click.option("--check/--no-check", "checked", default=True, help="Compare with onnxruntime, if installed.")
@answers
def command(
    spec: str,
    weights: str | None,
    untrained: bool,
    settings: dict[str, str],
    output: str | None,
    tool: str | None,
    layout: str,
    checked: bool,
) -> Answer:
    """A model for other tools: the network and its weights in one file, or source code that builds it.

    \b
    graphdsl export model.dag                         writes model.onnx
    graphdsl export model.dag -o m.onnx --layout nchw
    graphdsl export model.dag --weights runs/model-3 -o best.safetensors
    graphdsl export model.dag -o model.py --to pytorch
    """
    path = _path(spec, output, tool)
    model = compile(spec, settings)
    if tool is not None:
        wrote = write_whole(path, TOOLS[tool](model.graph, model.name, spec).encode())
        return _wrote(
            model, wrote, f"its `load` takes the weights that `graphdsl export {spec} -o F.safetensors` writes"
        )
    if not untrained:
        load(model, weights)
    if path.suffix == ".safetensors":
        return _wrote(model, model.save(path))
    return _onnx(model, path, nchw=layout == "nchw", checked=checked)


def _path(spec: str, output: str | None, tool: str | None) -> Path:
    path = Path(output) if output else Path(Path(spec).stem + (".py" if tool else ".onnx"))
    if path.suffix not in ENDINGS:
        raise click.UsageError(f"`{path}` must end in one of {', '.join(ENDINGS)}")
    if (path.suffix == ".py") != (tool is not None):
        raise click.UsageError(f"a .py file and --to go together: --to {' or --to '.join(TOOLS)}")
    return path


def _wrote(model: Model, path: Path, *said: str, **data: Any) -> Answer:
    """The file, and what is not in it."""
    prepared = model.spec.preprocess and path.suffix != ".safetensors"
    notes = [*said, *([UNPREPARED] if prepared else [])]
    return Answer("\n".join([f"wrote {path}", *notes]), {"file": str(path)} | data)


def _onnx(model: Model, path: Path, *, nchw: bool, checked: bool) -> Answer:
    export(exported(model.graph, model.executor.weights, nchw=nchw), path, title=model.name)
    found = difference(path, model.graph, model.executor, nchw=nchw) if checked else None
    said = (
        [] if found is None else [f"against onnxruntime on random inputs: largest difference {found:.1e} of {LARGEST}"]
    )
    return _wrote(model, path, *said, difference=found)
