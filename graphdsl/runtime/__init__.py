"""Runs programs on a backend and keeps the weights."""

from graphdsl.runtime.compiled import SAMPLES, Compiled, binding
from graphdsl.runtime.executor import Executor, Ready
from graphdsl.runtime.memory import amount
from graphdsl.runtime.profile import Timing, by_operator, find_nonfinite, profile
from graphdsl.runtime.weight_files import LoadReport, fill_weights, load_weights, read_weights, save_weights, some
from graphdsl.runtime.weights import STATES, WeightStore

__all__ = [
    "SAMPLES",
    "STATES",
    "Compiled",
    "Executor",
    "LoadReport",
    "Ready",
    "Timing",
    "WeightStore",
    "amount",
    "binding",
    "by_operator",
    "fill_weights",
    "find_nonfinite",
    "load_weights",
    "profile",
    "read_weights",
    "save_weights",
    "some",
]
