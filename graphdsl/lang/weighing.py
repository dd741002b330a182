"""Weights of losses that change while training goes on: by a schedule, or because they are learned."""

from __future__ import annotations

from dataclasses import replace

from graphdsl.ir import DType, Made, Place, TensorType, Value, Zeros
from graphdsl.lang.frame import Frame, LossUse
from graphdsl.ops import formula
from graphdsl.ops.expression import exp

LEARNED = "learned"
"""`mse(weight=learned)`"""


def weighed(use: LossUse, place: Place, frame: Frame) -> tuple[Value, LossUse]:
    """The loss times its weight, and how it came to be so.

    A schedule's weight is an input of the graph, `train/mse_1/weight`, which whoever trains feeds. One that is learned
    follows from a weight of the graph, `train/mse_1/log_variance`, that begins as 0:

        exp(-log_variance) * loss + log_variance / 2

    Source: Kendall, Gal and Cipolla 2018, equation 7; for a squared error log_variance is theirs plus log 2.
    """
    b = frame.session.builder
    with b.within(place):
        if isinstance(use.weight, Made):
            name = f"{place.path}/weight"
            frame.session.scheduled[name] = use.weight
            share = b.input(name, TensorType((), DType.FLOAT32))
            total = formula(b, lambda x, w: w * x, use.plain, share, title="scheduled")
            return total, replace(use, share=share)
        uncertain = b.weight("log_variance", (), Zeros())
        share = formula(b, lambda s: exp(-s), uncertain, title="precision")
        total = formula(b, lambda x, s: exp(-s) * x + 0.5 * s, use.plain, uncertain, title="learned")
    return total, replace(use, share=share, uncertain=uncertain.node)
