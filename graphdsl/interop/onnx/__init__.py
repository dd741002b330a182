"""ONNX: models of nearly every other tool in, and ours out."""

from graphdsl.interop.onnx.check import check
from graphdsl.interop.onnx.export import Exported, exported
from graphdsl.interop.onnx.export_check import difference
from graphdsl.interop.onnx.export_file import export
from graphdsl.interop.onnx.model import load
from graphdsl.interop.onnx.reading import Imported, imported, read

__all__ = ["Exported", "Imported", "check", "difference", "export", "exported", "imported", "load", "read"]
