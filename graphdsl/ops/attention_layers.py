"""Layers made of attention: several heads with weights of their own, and what tells them where a step stands."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from graphdsl.ir import (
    Builder,
    Choice,
    Constant,
    Count,
    Flag,
    Init,
    NonNegative,
    OneOrMore,
    Symbolic,
    TensorType,
    TypeRuleError,
    Value,
    Zeros,
    layer,
)
from graphdsl.ops.attention import Attention
from graphdsl.ops.concat import sliced_axis
from graphdsl.ops.elementwise import formula
from graphdsl.ops.initializers import GlorotUniform, Normal
from graphdsl.ops.linear import project

GLOROT, ZEROS, SMALL = GlorotUniform(), Zeros(), Normal(0.0, 0.02)
PERIOD = 10_000.0
"""The longest wave of sinusoidal positions, in steps, over 2 pi. Source: Vaswani et al. 2017."""


@layer()
def attention(
    b: Builder,
    xs: OneOrMore,
    heads: Count = 1,
    *,
    causal: Flag = False,
    bias: Flag = True,
    width: Count | None = None,
    value_width: Count | None = None,
    units: Count | None = None,
    init: Init = GLOROT,
    l2: NonNegative = 0.0,
) -> Value:
    """Every step looks at others and takes from them what it needs: attention with several heads.

    x            [time, features]: `x -> attention(8)` reads itself, `[x, memory] -> attention(8)` asks x's questions of
                 another sequence, `[x, keys, values] -> attention(8)` of two. Any time may be free: padded steps change
                 nothing
    returns      [time of x, units]

    heads        into how many parts the features are cut, each with weights of its own of every step on every other
    causal       a step looks at itself and those before it only
    bias         whether the four products have a bias
    width        features of queries and of keys, of all heads together; those of x unless given
    value_width  features of values, of all heads together; width unless given
    units        features of the result; those of x unless given
    init         how query, key, value and output begin; glorot_uniform unless given
    l2           the loss grows by l2 * the sum of their squares

    For each head, softmax(q · k / sqrt(width / heads)) · v with q = x · query, k = memory · key and v = memory · value;
    the heads' results side by side, times output.

    Weights: query [features, width], key [features of memory, width], value [features of memory, value_width], output
    [value_width, units], and a bias for each: query_bias …; 4 * features * (features + 1) parameters as it is.

    E0301  x is no sequence of features
    E0305  heads do not divide width or value_width; causal with another sequence than x

    Source: Vaswani et al. 2017.
    """
    if len(xs) > 3:
        raise TypeRuleError(f"attention reads one sequence, two or three, got {len(xs)}", operand=3)
    features, *_ = [_demand_steps("attention", x.type, place) for place, x in enumerate(xs)]
    x, keys, values = xs[0], xs[min(1, len(xs) - 1)], xs[-1]
    wide = width or features
    parts = {"query": (x, wide), "key": (keys, wide), "value": (values, value_width or wide)}
    for name, (_, size) in parts.items():
        _demand_divided(heads, size, "value_width" if name == "value" and value_width else "heads")
    if causal and keys.type.shape[1] != x.type.shape[1]:
        raise TypeRuleError(
            f"causal attention of {x.type.describe()} to {keys.type.describe()}: which step comes before which?",
            code="E0305",
            operand=1,
            attribute="causal",
            help="leave `causal` out, or let both have as many steps",
        )
    q, k, v = (_projected(b, name, from_, size, bias, init, l2) for name, (from_, size) in parts.items())
    asking, real = (b.lengths(s.type.shape[1]) for s in (q, k))
    op = Attention(heads, causal, asking is not None, real is not None)
    y, _ = b.emit_all(op, q, k, v, *(n for n in (asking, real) if n is not None))
    return _projected(b, "output", y, units or features, bias, init, l2)


def _projected(b: Builder, name: str, x: Value, units: int, bias: bool, init: Init, l2: float) -> Value:
    """x times the weight called name, plus its bias."""
    y = project(b, x, b.weight(name, (x.type.channels, units), init, l2=l2))
    return formula(b, lambda v, c: v + c, y, b.weight(f"{name}_bias", (units,), ZEROS), title="add_bias") if bias else y


def _demand_steps(title: str, x: TensorType, place: int = 0) -> int:
    """The number of features of a sequence. Raises TypeRuleError where x is none."""
    if x.rank == 3 and x.dtype.is_float and isinstance(x.channels, int):
        return x.channels
    help = "`reshape` or `flatten` can make that"
    if x.kind.name == "indices":
        help = "put `embedding(features)` before it"
    elif x.rank == 4 and not any(isinstance(s, Symbolic) for s in x.shape[1:]):
        height, width, channels = x.shape[1:]
        help = f"`reshape({height * width}x{channels})` makes a sequence of places"
    raise TypeRuleError(f"{title} reads float[time, features], got {x.describe()}", operand=place, help=help)


def _demand_divided(heads: int, size: int, blamed: str) -> None:
    if size % heads:
        raise TypeRuleError(f"{heads} heads do not divide {size} features", code="E0305", attribute=blamed)


@layer()
def positions(
    b: Builder,
    x: Value,
    limit: Count | None = None,
    *,
    kind: Annotated[str, Choice(("learned", "sinusoidal"))] = "learned",
    init: Init = SMALL,
) -> Value:
    """Adds to every step a vector that says which step it is: attention alone does not know.

    x        [time, features]
    limit    how many steps there may be; the time of x unless given, which a free time needs
    kind     `learned`: a vector for each step is learned. `sinusoidal`: waves, sin and cos in turn, of lengths from
             2 pi to 20,000 pi steps
    init     how learned vectors begin; normal(0, 0.02) unless given
    returns  the same shape

    Weights: table [limit, features] if learned; limit * features parameters. Sequences longer than limit stop the run.

    E0301  x is no sequence of features
    E0305  limit is less than the time of x
    E0401  the time is free and there is no limit

    Source: Gehring et al. 2017 (learned), Vaswani et al. 2017 (sinusoidal).
    """
    features, steps = _demand_steps("positions", x.type), x.type.shape[1]
    rows = limit or steps
    if not isinstance(rows, int):
        raise TypeRuleError(
            f"how many positions should {x.type.describe()} have at most?",
            code="E0401",
            operand=0,
            help="say it: `positions(512)`",
        )
    if isinstance(steps, int) and rows < steps:
        raise TypeRuleError(f"{steps} steps, but positions for {rows}", code="E0305", attribute="limit")
    if kind == "learned":
        table = b.weight("table", (rows, features), init)
    else:
        table = b.emit(Constant.array(_waves(rows, features)), name="waves")
    return formula(b, lambda v, p: v + p, x, sliced_axis(b, table, 0, 0, steps), title="positions")


def _waves(steps: int, features: int) -> np.ndarray:
    """[steps, features]: sin and cos in turn, of falling frequency."""
    pairs = np.arange((features + 1) // 2)
    angles = np.arange(steps)[:, None] / PERIOD ** (2 * pairs / features)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(steps, -1)[:, :features].astype(np.float32)
