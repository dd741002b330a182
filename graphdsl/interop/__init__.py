"""Networks from elsewhere, and back."""

from graphdsl.interop import onnx
from graphdsl.interop.formats import FORMATS, Format, Outputs, format_of
from graphdsl.interop.net import ARITHMETIC, WEIGHT, Layer, Net, Port
from graphdsl.interop.refusal import cannot_say, demand_package, malformed, read_bytes, read_text, unfit
from graphdsl.interop.writer import Written, written

__all__ = [
    "ARITHMETIC",
    "FORMATS",
    "Format",
    "Layer",
    "Net",
    "Outputs",
    "Port",
    "WEIGHT",
    "Written",
    "cannot_say",
    "demand_package",
    "format_of",
    "malformed",
    "onnx",
    "read_bytes",
    "read_text",
    "unfit",
    "written",
]
