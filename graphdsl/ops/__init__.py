"""What operators mean, one file a family. Importing this package fills the registries of layers and losses."""

from graphdsl.ops import activation
from graphdsl.ops.elementwise import FORMULAS, Elementwise, formula
from graphdsl.ops.reduce import broadcast_to, sum_over, sum_to
from graphdsl.ops.shape import reshape

__all__ = ["FORMULAS", "Elementwise", "activation", "broadcast_to", "formula", "reshape", "sum_over", "sum_to"]
