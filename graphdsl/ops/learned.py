"""Element-wise layers with weights: a slope, a factor, a shift."""

from __future__ import annotations

from typing import Annotated

from graphdsl.ir import Builder, Choice, Dim, Flag, Init, TensorType, TypeRuleError, Value, Zeros, layer
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import where
from graphdsl.ops.initializers import ConstantInit, Ones
from graphdsl.ops.window import demand_float

Per = Annotated[str, Choice(("feature", "element", "tensor"))]
QUARTER, ONES, ZEROS = ConstantInit(0.25), Ones(), Zeros()


def _shape(title: str, x: TensorType, per: str) -> tuple[Dim, ...]:
    """Of the weights: one number in all, one a feature, one for each place of a sample. Raises TypeRuleError."""
    demand_float(title, x)
    if per == "tensor":
        return ()
    sizes = x.shape[1:] if x.batched else x.shape
    if not sizes:
        raise TypeRuleError(
            f"{title} needs float[features] at least, got {x.describe()}", operand=0, help="or write `per=tensor`"
        )
    return sizes if per == "element" else sizes[-1:]


@layer()
def prelu(b: Builder, x: Value, *, per: Per = "feature", init: Init = QUARTER) -> Value:
    """x where positive, else slope * x, the slope being learned.

    x        any shape
    per      `feature`: a slope for every feature. `tensor`: one for all. `element`: one for every place of a sample,
             as Keras has it unless it is told to share axes
    init     how the slopes begin: 0.25 unless given (PyTorch's; Keras begins with 0)
    returns  the same shape

    At 0 the gradient of x is its slope.

    Weights: slope [features], [] or the shape of a sample.

    E0301  x has no features, or holds whole numbers
    E0401  the slopes' shape is known only at run time

    Source: He et al. 2015.
    """
    slope = b.weight("slope", _shape("prelu", x.type, per), init)
    return formula(b, lambda v, s: where(v > 0, v, s * v), x, slope, title="prelu")


@layer()
def scale(
    b: Builder,
    x: Value,
    *,
    scale: Flag = True,
    center: Flag = True,
    per: Per = "feature",
    init: Init = ONES,
    center_init: Init = ZEROS,
) -> Value:
    """x * gamma + beta, both learned: what stands behind a normalisation. (Caffe's Scale and Bias.)

    x        any shape
    scale    whether there is a gamma
    center   whether there is a beta
    per      `feature`: a number for every feature. `tensor`: one for all. `element`: one for every place of a sample
    init, center_init   how gamma and beta begin: 1 and 0 unless given
    returns  the same shape

    Weights: gamma and beta, [features], [] or the shape of a sample.

    E0301  x has no features, or holds whole numbers
    E0305  neither scale nor center
    E0401  the weights' shape is known only at run time
    """
    if not (scale or center):
        raise TypeRuleError("scale with neither a gamma nor a beta does nothing", code="E0305", attribute="center")
    shape = _shape("scale", x.type, per)
    gamma = [b.weight("gamma", shape, init)] if scale else []
    beta = [b.weight("beta", shape, center_init)] if center else []
    if gamma and beta:
        return formula(b, lambda v, g, c: v * g + c, x, *gamma, *beta, title="scale")
    return formula(b, (lambda v, g: v * g) if gamma else (lambda v, c: v + c), x, *gamma, *beta, title="scale")
