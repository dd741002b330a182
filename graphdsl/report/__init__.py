"""Says things to people: sources, spans, diagnostics and how they are drawn."""

from graphdsl.report.diagnostic import Diagnostic, Failed, Label, Reporter, Severity, Use, fail
from graphdsl.report.explain import CODES, Explanation, explanation
from graphdsl.report.files import advice, write_whole
from graphdsl.report.frozen import dataclass
from graphdsl.report.nearest import did_you_mean, nearest
from graphdsl.report.render import as_data, json_text, print_diagnostics, render_json, render_text
from graphdsl.report.source import Source, Span
from graphdsl.report.terminal import visible

__all__ = [
    "CODES",
    "Diagnostic",
    "Explanation",
    "Failed",
    "Label",
    "Reporter",
    "Severity",
    "Source",
    "Span",
    "Use",
    "advice",
    "as_data",
    "dataclass",
    "did_you_mean",
    "explanation",
    "fail",
    "json_text",
    "nearest",
    "print_diagnostics",
    "render_json",
    "render_text",
    "visible",
    "write_whole",
]
