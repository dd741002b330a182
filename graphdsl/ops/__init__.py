"""What operators mean, one file a family. Importing this package fills the registries of layers and losses."""

from graphdsl.ops import (
    activation,
    attention_layers,
    blocks,
    border,
    comparison,
    conv_layers,
    detect,
    detection,
    draws,
    expression,
    functions,
    generative,
    grid,
    landmarks,
    learned,
    local,
    localisation,
    merge,
    mu_law,
    neocognitron,
    norm,
    norm_layers,
    notation,
    overlap,
    picture,
    pool_layers,
    reduce_layers,
    resize,
    roi,
    spectral,
    stretch,
    triplets,
    unpool,
    windows,
)
from graphdsl.ops.aggregate import Max
from graphdsl.ops.ahead import Ahead
from graphdsl.ops.argmax import TopPlaces
from graphdsl.ops.assign import AssignBoxes, Candidates
from graphdsl.ops.assign_free import AssignCells
from graphdsl.ops.attention import Attention, AttentionGradient
from graphdsl.ops.avg_pool import AvgPool, AvgPoolGradient
from graphdsl.ops.concat import Concat, Pad, Slice
from graphdsl.ops.conv import Conv, ConvInputGradient, ConvKernelGradient, Sliding
from graphdsl.ops.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SoftmaxCrossentropy
from graphdsl.ops.ctc import Ctc, SoftmaxCtc
from graphdsl.ops.ctc_text import CtcBeam, CtcGreedy
from graphdsl.ops.cumulative import CumulativeSum
from graphdsl.ops.demand import demand_equal
from graphdsl.ops.draws import SampleNormal
from graphdsl.ops.elementwise import FORMULAS, Elementwise, broadcast, formula, over
from graphdsl.ops.embedding import Gather, ScatterAdd
from graphdsl.ops.formulas import Formulas
from graphdsl.ops.fused import Fused, FusedMoments, FusedPool, FusedSums
from graphdsl.ops.gru import Gru, GruGradient
from graphdsl.ops.initializers import Vectors
from graphdsl.ops.linear import MatMul, add_bias, batch_matmul, dense, project
from graphdsl.ops.loss import LOSS_WEIGHT
from graphdsl.ops.lstm import Lstm, LstmGradient
from graphdsl.ops.mask import StepMask, mask_steps
from graphdsl.ops.max_pool import GlobalMaxPool, MaxPool, MaxPoolGradient, PutWinners, TakeWinners
from graphdsl.ops.moments import Moments, counted
from graphdsl.ops.neocognitron import SCells
from graphdsl.ops.nms import SOFT, Nms
from graphdsl.ops.noise import COUNTER, COUNTER_TYPE, Dropout, GaussianNoise, RandomUniform, key_of, random_uniform
from graphdsl.ops.norm import BatchNorm, Standardize
from graphdsl.ops.overlap import overlaps
from graphdsl.ops.receptive import Sight, sight_of
from graphdsl.ops.reduce import Broadcast, DimNumber, Sum, broadcast_to, sum_over, sum_to
from graphdsl.ops.reduced import Reduced
from graphdsl.ops.resize import resampled
from graphdsl.ops.rnn import Rnn, RnnGradient
from graphdsl.ops.shape import Reshape, Transpose, reshape, transposed
from graphdsl.ops.softmax import Softmax
from graphdsl.ops.take import Cast
from graphdsl.ops.taps import Taps
from graphdsl.ops.triplets import Triplets
from graphdsl.ops.window import Pads, Sizes, numbers, reach, resolve_pad
from graphdsl.ops.windows import Crop, Unslidable, WindowMap, slide

__all__ = [
    "COUNTER",
    "COUNTER_TYPE",
    "FORMULAS",
    "LOSS_WEIGHT",
    "SOFT",
    "Ahead",
    "AssignBoxes",
    "AssignCells",
    "Attention",
    "AttentionGradient",
    "AvgPool",
    "AvgPoolGradient",
    "BatchNorm",
    "BinaryCrossentropy",
    "Broadcast",
    "Candidates",
    "Cast",
    "CategoricalCrossentropy",
    "Concat",
    "Conv",
    "ConvInputGradient",
    "ConvKernelGradient",
    "Crop",
    "Ctc",
    "CtcBeam",
    "CtcGreedy",
    "CumulativeSum",
    "DimNumber",
    "Dropout",
    "Elementwise",
    "Formulas",
    "Fused",
    "FusedMoments",
    "FusedPool",
    "FusedSums",
    "Gather",
    "GaussianNoise",
    "GlobalMaxPool",
    "Gru",
    "GruGradient",
    "Lstm",
    "LstmGradient",
    "MatMul",
    "Max",
    "MaxPool",
    "MaxPoolGradient",
    "Moments",
    "Nms",
    "Pad",
    "Pads",
    "PutWinners",
    "RandomUniform",
    "Reduced",
    "Reshape",
    "Rnn",
    "RnnGradient",
    "SCells",
    "SampleNormal",
    "ScatterAdd",
    "Sight",
    "Sizes",
    "Slice",
    "Sliding",
    "Softmax",
    "SoftmaxCrossentropy",
    "SoftmaxCtc",
    "Standardize",
    "StepMask",
    "Sum",
    "TakeWinners",
    "Taps",
    "TopPlaces",
    "Transpose",
    "Triplets",
    "Unslidable",
    "Vectors",
    "WindowMap",
    "activation",
    "add_bias",
    "attention_layers",
    "batch_matmul",
    "blocks",
    "border",
    "broadcast",
    "broadcast_to",
    "comparison",
    "conv_layers",
    "counted",
    "demand_equal",
    "dense",
    "detect",
    "detection",
    "draws",
    "expression",
    "formula",
    "functions",
    "generative",
    "grid",
    "key_of",
    "landmarks",
    "learned",
    "local",
    "localisation",
    "mask_steps",
    "merge",
    "mu_law",
    "neocognitron",
    "norm",
    "norm_layers",
    "notation",
    "numbers",
    "over",
    "overlap",
    "overlaps",
    "picture",
    "pool_layers",
    "project",
    "random_uniform",
    "reach",
    "reduce_layers",
    "resampled",
    "reshape",
    "resize",
    "resolve_pad",
    "roi",
    "sight_of",
    "slide",
    "spectral",
    "stretch",
    "sum_over",
    "sum_to",
    "transposed",
    "triplets",
    "unpool",
    "windows",
]
