"""Says things to people: sources, spans, diagnostics and how they are drawn."""

from graphdsl.report.diagnostic import Diagnostic, Failed, Label, Reporter, Severity, Use, fail
from graphdsl.report.nearest import did_you_mean, nearest
from graphdsl.report.source import Source, Span

__all__ = [
    "Diagnostic",
    "Failed",
    "Label",
    "Reporter",
    "Severity",
    "Source",
    "Span",
    "Use",
    "did_you_mean",
    "fail",
    "nearest",
]
