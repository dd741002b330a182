"""ONNX."""

from graphdsl.interop.onnx.export import Exported, export, exported
from graphdsl.interop.onnx.export_check import difference

__all__ = ["Exported", "difference", "export", "exported"]
