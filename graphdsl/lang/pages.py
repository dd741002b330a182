"""The words that the language itself has, beside those of registries: what `graphdsl ops input` says of them."""

from __future__ import annotations

from collections.abc import Mapping

from graphdsl.report import dataclass


@dataclass(frozen=True)
class Page:
    """A word of the language.

    example  lines of a spec
    text     the first line says what the word is for
    """

    example: str
    text: str


_SLIDE = """A whole spec at every window of a picture, worked out in one pass.

It gives what the other file's output is for every window, [rows, columns, classes]: the very numbers that crops give.
Dense layers become convolutions with the same weights.

  path        of the other spec, beside the file that names it; its input is as large as a window
  windows=    sizes of windows in pixels, a result for each: a window of another size sees the picture scaled
  stride=     how far windows stand apart; unless set as far as the strides and pools of the other spec take them
  weights=    a file to start from
  upto=       a name of the other file: what it holds, in place of its output
  freeze=     true: its weights do not learn, and it behaves as in use
  and any param of the other file

The picture needs a known size. `decode_windows` makes boxes of what comes out, `graphdsl slide` measures both ways."""

_MODEL = """A whole spec as a layer: transfer, teachers, parts of rivals.

  path        of the other spec, beside the file that names it
  weights=    a file to start from
  upto=       a name of the other file: cut there, and give what it holds
  outputs=    several of its names
  freeze=     true: its weights do not learn, and it behaves as in use
  and any param of the other file"""

_BOX = """Up to m boxes of n classes in a picture: a type of targets.

Each is centre x, centre y, width, height as fractions of the picture, and its class; rows without area stand for none.
`voc`, `coco`, `yolo` and `boxes` read such, `detection` learns from them, `mean_average_precision` judges by them."""

_POINT = """n points of a picture, x and y as fractions of it, any of which may be unknown (NaN): a type of targets.

`points` and `pts` read such, `landmarks(n)` is the head, `mse` the loss, `normalised_error` the metric."""

_INPUT = """A tensor that data supplies. The batch axis is never written; features are last, space or time before them.

A size with a capital is free and equal wherever it is repeated: `float[T, 128]`. A column of the data feeds the input
of its name; a lone column feeds the only input whatever it is called."""

_BLOCK = """A recipe; each use makes new weights. `in` is what flows in and `out` what comes out.
Settings may have defaults.

With braces it has names of its own; `out` may be a list, then it has several results."""

_IF = """A choice that is made while the graph is built; the other branch is not built at all.

It depends on params and sizes, `width > 16 and not deep`; numbers that flow are chosen by `where`."""

_PREPROCESS = """How a sample becomes what an input declares: in training, validation, `evaluate` and `predict` alike.

`graphdsl ops --kind preprocess` lists the steps. Pictures without any are scaled and cut to the input's size
(`resize`, `mode=cover`)."""

PAGES: Mapping[str, Page] = {
    "input": Page("input image: float[224, 224, 3]", _INPUT),
    "target": Page("target label: int(10)", "What the truth looks like. Only losses and metrics read it."),
    "weight": Page("weight canvas: float[64, 64, 3] = normal(0, 0.1)", "A tensor that is itself learned."),
    "output": Page("output y = x -> dense(10)", "What the model is for. What reaches none exists in training only."),
    "block": Page("block conv_bn(c, k=3) = in -> conv(c, k, pad=same, bias=false) -> batch_norm", _BLOCK),
    "shared": Page("shared reader = lstm(32)", "One set of weights: every `-> reader` uses it."),
    "param": Page(
        "param width = 32 in [16, 32, 64]",
        "A number, text, truth value or size with a default, and after `in` the values it may have.\n\n"
        "`--set width=64` changes it. Ranges are `range(0.0, 0.5)` and `log(1e-4, 1e-1)`.",
    ),
    "use": Page('use "blocks.dag"', "Brings the blocks and params of another file."),
    "assert": Page(
        'assert width % 2 == 0 "width must be even"',
        "What must hold, checked while the graph is built; `weights` in it is how many numbers learn.",
    ),
    "if": Page("y = if width > 16 then x -> dense(width) else x", _IF),
    "preprocess": Page("preprocess = image -> resize(256) -> center_crop(224)", _PREPROCESS),
    "float": Page("input x: float[28, 28, 1]", "Numbers: a type. `target place: float?[8]` may have unknown entries."),
    "int": Page("target label: int(10)", "Whole numbers below n: a type. `int(10)` is a class, `int(9)[T]` a text."),
    "bool": Page("input seen: bool[T]", "True or false: a type."),
    "box": Page("target things: box(20)[50]", _BOX),
    "point": Page("target points: point[68]", _POINT),
    "model": Page('y = image -> model("zoo/vgg16.dag", upto=features, freeze=true)', _MODEL),
    "slide": Page('near, far = street -> slide("crop.dag", windows=[16, 24])', _SLIDE),
}
"""By word. Those of sections say their own: `SectionKind.doc`."""

SAME = {"then": "if", "else": "if", "and": "if", "or": "if", "not": "if", "in": "block", "out": "block"}
"""Words that another page tells of."""
