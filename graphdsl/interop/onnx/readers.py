"""All readers of operators: importing their files is what registers them."""

from graphdsl.interop.onnx import (
    convolutions,
    elementwise,
    norms,
    pools,
    products,
    reduces,
    resizing,
    sequences,
    shapes,
)
from graphdsl.interop.onnx.registry import READERS

__all__ = ["FILES", "READERS"]

FILES = (convolutions, elementwise, norms, pools, products, reduces, resizing, sequences, shapes)
