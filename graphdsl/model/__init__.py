"""The Python API: `graphdsl.compile` and what it gives. `selfcheck` is a file of its own, imported where asked for."""

from graphdsl.model.anchors import Head, Sizes, heads_of, sizes_learned, sizes_of
from graphdsl.model.boxes import Found
from graphdsl.model.classes import TOP
from graphdsl.model.composing import Composer, composer
from graphdsl.model.dreaming import dream
from graphdsl.model.gallery import Embedder, Gallery, Seen, embedder, judged, read_gallery
from graphdsl.model.judging import Judged
from graphdsl.model.marked import marked
from graphdsl.model.model import Model, compile
from graphdsl.model.slides import Compared, demand_slides
from graphdsl.model.supply import asked
from graphdsl.model.words import VOCABULARY
from graphdsl.model.writing import Author

__all__ = [
    "TOP",
    "VOCABULARY",
    "Author",
    "Compared",
    "Composer",
    "Embedder",
    "Found",
    "Gallery",
    "Head",
    "Judged",
    "Model",
    "Seen",
    "Sizes",
    "asked",
    "compile",
    "composer",
    "demand_slides",
    "dream",
    "embedder",
    "heads_of",
    "judged",
    "marked",
    "read_gallery",
    "selfcheck",
    "sizes_learned",
    "sizes_of",
]
