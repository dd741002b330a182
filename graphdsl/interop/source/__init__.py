"""Specs as Python files for other tools."""

from graphdsl.interop.source.pytorch import pytorch

TOOLS = {"pytorch": pytorch}
"""What `--to` may be: (graph, name of the model, name of the spec) → the text of a file."""

__all__ = ["TOOLS", "pytorch"]
