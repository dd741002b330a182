"""Specs as Python files for other tools."""

from graphdsl.interop.source.keras import keras
from graphdsl.interop.source.pytorch import pytorch

TOOLS = {"keras": keras, "pytorch": pytorch}
"""What `--to` may be: (graph, name of the model, name of the spec) → the text of a file."""

__all__ = ["TOOLS", "keras", "pytorch"]
