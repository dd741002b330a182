"""What layers ask of their tensors together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from graphdsl.ir import TensorType, TypeRuleError, Value


def demand_equal(title: str, xs: Sequence[Value]) -> None:
    """Equal means equal: raises TypeRuleError for the tensor that differs from most; with two, the second."""
    shapes = [x.type.shape for x in xs]
    usual = Counter(shapes).most_common(1)[0][0]
    odd = next((i for i, s in enumerate(shapes) if s != usual), None)
    if odd is None:
        return
    if len(xs) == 2:
        got = f"got {xs[0].type.describe()} and {xs[1].type.describe()}"
    else:
        got = f"tensor {odd + 1} is {xs[odd].type.describe()}, most are {xs[shapes.index(usual)].type.describe()}"
    raise TypeRuleError(f"{title} needs equal shapes, {got}", operand=odd, help=_advice(xs[odd].type, usual))


def _advice(odd: TensorType, usual: tuple[object, ...]) -> str:
    if odd.shape[:-1] == usual[:-1]:
        return f"only the features differ: `conv({usual[-1]}, 1)` or `dense({usual[-1]})` brings them to {usual[-1]}"
    return "nothing is stretched silently: bring them to one shape"
