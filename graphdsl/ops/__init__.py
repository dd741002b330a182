"""What operators mean, one file a family. Importing this package fills the registries of operators, layers and losses."""

from graphdsl.ops import activation, reduce, shape
from graphdsl.ops.elementwise import FORMULAS, Elementwise, formula
from graphdsl.ops.reduce import sum_over, sum_to
from graphdsl.ops.shape import broadcast_to, reshape

__all__ = [
    "FORMULAS",
    "Elementwise",
    "activation",
    "broadcast_to",
    "formula",
    "reduce",
    "reshape",
    "shape",
    "sum_over",
    "sum_to",
]
