"""The language: text to tree, tree to graph."""

from graphdsl.lang.elaborate import elaborate
from graphdsl.lang.format import format_text
from graphdsl.lang.pages import PAGES, SAME
from graphdsl.lang.parser import decode, parse, read_source
from graphdsl.lang.spec import (
    Choices,
    Interval,
    LossTerm,
    MetricTerm,
    Named,
    Parameter,
    Port,
    Recipe,
    Section,
    SharedUse,
    Slid,
    Spec,
    WeightsFile,
)
from graphdsl.lang.unread import unread
from graphdsl.lang.vocabulary import Vocabulary

__all__ = [
    "PAGES",
    "SAME",
    "Choices",
    "Interval",
    "LossTerm",
    "MetricTerm",
    "Named",
    "Parameter",
    "Port",
    "Recipe",
    "Section",
    "SharedUse",
    "Slid",
    "Spec",
    "Vocabulary",
    "WeightsFile",
    "decode",
    "elaborate",
    "format_text",
    "parse",
    "read_source",
    "unread",
]
