"""All readers of operators: importing their files is what registers them."""

from graphdsl.interop.onnx import (
    cells,
    convolutions,
    einsum,
    elementwise,
    logic,
    losses,
    norms,
    picks,
    pools,
    products,
    reduces,
    resizing,
    sequences,
    shapes,
    spectral,
    suppression,
)
from graphdsl.interop.onnx.registry import READERS

__all__ = ["FILES", "READERS"]

FILES = (
    *(cells, convolutions, einsum, elementwise, logic, losses, norms, picks, pools),
    *(products, reduces, resizing, sequences, shapes, spectral, suppression),
)
