"""Every family of kernels that there is: importing one registers its binders."""

from graphdsl.backends.cpu.task import BINDERS

__all__ = ["BINDERS"]
