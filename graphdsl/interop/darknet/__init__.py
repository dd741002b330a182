"""Darknet: a cfg, and its file of weights."""

from graphdsl.interop.darknet.check import check
from graphdsl.interop.darknet.reader import read

__all__ = ["check", "read"]
