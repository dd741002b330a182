"""Pictures as tensors of a spec: what style transfer begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from graphdsl.data.column import Array
from graphdsl.data.files import Places
from graphdsl.data.images import decode, natural_size
from graphdsl.ir import Registry, Size, Words

SOURCES = Registry("source")


@SOURCES.register()
def photo(path: Words, size: Size | None = None) -> Array:
    """A picture in a file, as float32 [height, width, 3] between 0 and 1.

    path  looked for beside the spec, then in the working directory
    size  `400x600` is height 400 and width 600: scaled to cover it and cut around the centre; else as large as it is
    Raises E0501 (no such file), E0504 (too many pixels), E0507 (no picture).
    """
    found = Places(Path(), Path.cwd()).find(path)
    height, width = natural_size(found) if size is None else (size, size) if isinstance(size, int) else size
    return decode(found, (height, width, 3)).astype(np.float32) / 255
