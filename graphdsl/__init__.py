"""A text language for neural networks.

    import graphdsl
    model = graphdsl.compile("digits.dag")
    model.fit()
    model.predict({"image": pictures})

Names are imported on first use, so that `import graphdsl` is as cheap as an empty module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphdsl.model import Model, compile
    from graphdsl.report import Failed

__version__ = "0.1.0"
__all__ = ["Failed", "Model", "__version__", "compile"]

_HOMES = {"Model": "graphdsl.model", "compile": "graphdsl.model", "Failed": "graphdsl.report"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'graphdsl' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
