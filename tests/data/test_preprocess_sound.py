"""What is done to recordings first, and sound as windows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.data import Files, Places, RunningSound, wav_bytes
from graphdsl.data.preprocess_sound import Mono, MuLaw, Resample, Trim, resampled
from graphdsl.data.wav import Sound
from graphdsl.ir import Array
from graphdsl.report import Failed


def tone(rate: int, hertz: float, seconds: float = 0.5) -> Array:
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)[:, None]


@pytest.mark.parametrize(("old", "new"), [(16000, 8000), (8000, 16000), (44100, 8000), (8000, 11025), (22050, 16001)])
def test_a_tone_stays_the_tone_at_another_rate(old: int, new: int) -> None:
    found = resampled(tone(old, 440), old, new)
    wanted = tone(new, 440)
    assert abs(len(found) - len(wanted)) <= 1
    inside = slice(new // 50, len(wanted) - new // 50)
    assert np.abs(found[inside] - wanted[inside]).max() < 0.02


def test_what_is_too_high_for_the_new_rate_is_gone() -> None:
    assert np.abs(resampled(tone(16000, 6500), 16000, 8000)[200:-200]).max() < 0.02


def test_resampling_as_scipy_and_by_its_own_formula() -> None:
    """Against the sum of the interpolating waves written out, result by result."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    found = resampled(x, 3, 2)
    cut = 2 * 0.99 / 3
    for n in range(len(found)):
        t = np.clip((np.arange(60) - n * 1.5) * cut, -6, 6)
        weights = np.sinc(t) * np.cos(t * np.pi / 12) ** 2 * cut
        np.testing.assert_allclose(found[n], weights @ x, atol=1e-5)


def test_silence_and_channels() -> None:
    sound = Sound(np.array([[0, 0], [0.001, 0], [0.5, -0.5], [0, 0], [0, 0.25], [0, 0.002]], np.float32), 8000)
    assert Trim(40.0).heard(sound).values.tolist() == [[0.5, -0.5], [0, 0], [0, 0.25]]
    assert len(Trim(60.0).heard(sound).values) == 5
    assert Mono().heard(sound).values[:, 0].tolist() == pytest.approx([0, 0.0005, 0, 0, 0.125, 0.001])
    assert Resample(8000).heard(sound) is sound
    assert len(Trim(40.0).heard(Sound(np.zeros((5, 1), np.float32), 8000)).values) == 5


def model(tmp_path: Path, text: str) -> graphdsl.Model:
    (tmp_path / "spec.dag").write_text(text)
    return graphdsl.compile(tmp_path / "spec.dag")


def batch(made: graphdsl.Model, pattern: str) -> Array:
    """What reaches the network of recordings that fit."""
    from graphdsl.data import Files

    return made.predict(Files((pattern,)).read(Places()))["y"]


def test_steps_of_a_spec(tmp_path: Path) -> None:
    """Stereo at 16000 Hz and mono at 8000 Hz become alike, and are cut and filled up to one length."""
    left = tone(16000, 300, 0.1)
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.concatenate([left, left], axis=1), 16000))
    (tmp_path / "b.wav").write_bytes(wav_bytes(tone(8000, 300, 0.05), 8000))
    steps = "audio -> mono -> resample(8000) -> truncate(600) -> pad(600)"
    made = model(tmp_path, f"input audio: float[600]\npreprocess = {steps}\noutput y = audio * 1")
    found = batch(made, str(tmp_path / "*.wav"))
    assert found.shape == (2, 600) and not found[1, 400:].any()
    np.testing.assert_allclose(found[0, 50:350], found[1, 50:350], atol=0.02)


def test_sequences_of_free_length(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.array([0, 0, 0.5, 0.25, 0], np.float32), 8000))
    made = model(tmp_path, "input audio: float[T]\npreprocess = audio -> trim -> truncate(1)\noutput y = audio * 2")
    assert batch(made, str(tmp_path / "a.wav")) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("input a: float[3]\npreprocess = a -> mono\noutput y = a * 1", "this step is for recordings"),
        ("input a: int(256)[T]\npreprocess = a -> mu_law(512)\noutput y = a -> embedding(2)", "numbers below 512"),
        ("input a: float[T]\npreprocess = a -> mu_law\noutput y = a * 1", "numbers below 256"),
        ("input a: float[T]\ninput b: int(4)\npreprocess = b -> trim\noutput y = b -> embedding(2)", "are sequences"),
    ],
)
def test_steps_that_do_not_fit(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Failed, match=words):
        model(tmp_path, text).predict({"a": np.zeros((1, 3), np.float32)})


def test_mu_law_is_the_layer(tmp_path: Path) -> None:
    x = np.linspace(-1.2, 1.2, 401, dtype=np.float32)
    made = model(tmp_path, f"input x: float[{len(x)}]\noutput y = x -> mu_law -> to_float")
    assert np.abs(made.predict(x[None])["y"][0] - MuLaw(256).numbered(x)).max() <= 1, "float32 may round at an edge"
    assert (made.predict(x[None])["y"][0] == MuLaw(256).numbered(x)).mean() > 0.99


def test_sound_as_windows(tmp_path: Path) -> None:
    for i, start in enumerate((0, 30)):
        (tmp_path / f"{i}.wav").write_bytes(wav_bytes(np.arange(start, start + 30, dtype=np.float32) / 64, 8000))
    found = RunningSound(("*.wav",), length=20, stride=10).read(Places(tmp_path))
    assert len(found) == 4 and found.overlap == 1
    sound, after = found.columns["sound"], found.columns["next"]
    assert np.rint(sound.take(np.array([3])) * 64)[0].tolist() == list(range(30, 50))
    assert np.rint(after.take(np.array([3])) * 64)[0].tolist() == list(range(31, 51))
    with pytest.raises(Failed, match="60 samples, and one window takes 101"):
        RunningSound(("*.wav",), length=100).read(Places(tmp_path))
    (tmp_path / "2.wav").write_bytes(wav_bytes(np.zeros((9, 2), np.float32), 8000))
    with pytest.raises(Failed, match="several channels"):
        RunningSound(("2.wav",), length=4).read(Places(tmp_path))


@pytest.mark.triggers("E0504")
def test_a_header_does_not_decide_how_much_memory_is_taken(tmp_path: Path) -> None:
    """100,000 samples that are said to be one a second would be 10,000,000,000 of 100,000 a second."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.zeros(100_000, np.float32), 1))
    made = model(tmp_path, "input sound: float[T]\npreprocess = sound -> resample(100000)\noutput y = sound -> relu\n")
    with pytest.raises(Failed, match=r"E0504.*would make 10,000,000,000 samples"):
        made.predict(Files((str(tmp_path / "a.wav"),)).read(Places()))
