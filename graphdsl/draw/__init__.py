"""Pictures and tables of graphs."""

from graphdsl.draw.dot import dot_text
from graphdsl.draw.engine import FORMATS, layout, page, render
from graphdsl.draw.sheet import features_sheet, filters_sheet
from graphdsl.draw.summary import summary_data, summary_text
from graphdsl.draw.view import Arrow, Box, BoxRole, View, layer_view

__all__ = [
    "FORMATS",
    "Arrow",
    "Box",
    "BoxRole",
    "View",
    "dot_text",
    "features_sheet",
    "filters_sheet",
    "layer_view",
    "layout",
    "page",
    "render",
    "summary_data",
    "summary_text",
]
