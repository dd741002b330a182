"""`graphdsl import model.onnx`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import click

from graphdsl.cli.options import Answer, answers, settings_option
from graphdsl.interop import Format, fitted, format_of, read_arrays, written
from graphdsl.ir import Array
from graphdsl.model import Model, compile
from graphdsl.report import write_whole
from graphdsl.runtime import save_weights


@click.command()
@click.argument("file", type=click.Path())
@click.option("--weights", metavar="FILE", type=click.Path(), help="Where they stand in a file of their own.")
@click.option("-o", "--output", metavar="SPEC.dag", help="Where to. Default: the file's name, in this folder.")
@click.option("--spec", metavar="SPEC.dag", type=click.Path(), help="The network that bare weights of PyTorch are for.")
@settings_option
@click.option("--check/--no-check", "checked", default=True, help="Compare with the source's runtime, if installed.")
@answers
def command(
    file: str, weights: str | None, output: str | None, spec: str | None, settings: dict[str, str], checked: bool
) -> Answer:
    """A network of another tool as a spec, with its weights beside it.

    \b
    graphdsl import model.onnx                   writes model.dag and model.safetensors
    graphdsl import net.cfg --weights net.weights -o yolo.dag
    graphdsl import deploy.prototxt --weights net.caffemodel
    graphdsl import train_val.prototxt --set data=28x28x1     where no file tells how large pictures are
    graphdsl import resnet50.pt.safetensors --spec specs/zoo/resnet50.dag -o resnet50.safetensors
    """
    if spec is not None:
        return _bare(Path(file), compile(spec, settings), Path(output or f"{Path(spec).stem}.safetensors"))
    return _whole(Path(file), Path(weights) if weights else None, output, settings, checked)


def _bare(file: Path, model: Model, output: Path) -> Answer:
    """Weights that came without a graph, under the names of a spec that we have."""
    found = fitted(read_arrays(file), model.graph, file)
    save_weights(found.weights, output, {"spec": model.spec.source.text})
    width = max(len(theirs) for theirs, _ in found.pairs)
    lines = [f"  {theirs:<{width}}  {ours}" for theirs, ours in found.pairs]
    text = "\n".join([*lines, f"wrote {output}: {len(found.weights)} weights of {len(found.pairs)} layers"])
    return Answer(text, {"files": [str(output)], "pairs": [list(pair) for pair in found.pairs]})


def _whole(source: Path, given: Path | None, output: str | None, sizes: dict[str, str], checked: bool) -> Answer:
    form = format_of(source)
    if sizes and not form.sized:
        raise click.UsageError(f"files of {form.name} tell all sizes: --set is for params of --spec, and for Caffe")
    spec = Path(output) if output else Path(source.stem + ".dag")
    net = form.read(source, given, sizes) if form.sized else form.read(source, given)
    made = written(net)
    write_whole(spec, made.text.encode())
    files = [spec]
    if made.weights:
        files.append(save_weights(made.weights, spec.with_suffix(".safetensors"), {"spec": made.text}))
    model = compile(spec)
    difference = None
    if checked and made.weights:
        model.load(files[1])
        difference = form.check(source, given, partial(_outputs, model, [name for name, _ in net.heads]))
    return Answer(_said(form, files, model, difference), _data(form, files, difference))


def _outputs(model: Model, heads: Sequence[str], arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    """What a model says, and what its heads say, which reach no output."""
    return model.predict(dict(arrays)) | {head: model.features(head, dict(arrays)) for head in heads}


def _said(form: Format, files: list[Path], model: Model, difference: float | None) -> str:
    lines = [f"wrote {' and '.join(map(str, files))}"]
    lines += [line for line in model.summary().splitlines() if line.startswith("parameters")]
    if difference is not None:
        judge = form.runtime or form.name
        lines.append(f"against {judge} on random inputs: largest difference {difference:.1e} of the outputs' range")
    return "\n".join(lines)


def _data(form: Format, files: list[Path], difference: float | None) -> dict[str, object]:
    return {"format": form.name, "files": [str(f) for f in files], "difference": difference}
