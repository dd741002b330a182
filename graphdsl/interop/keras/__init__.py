"""Networks from Keras 1, 2 and 3."""

from graphdsl.interop.keras.check import check
from graphdsl.interop.keras.reading import read

__all__ = ["check", "read"]
