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
from graphdsl.interop import Format, Net, fitted, format_of, read_arrays, written
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.report import dataclass, write_whole
from graphdsl.runtime import save_weights

PICTURE = re.compile(r"float\[\w+, \w+, [13]\]")
SILENT = (
    "the file does not say what is done to pictures first; if more than a division by 255, write it into the spec: "
    "`preprocess = … -> …`"
)

IN_USE = """\
# Numbers as close to the source's as float32 allows. Without it some machines are faster, and 1e-5 off.
predict {
  precision = strict
}
"""
"""What is written where weights came along: who brings a trained network compares it with where it came from."""

UNTRAINED = "no weights were given: --weights FILE brings them, if there are any"

Names = tuple[str, ...]
"""Of classes."""


@dataclass(frozen=True)
class _Asked:
    """What to import, and where to."""

    file: Path
    weights: Path | None
    names: Names
    spec: Path
    sizes: dict[str, str]


@click.command()
@click.argument("file", type=click.Path())
@click.option("--weights", metavar="FILE", type=click.Path(), help="Where they stand in a file of their own.")
@click.option("-o", "--output", metavar="SPEC.dag", help="Where to. Default: the file's name, in this folder.")
@click.option("--spec", metavar="SPEC.dag", type=click.Path(), help="The network that bare weights are for.")
@settings_option
@click.option(
    "--classes",
    metavar="FILE",
    type=click.Path(),
    help="Names of the classes, or of letters or words, one a line or in JSON; weights keep them.",
)
@click.option("--overwrite", is_flag=True, help="Even if there is another spec of that name.")
@click.option("--check/--no-check", "checked", default=True, help="Compare with the source's runtime, if installed.")
@answers
def command(
    file: str,
    weights: str | None,
    output: str | None,
    spec: str | None,
    settings: dict[str, str],
    classes: str | None,
    overwrite: bool,
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
        target = _target(output, f"{Path(spec).stem}.safetensors")
        return _bare(Path(file), compile(spec, settings), names, target)
    asked = _Asked(
        Path(file), Path(weights) if weights else None, names, _target(output, f"{Path(file).stem}.dag"), settings
    )
    return _whole(asked, overwrite, checked)


def _bare(file: Path, model: Model, names: Names, output: Path) -> Answer:
    """Weights that came without a graph, under the names of a spec that we have."""
    found = fitted(read_arrays(file), model.graph, file)
    save_weights(found.weights, output, _metadata(model, names))
    width = max(len(theirs) for theirs, _ in found.pairs)
    lines = [f"  {theirs:<{width}}  {ours}" for theirs, ours in found.pairs]
    text = "\n".join([*lines, f"wrote {output}: {len(found.weights)} weights of {len(found.pairs)} layers"])
    return Answer(text, {"files": [str(output)], "pairs": [list(pair) for pair in found.pairs]})


def _metadata(model: Model, names: Names) -> dict[str, str]:
    """What the file of weights says besides numbers: all of the model, used like what it came from."""
    model.writing.spell(names)
    known = {output: list(names) for output in sorted(model.fitting(names))} if names else {}
    uses = any(section.kind == "predict" for section in model.spec.sections)
    spec = model.spec.source.text + ("" if uses else f"\n{IN_USE}")
    return {**model.metadata, "spec": spec, "names": json.dumps(known)}


def _target(output: str | None, usual: str) -> Path:
    """Where to write. Another ending is a mistake: weights would go into a spec, or a spec to where nobody looks."""
    path, ending = Path(output or usual), Path(usual).suffix
    if path.suffix != ending:
        raise click.UsageError(f"what is written here is a {ending} file, so `{path}` must end in that")
    return path


def _read(form: Format, asked: _Asked) -> Net:
    if asked.sizes and not form.sized:
        raise click.UsageError(f"files of {form.name} tell all sizes: --set is for params of --spec, and for Caffe")
    if asked.weights and not form.apart:
        raise click.UsageError(f"files of {form.name} hold their weights: --weights is for other formats")
    return form.read(asked.file, asked.weights, *([asked.sizes] if form.sized else []))


def _whole(asked: _Asked, overwrite: bool, checked: bool) -> Answer:
    form, spec = format_of(asked.file), asked.spec
    net = _read(form, asked)
    made = written(net)
    text = f"{made.text}\n{IN_USE}" if made.weights else made.text
    if spec.exists() and not overwrite and spec.read_bytes() != text.encode():
        raise click.UsageError(f"`{spec}` is there already and says something else: -o another name, or --overwrite")
    write_whole(spec, text.encode())
    files, model = [spec], compile(spec)
    difference = None
    if made.weights:
        files.append(save_weights(made.weights, spec.with_suffix(".safetensors"), _metadata(model, asked.names)))
        model.load(files[1])
        heads = [name for name, _ in net.heads]
        difference = form.check(asked.file, asked.weights, partial(_outputs, model, heads)) if checked else None
    lines = [*_said(form, files, model, difference), *_notes(form, net, bool(made.weights))]
    return Answer("\n".join(lines), _data(form, files, difference))


def _notes(form: Format, net: Net, weighted: bool) -> list[str]:
    """What a user would otherwise find out late."""
    silent = any(map(PICTURE.fullmatch, (port.type for port in net.inputs))) and "preprocess" not in net.sections
    lacking = form.apart and not weighted
    return [*([UNTRAINED] if lacking else []), *([SILENT] if silent else [])]


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
