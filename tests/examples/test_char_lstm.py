"""The character model on real text: step by step the same as in PyTorch, and it writes what it has learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.char_lstm import compiled, trained
from tests.support.shared import DATA, needs

TEXT = DATA / "text" / "tinyshakespeare.txt"
STEPS = 6


@needs("text")
@pytest.mark.slow
def test_it_learns_as_in_pytorch_and_leaves_samples(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    losses, bits = trained(compiled(TEXT, STEPS))
    model = compiled(TEXT, STEPS)
    done = model.fit(runs=tmp_path, shown=False)
    assert done.metrics["train"]["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert done.metrics["valid"]["said.bits_per_character"] == pytest.approx(bits, rel=1e-3)
    assert done.folder is not None
    written = (done.folder / "samples.txt").read_text(encoding="utf-8")
    assert written.count("# sample, temperature") == written.count("ROMEO:") == 3
    assert len(written) > 3 * 400
