"""Windows with weights of their own at every place."""

from __future__ import annotations

from math import prod

from graphdsl.ir import Builder, Count, Flag, Init, NonNegative, Padding, Size, Value, Zeros, layer
from graphdsl.ops.elementwise import formula
from graphdsl.ops.initializers import GlorotUniform
from graphdsl.ops.linear import batch_matmul
from graphdsl.ops.pool_window import windows
from graphdsl.ops.shape import reshape, transposed
from graphdsl.ops.taps import picks, tapped

GLOROT = GlorotUniform()
ZEROS = Zeros()


@layer()
def local_conv(
    b: Builder,
    x: Value,
    filters: Count,
    size: Size,
    *,
    stride: Size = 1,
    pad: Padding = "valid",
    bias: Flag = True,
    init: Init = GLOROT,
    bias_init: Init = ZEROS,
    l1: NonNegative = 0.0,
    l2: NonNegative = 0.0,
) -> Value:
    """A convolution whose weights are not shared: every place has a window of its own. (Locally connected.)

    x        [time, features] or [height, width, channels], of known sizes
    returns  [out..., filters], out(s) = (s + padding - size) // stride + 1

    The settings are those of `conv`.

    Weights: kernel [out..., size..., channels, filters], bias [out..., filters].

    E0301  x is of none of these shapes; the window is larger than the padded input
    E0401  a size is known only at run time

    Source: LeCun 1989; Taigman et al. 2014 (DeepFace).
    """
    slide = windows("local_conv", x.type, size, stride, pad, False, 1)
    axes = slide.along()
    out, inner = tuple(a.out for a in axes), (*slide.size, x.type.channels)
    kernel = b.weight("kernel", (*out, *inner, filters), init, l1=l1, l2=l2)
    cut = x
    for axis, along in enumerate(axes, 1):
        read = (p for j in range(along.out) for p in along.elements(j))
        cut = tapped(b, cut, axis, picks(p if 0 <= p < along.known else None for p in read), "windows")
    thin = tuple(n for a in axes for n in (a.out, a.size))
    count = len(axes)
    order = (*range(1, 2 * count, 2), 0, *range(2, 2 * count + 1, 2), 2 * count + 1)
    batch, places, width = x.type.shape[0], prod(out), prod(slide.size) * x.type.channels
    rows = transposed(b, reshape(b, cut, (batch, *thin, x.type.channels)), order)
    product = batch_matmul(b, reshape(b, rows, (places, batch, width)), reshape(b, kernel, (places, width, filters)))
    y = reshape(b, transposed(b, product, (1, 0, 2)), (batch, *out, filters))
    if not bias:
        return y
    return formula(b, lambda v, c: v + c, y, b.weight("bias", (*out, filters), bias_init), title="add_bias")
