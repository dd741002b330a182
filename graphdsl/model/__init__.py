"""The Python API: `graphdsl.compile` and what it gives."""

from graphdsl.model.model import Model, compile
from graphdsl.model.words import VOCABULARY

__all__ = ["Model", "VOCABULARY", "compile"]
