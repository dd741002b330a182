"""The language: text to tree, tree to graph."""

from graphdsl.lang.parser import decode, parse, read_source

__all__ = ["decode", "parse", "read_source"]
