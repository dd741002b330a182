"""Neural Amp Modeler: guitar amplifiers and pedals as WaveNets, in .nam files."""

from graphdsl.interop.nam.reader import read

__all__ = ["read"]
