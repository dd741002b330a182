"""Every family of kernels that there is: importing one registers its binders."""

from graphdsl.backends.cpu import (  # noqa: F401
    aggregate,
    ahead,
    assign,
    attention,
    avg_pool,
    concat,
    conv,
    conv_kernel,
    crossentropy,
    ctc,
    elementwise,
    embedding,
    fused,
    linear,
    mask,
    max_pool,
    nms,
    noise,
    norm,
    recurrence,
    reduce,
    shape,
    size,
    softmax,
    taps,
)
from graphdsl.backends.cpu.task import BINDERS

__all__ = ["BINDERS"]
