"""Machines that run programs: what each must be able to do, and those there are."""

from graphdsl.backends.base import BF16, PRECISIONS, SINGLE, STRICT, TF32, Backend, Kernel, Memory, Outcome, View
from graphdsl.backends.null.backend import NullBackend
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.backends.registry import AUTO, BACKENDS, DEFAULT, automatic, backend, instead

__all__ = [
    "AUTO",
    "BACKENDS",
    "BF16",
    "DEFAULT",
    "PRECISIONS",
    "SINGLE",
    "STRICT",
    "TF32",
    "Backend",
    "Kernel",
    "Memory",
    "NullBackend",
    "Outcome",
    "ReferenceBackend",
    "View",
    "automatic",
    "backend",
    "instead",
]
