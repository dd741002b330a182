"""Every family of kernels that there is: importing one registers its binders."""

from graphdsl.backends.cpu import (  # noqa: F401
    concat,
    conv,
    conv_kernel,
    elementwise,
    fused,
    linear,
    mask,
    max_pool,
    shape,
    size,
)
from graphdsl.backends.cpu.task import BINDERS

__all__ = ["BINDERS"]
