"""Mutated specs through the parser and the elaborator: each ends in a graph or in diagnostics, never in a traceback.

What could be built of a spec with mistakes is a valid graph too.

    python tests/fuzz.py --count 200000 --seed 0

Prints the texts that failed, the slowest text, and what was told how often. Exits with 1 when any text failed.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from graphdsl.ir import demand_valid  # noqa: E402 - the repository's, not an installed one
from graphdsl.lang import decode  # noqa: E402
from graphdsl.lang.grammar import grammar  # noqa: E402
from graphdsl.report import Failed, Source, render_text  # noqa: E402
from tests.support.language import elaborated  # noqa: E402

FOLDERS = ("specs", "tests/cases", "tests/lang/specs")
SLOW = 60.0
"""Seconds that a text may take: the largest that the limits let through needs ten on a quiet machine."""

HEAVY = {"layers.dag"}
"""Asks for all the layers that the limits allow, which takes a second each time."""

LARGE = 1_000
"""Operations of a graph above which it is not verified, to save time."""

SCRAPS = (
    *'()[]{}=,"#\n+*:.-/%<>',
    *("->", "**", "==", "in", "out", "x", "0", "1", "-1", "3.5", "1x7", "10**12", "1e308", "true", "none", '"x"', "T"),
    *("add", "concat", "dense", "conv", "split", "lstm", "softmax", "mse", "model", "weights", "image", "label"),
    *("block b(c) = in -> ", "shared s = ", "weight w: float[8] = ", "param p = ", "assert ", "output ", "input x: "),
    *("train {", "step a {", "loss = ", "freeze = ", "augment = ", "if true then ", " else ", "x.channels", "* 1000"),
)


@dataclass
class Found:
    """What a run came to."""

    failures: list[tuple[str, str]] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    slowest_text: str = ""


def corpus() -> list[str]:
    """Every spec of the repository that is read in a moment."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.dag"))]
    light = [p for p in paths if p.stat().st_size < 6_000 and p.name not in HEAVY]
    return [p.read_text(encoding="utf-8", errors="replace") for p in light]


def mutated(texts: list[str], chance: random.Random) -> str:
    """One of the texts with a few of its words removed, doubled, swapped, replaced, or taken from another text."""
    words = words_of(chance.choice(texts))
    others = words_of(chance.choice(texts))
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(len(words) + 1)
        size = chance.choice((1, 1, 1, 2, 5, 20))
        start = chance.randrange(len(others) + 1)
        edits = (
            [],
            words[at : at + size] * 2,
            [chance.choice(SCRAPS)],
            others[start : start + size],
            words[at : at + size][::-1],
            [*words[at : at + size], chance.choice(SCRAPS)],
        )
        words[at : at + size] = chance.choice(edits)
    return "".join(words)


_WORDS: dict[str, list[str]] = {}


def words_of(text: str) -> list[str]:
    """The text cut into the words of the grammar, spaces included."""
    if text not in _WORDS:
        _WORDS[text] = [token.text for token in grammar().lexicon.scan(Source("fuzz.dag", text))]
    return list(_WORDS[text])


def try_text(text: str, texts: dict[str, str], found: Found) -> None:
    """Elaborates one text and draws what is told about it."""
    began = time.perf_counter()
    try:
        source = decode(text.encode("utf-8", "surrogatepass"), "fuzz.dag")
        spec, diagnostics = elaborated(source.text, files=texts, path="fuzz.dag")
        if len(spec.graph) < LARGE:
            demand_valid(spec.graph, "elaboration")
        for diagnostic in diagnostics[:3]:
            render_text(diagnostic)
        found.codes.update(d.code for d in diagnostics)
    except Failed as failed:
        found.codes.update(d.code for d in failed.diagnostics)
    except Exception:  # the traceback is what this script looks for
        found.failures.append((text, traceback.format_exc()))
    seconds = time.perf_counter() - began
    if seconds > found.slowest:
        found.slowest, found.slowest_text = seconds, text


def fuzz(count: int, seed: int) -> Found:
    """count mutated texts; the same seed gives the same texts."""
    chance = random.Random(seed)
    texts = corpus()
    files = {"inception_block.dag": "block part(c) = in -> dense(c)", "other.dag": texts[0], "vgg16.dag": texts[1]}
    found = Found()
    for _ in range(count):
        try_text(mutated(texts, chance), files, found)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    began = time.perf_counter()
    found = fuzz(arguments.count, arguments.seed)
    for text, trace in found.failures[:10]:
        print(f"--- traceback of\n{text}\n---\n{trace}")
    told = ", ".join(f"{code} {n}" for code, n in sorted(found.codes.items()))
    seconds = time.perf_counter() - began
    print(f"{arguments.count} texts in {seconds:.0f} s, seed {arguments.seed}: {len(found.failures)} tracebacks")
    print(f"slowest text {found.slowest:.2f} s\ntold: {told}")
    if found.slowest > SLOW:
        print(found.slowest_text)
    return 1 if found.failures or found.slowest > SLOW else 0


if __name__ == "__main__":
    sys.exit(main())
