"""Texts learned by ctc without any word on which frame says what; read again by both decoders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import Array
from graphdsl.report import Failed

SPEC = """
input  x: float[T, 4]
target spelled: int(4)[L]
said = x -> conv(16, 3, pad=same) -> relu -> dense(5) -> softmax
output text = said -> %s
train {
  loss      = [said, spelled] -> ctc%s
  metrics   = [[text, spelled] -> character_error_rate, [text, spelled] -> sequence_accuracy]
  optimizer = adam(lr=0.02)
  epochs    = 25
}
"""


def samples(count: int) -> tuple[list[Array], list[Array]]:
    """Frames that hold one of four characters for two or three steps, with a pause behind each, and noise."""
    generator = np.random.default_rng(0)
    frames, texts = [], []
    for _ in range(count):
        text = generator.integers(0, 4, generator.integers(1, 6))
        shown = [np.repeat(np.eye(4)[[k]], generator.integers(2, 4), 0) for k in text]
        parts = [part for one in shown for part in (one, np.zeros((1, 4)))]
        sound = np.concatenate(parts)
        frames.append((sound + generator.normal(0, 0.1, sound.shape)).astype(np.float32))
        texts.append(text)
    return frames, texts


@pytest.mark.parametrize(("decoder", "blank"), [("ctc_greedy", ""), ("ctc_beam(5, blank=0)", "(blank=0)")])
def test_texts_are_learned(decoder: str, blank: str, tmp_path: Path) -> None:
    spec = tmp_path / "spelled.dag"
    spec.write_text(SPEC % (decoder, blank), encoding="utf-8")
    frames, texts = samples(96)
    model = graphdsl.compile(spec)
    model.fit({"x": frames}, {"spelled": texts}, runs=None, shown=False, batch=16)
    numbers = model.evaluate({"x": frames}, {"spelled": texts})
    assert numbers["text.character_error_rate"] < 0.02
    assert numbers["text.sequence_accuracy"] > 0.9
    said = model.texts(model.predict({"x": frames[:8]}))["text"]
    right = [" ".join(map(str, text)) for text in texts[:8]]
    assert sum(one == other for one, other in zip(said, right, strict=True)) >= 7


def test_a_text_that_is_too_long_stops_a_run_unless_it_counts_nothing(tmp_path: Path) -> None:
    frames, texts = samples(16)
    texts[3] = np.zeros(9 * len(frames[3]), np.int64)
    spec = tmp_path / "spelled.dag"
    spec.write_text(SPEC % ("ctc_greedy", ""), encoding="utf-8")
    with pytest.raises(Failed, match="E0601") as told:
        graphdsl.compile(spec).fit({"x": frames}, {"spelled": texts}, runs=None, shown=False, epochs=1)
    assert "too long for its frames" in told.value.diagnostics[0].help
    spec.write_text(SPEC % ("ctc_greedy", "(zero_infinity=true)"), encoding="utf-8")
    done = graphdsl.compile(spec).fit({"x": frames}, {"spelled": texts}, runs=None, shown=False, epochs=1)
    assert 0 < done.metrics["train"]["loss"] < 100


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    spec = tmp_path / "spelled.dag"
    spec.write_text(SPEC % ("ctc_greedy", ""), encoding="utf-8")
    frames, texts = samples(32)
    ends = []
    for _ in range(2):
        model = graphdsl.compile(spec)
        model.fit({"x": frames}, {"spelled": texts}, runs=None, shown=False, epochs=2)
        ends.append(model.predict({"x": frames})["text"].tobytes() + model.features("said", {"x": frames}).tobytes())
    assert ends[0] == ends[1]
