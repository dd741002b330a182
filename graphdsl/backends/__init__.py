"""Machines that run programs: what each must be able to do, and those there are."""

from graphdsl.backends.base import Backend, Kernel, Memory, View
from graphdsl.backends.null.backend import NullBackend
from graphdsl.backends.reference.backend import ReferenceBackend
from graphdsl.backends.registry import BACKENDS, DEFAULT, backend

__all__ = ["BACKENDS", "Backend", "DEFAULT", "Kernel", "Memory", "NullBackend", "ReferenceBackend", "View", "backend"]
