"""Words as numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from graphdsl.data.column import Ragged

PADDING = "<pad>"
UNKNOWN = "<unknown>"
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


def words(text: str) -> list[str]:
    """Lower-cased words, apostrophes inside them kept, and punctuation marks one by one."""
    return _WORD.findall(text.lower())


def vocabulary(texts: Sequence[str], size: int) -> tuple[str, ...]:
    """Padding, the unknown word, then the size - 2 most frequent words; equally frequent ones in alphabetical order."""
    counts = Counter(word for text in texts for word in words(text))
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return (PADDING, UNKNOWN, *(word for word, _ in ranked[: max(0, size - 2)]))


def numbered(texts: Sequence[str], known: Sequence[str]) -> Ragged:
    """The place of each word in the vocabulary, 1 for words not in it. A text without words is one unknown word."""
    numbers = {word: i for i, word in enumerate(known)}
    return Ragged.of([np.array([numbers.get(w, 1) for w in words(text)] or [1], np.int64) for text in texts])
