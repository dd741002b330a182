"""Every family of kernels that there is: importing one registers its launchers."""

from graphdsl.backends.cuda import (  # noqa: F401
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
from graphdsl.backends.cuda.launcher import LAUNCHERS

__all__ = ["LAUNCHERS"]
