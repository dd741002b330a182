"""Networks from elsewhere, and back."""

from graphdsl.interop import onnx, source
from graphdsl.interop.formats import FORMATS, Format, Outputs, format_of
from graphdsl.interop.net import ARITHMETIC, WEIGHT, Layer, Net, Port
from graphdsl.interop.refusal import cannot_say, demand_package, malformed, read_bytes, read_text, unfit
from graphdsl.interop.state_dict import Fitted, fitted, read_arrays
from graphdsl.interop.writer import Written, written

__all__ = [
    "ARITHMETIC",
    "FORMATS",
    "WEIGHT",
    "Fitted",
    "Format",
    "Layer",
    "Net",
    "Outputs",
    "Port",
    "Written",
    "cannot_say",
    "demand_package",
    "fitted",
    "format_of",
    "malformed",
    "onnx",
    "read_arrays",
    "read_bytes",
    "read_text",
    "source",
    "unfit",
    "written",
]
