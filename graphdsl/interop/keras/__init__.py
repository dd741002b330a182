"""Networks from Keras 1, 2 and 3."""

from graphdsl.interop.keras.reading import read

__all__ = ["read"]
