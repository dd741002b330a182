"""What operators mean, one file a family. Importing this package fills the registries of layers and losses."""

from graphdsl.ops import activation, conv_layers, expression, norm, pool_layers, resize
from graphdsl.ops.elementwise import FORMULAS, Elementwise, formula
from graphdsl.ops.linear import add_bias, batch_matmul, dense, project
from graphdsl.ops.mask import mask_steps
from graphdsl.ops.reduce import Broadcast, broadcast_to, sum_over, sum_to
from graphdsl.ops.shape import reshape

__all__ = [
    "FORMULAS",
    "Broadcast",
    "Elementwise",
    "activation",
    "add_bias",
    "batch_matmul",
    "broadcast_to",
    "conv_layers",
    "dense",
    "expression",
    "formula",
    "mask_steps",
    "norm",
    "pool_layers",
    "project",
    "reshape",
    "resize",
    "sum_over",
    "sum_to",
]
