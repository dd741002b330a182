"""Where tensors come from: the shapes of inputs, as far as a prototxt file tells them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graphdsl.interop.caffe.steps import Step
from graphdsl.interop.caffe.text import Message
from graphdsl.ir import Array
from graphdsl.report import fail

Shape = tuple[int, ...]

LARGEST = 1 << 31
WELL_KNOWN: dict[str, Shape] = {"mnist_siamese": (2, 28, 28), "mnist": (1, 28, 28), "cifar10": (3, 32, 32)}
"""Sets of pictures whose sizes the files that read them do not say: a part of the source's name, and the sizes."""


def declared(net: Message) -> list[tuple[str, Shape]]:
    """The inputs that stand outside of layers: `input: "data"` with `input_shape { … }` or four `input_dim` each."""
    names, shapes = net.texts("input"), [m.counts("dim") for m in net.messages("input_shape")]
    dims = net.counts("input_dim")
    if dims and not shapes:
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
    if len(shapes) != len(names):
        raise fail("E0902", f"{len(names)} inputs have {len(shapes)} shapes", net.span)
    return [(name, _without_batch(dims, net, name)) for name, dims in zip(names, shapes, strict=True)]


def shapes_of(
    step: Step, readers: Mapping[str, Sequence[Step]], arrays: Mapping[str, list[Array]] | None
) -> list[Shape]:
    """The shapes of what a data layer gives, one for each top that is not a label.

    readers  the layers that read each of its tops: where nothing else tells a shape, the weights of an InnerProduct do

    E0901  the prototxt does not tell a shape
    """
    given = _told(step)
    if given is not None:
        return given
    found = _features(step, readers, arrays)
    if found is not None:
        return [found]
    size = "4" if step.kind == "HDF5Data" else "224x224x3"
    top = step.tops[0] if step.tops else "data"
    raise step.refused(
        "how large its tensors are stands in the data, not in this file",
        f"say it: `--set {top}={size}`, with the right sizes",
    )


def shape_set(name: str, size: str) -> Shape:
    """Caffe's shape of an input whose size somebody wrote as a spec has it: `28x28x1` is 1, 28, 28.

    E0902  it is no size
    """
    if not re.fullmatch(r"[1-9][0-9]{0,8}(x[1-9][0-9]{0,8}){0,3}", size):
        raise fail("E0902", f"`{size}` is no size for `{name}`", help="write numbers, features last: `28x28x1`, or `4`")
    sizes = tuple(map(int, size.split("x")))
    return (sizes[-1], *sizes[:-1])


def _told(step: Step) -> list[Shape] | None:
    match step.kind:
        case "Input":
            shapes = [m.counts("dim") for m in step.body.message("input_param").messages("shape")]
            return [_without_batch(dims, step.body, step.name) for dims in shapes] or None
        case "DummyData":
            return _dummies(step)
        case "MemoryData":
            p = step.body.message("memory_data_param")
            return [tuple(p.count(name, 1) for name in ("channels", "height", "width"))]
        case "HDF5Data":
            return None
    return _picture(step)


def _dummies(step: Step) -> list[Shape] | None:
    p = step.body.message("dummy_data_param")
    shapes = [m.counts("dim") for m in p.messages("shape")]
    old = zip(*(p.counts(name) for name in ("num", "channels", "height", "width")), strict=False)
    return [_without_batch(dims, step.body, step.name) for dims in (shapes or [list(o) for o in old])] or None


def _picture(step: Step) -> list[Shape] | None:
    """A picture's shape: three channels, unless the file says grey."""
    transform = step.body.message("transform_param")
    own = step.body.message({"Data": "data_param", "ImageData": "image_data_param"}.get(step.kind, "window_data_param"))
    crop = transform.count("crop_size", own.count("crop_size", 0))
    size = (crop, crop) if crop else (own.count("new_height", 0), own.count("new_width", 0))
    source = own.text("source").lower()
    known = next((shape for name, shape in WELL_KNOWN.items() if name in source), None)
    grey = transform.flag("force_gray", False) or not own.flag("is_color", True)
    channels = 1 if grey else known[0] if known else 3
    if all(size):
        return [(channels, *size)]
    return [known] if known else None


def _features(
    step: Step, readers: Mapping[str, Sequence[Step]], arrays: Mapping[str, list[Array]] | None
) -> Shape | None:
    """[features], where an InnerProduct with known weights reads what the layer gives."""
    if arrays is None or not step.tops:
        return None
    reading = [s for s in readers[step.tops[0]] if s.kind == "InnerProduct" and arrays.get(s.name)]
    return (arrays[reading[0].name][0].shape[-1],) if reading else None


def _without_batch(dims: Sequence[int], body: Message, name: str) -> Shape:
    if not dims or any(not 0 < d < LARGEST for d in dims[1:]):
        raise fail("E0902", f"`{name}` has the shape {list(dims)}", body.span, help="sizes are whole numbers above 0")
    return tuple(dims[1:])


def preprocess(step: Step, name: str, channels: int) -> tuple[list[str], list[str]]:
    """How Caffe turns bytes of pictures into numbers, as lines of a spec and as remarks: 0 to 255 unless scaled.

    Its tools store pictures blue first; only that for CIFAR-10 keeps them as they are.
    """
    transform = step.body.message("transform_param")
    if step.kind not in ("Data", "ImageData", "WindowData") or channels not in (1, 3):
        return [], []
    cifar = "cifar10" in step.body.message("data_param").text("source").lower()
    parts = ["bgr"] if channels == 3 and not cifar else []
    means, scale, file = transform.numbers("mean_value"), transform.number("scale", 1), transform.text("mean_file")
    if means and len(means) in (1, channels):
        written = ", ".join(f"{m:g}" for m in means)
        parts.append(f"subtract({written if len(means) == 1 else f'[{written}]'})")
    if scale != 1 or not means:
        parts.append(f"scale({scale:.10g})")
    remarks = [f"Caffe also subtracts the mean picture in `{file}`, which is a file of its own"] if file else []
    return [f"preprocess = {' -> '.join([name, *parts])}"], remarks


def origins(net: Message) -> list[str]:
    """Remarks on where a net that is trained takes its data from."""
    names = ("data_param", "image_data_param", "hdf5_data_param", "window_data_param")
    layers = (*net.messages("layer"), *net.messages("layers"))
    return [_origin(m, m.message(name)) for m in layers for name in names if "source" in m.message(name)]


def _origin(layer: Message, param: Message) -> str:
    phase = " and ".join(rule.text("phase").lower() for rule in layer.messages("include") if "phase" in rule)
    batch = f", {param.count('batch_size', 0)} at a time" if "batch_size" in param else ""
    return f"Caffe reads `{param.text('source')}`{f' to {phase}' if phase else ''}{batch}"


def rates(steps: Sequence[Step]) -> list[str]:
    """A remark on layers that Caffe does not let learn. Averages of a BatchNorm never do."""
    still = [s.name for s in steps if s.rates and not any(s.rates) and s.kind != "BatchNorm"]
    return [f"Caffe does not let these learn (lr_mult 0): {', '.join(f'`{name}`' for name in still)}"] if still else []
