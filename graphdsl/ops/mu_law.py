"""Sound as classes: amplitudes on a scale that is fine around silence."""

from __future__ import annotations

from math import log
from typing import Annotated

from graphdsl.ir import Builder, DType, TypeRuleError, Value, Whole, layer
from graphdsl.ops.elementwise import formula
from graphdsl.ops.expression import Expression, Scalar, expm1, log1p, sign
from graphdsl.ops.take import Cast, within
from graphdsl.ops.window import demand_float

Levels = Annotated[int, Whole(2, 65_536)]


@layer()
def mu_law(b: Builder, x: Value, levels: Levels = 256) -> Value:
    """Amplitudes from -1 to 1 as whole numbers: sign(x) ln(1 + m |x|) / ln(1 + m) in as many equal steps.

    x        float, any shape; beyond -1 and 1 counts as these
    levels   how many numbers there are; m is one less
    returns  int(levels), the same shape; silence is levels / 2. Nothing learns through it

    Source: ITU-T G.711; van den Oord et al. 2016 (WaveNet). As torchaudio.transforms.MuLawEncoding.
    """
    demand_float("mu_law", x.type)
    top = levels - 1
    bent = formula(
        b,
        lambda v: within((sign(v) * log1p(top * abs(v)) / log(levels) + 1) / 2 * top + 0.5, levels),
        x,
        title="mu_law",
    )
    return b.emit(Cast(DType.INT32, levels), bent)


@layer()
def from_mu_law(b: Builder, x: Value) -> Value:
    """The amplitudes that `mu_law` numbers stand for: its reverse, but for what rounding lost.

    x        int(levels), any shape
    returns  float from -1 to 1, the same shape

    E0303  x is no class number
    """
    levels = x.type.kind.classes if x.type.kind.name == "indices" else 0
    if levels < 2:
        message = f"from_mu_law takes numbers of `mu_law`, int(256), got {x.type.describe()}"
        raise TypeRuleError(message, code="E0303", operand=0)
    top = levels - 1
    numbers = b.emit(Cast(DType.FLOAT32), x)

    def straight(v: Expression) -> Scalar:
        bent = v * (2 / top) - 1
        return sign(bent) * expm1(abs(bent) * log(levels)) / top

    return formula(b, straight, numbers, title="from_mu_law")
