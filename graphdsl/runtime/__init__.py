"""Runs programs on a backend and keeps the weights."""

from graphdsl.runtime.compiled import Compiled, binding
from graphdsl.runtime.executor import Executor, Ready
from graphdsl.runtime.weights import WeightStore

__all__ = ["Compiled", "Executor", "Ready", "WeightStore", "binding"]
