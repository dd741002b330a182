"""`graphdsl import model.onnx`"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from graphdsl.cli.given import class_names
from graphdsl.cli.options import Answer, answers, settings_option
from graphdsl.interop import Format, fitted, format_of, read_arrays, written
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.report import write_whole
from graphdsl.runtime import save_weights

PICTURE = re.compile(r"float\[\w+, \w+, [13]\]")
SILENT = (
    "the file does not say what is done to pictures first; if more than a division by 255, write it into the spec: "
    "`preprocess = … -> …`"
)

Names = tuple[str, ...]
"""Of classes."""


@click.command()
@click.argument("file", type=click.Path())
@click.option("--weights", metavar="FILE", type=click.Path(), help="Where they stand in a file of their own.")
@click.option("-o", "--output", metavar="SPEC.dag", help="Where to. Default: the file's name, in this folder.")
@click.option("--spec", metavar="SPEC.dag", type=click.Path(), help="The network that bare weights of PyTorch are for.")
@settings_option
@click.option(
    "--classes", metavar="FILE", type=click.Path(), help="Names of the classes, one a line; weights keep them."
)
@click.option("--check/--no-check", "checked", default=True, help="Compare with the source's runtime, if installed.")
@answers
def command(
    file: str,
    weights: str | None,
    output: str | None,
    spec: str | None,
    settings: dict[str, str],
    classes: str | None,
    checked: bool,
) -> Answer:
    """A network of another tool as a spec, with its weights beside it.

    \b
    graphdsl import model.onnx --classes labels.txt      writes model.dag and model.safetensors
    graphdsl import net.cfg --weights net.weights -o yolo.dag
    graphdsl import deploy.prototxt --weights net.caffemodel
    graphdsl import train_val.prototxt --set data=28x28x1     where no file tells how large pictures are
    graphdsl import resnet50.pt.safetensors --spec specs/zoo/resnet50.dag -o resnet50.safetensors
    """
    names = class_names(classes) if classes is not None else ()
    if spec is not None:
        model = compile(spec, settings)
        return _bare(Path(file), model, names, Path(output or f"{Path(spec).stem}.safetensors"))
    return _whole(Path(file), Path(weights) if weights else None, names, output, settings, checked)


def _bare(file: Path, model: Model, names: Names, output: Path) -> Answer:
    """Weights that came without a graph, under the names of a spec that we have."""
    found = fitted(read_arrays(file), model.graph, file)
    save_weights(found.weights, output, _metadata(model, names))
    width = max(len(theirs) for theirs, _ in found.pairs)
    lines = [f"  {theirs:<{width}}  {ours}" for theirs, ours in found.pairs]
    text = "\n".join([*lines, f"wrote {output}: {len(found.weights)} weights of {len(found.pairs)} layers"])
    return Answer(text, {"files": [str(output)], "pairs": [list(pair) for pair in found.pairs]})


def _metadata(model: Model, names: Names) -> dict[str, str]:
    """What the file of weights says besides numbers: the spec, and the names of classes by output."""
    known = {output: list(names) for output in sorted(model.fitting(names))} if names else {}
    return {"spec": model.spec.source.text, "names": json.dumps(known)}


def _whole(
    source: Path, given: Path | None, names: Names, output: str | None, sizes: dict[str, str], checked: bool
) -> Answer:
    form = format_of(source)
    if sizes and not form.sized:
        raise click.UsageError(f"files of {form.name} tell all sizes: --set is for params of --spec, and for Caffe")
    spec = Path(output) if output else Path(source.stem + ".dag")
    net = form.read(source, given, sizes) if form.sized else form.read(source, given)
    made = written(net)
    write_whole(spec, made.text.encode())
    files, model = [spec], compile(spec)
    if made.weights:
        files.append(save_weights(made.weights, spec.with_suffix(".safetensors"), _metadata(model, names)))
    difference = None
    if checked and made.weights:
        model.load(files[1])
        difference = form.check(source, given, partial(_outputs, model, [name for name, _ in net.heads]))
    silent = any(map(PICTURE.fullmatch, (port.type for port in net.inputs))) and "preprocess" not in net.sections
    lines = [*_said(form, files, model, difference), *([SILENT] if silent else [])]
    return Answer("\n".join(lines), _data(form, files, difference))


def _outputs(model: Model, heads: Sequence[str], arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """What a model says, and what its heads say, which reach no output."""
    return model.predict(dict(arrays)) | {head: model.features(head, dict(arrays)) for head in heads}


def _said(form: Format, files: list[Path], model: Model, difference: float | None) -> list[str]:
    lines = [f"wrote {' and '.join(map(str, files))}"]
    lines += [line for line in model.summary().splitlines() if line.startswith("parameters")]
    if difference is not None:
        judge = form.runtime or form.name
        lines.append(f"against {judge} on random inputs: largest difference {difference:.1e} of the outputs' range")
    return lines


def _data(form: Format, files: list[Path], difference: float | None) -> dict[str, object]:
    return {"format": form.name, "files": [str(f) for f in files], "difference": difference}
