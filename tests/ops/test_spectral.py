"""Sound: frames, spectrograms, mel bands and cepstra against librosa, SciPy and PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.ir import BATCH, LAYERS, Builder, TensorType, TypeRuleError, symbol
from graphdsl.ops import numbers
from tests.support.layers import check, numbers_of, wave

TONES = np.stack([np.sin(np.arange(2000) * f) + 0.3 * wave(2000) for f in (0.05, 0.4, 1.9)])
RATE = 8000


def test_frames_are_the_sequence() -> None:
    x = np.arange(22.0).reshape(2, 11)
    (found,) = numbers_of("frames", {"x0": x}, size=4, step=3)
    assert found.tolist() == [[[s + 11 * n + i for i in range(4)] for s in (0, 3, 6)] for n in range(2)]
    (found,) = numbers_of("frames", {"x0": x[..., None]}, size=5)
    assert found.shape == (2, 2, 5)


@pytest.mark.parametrize("shape", ["hann", "hamming", "blackman", "none"])
def test_windows(shape: str) -> None:
    signal = pytest.importorskip("scipy.signal")
    (found,) = numbers_of("window", {"x0": np.ones((1, 3, 32))}, shape=shape)
    wanted = signal.get_window("boxcar" if shape == "none" else shape, 32, fftbins=True)
    np.testing.assert_allclose(found, np.broadcast_to(wanted, (1, 3, 32)), atol=1e-12)


@pytest.mark.parametrize(("size", "step", "shape"), [(256, 128, "hann"), (200, 80, "hamming"), (63, 30, "none")])
def test_spectrogram_and_its_gradient(size: int, step: int, shape: str) -> None:
    def theirs(torch: Any, x0: Any) -> Any:
        bells = {"hann": torch.hann_window, "hamming": torch.hamming_window, "none": lambda n, dtype: torch.ones(n)}
        bell = bells[shape](size, dtype=torch.float64)
        return torch.stft(x0, size, step, window=bell, center=False, return_complex=True).abs().square().mT

    check("spectrogram", {"x0": TONES}, theirs, size=size, step=step, window=shape)


def test_spectrogram_and_mel_bands_as_librosa() -> None:
    librosa = pytest.importorskip("librosa")
    (power,) = numbers_of("spectrogram", {"x0": TONES}, size=256, step=100)
    wanted = np.abs(librosa.stft(TONES, n_fft=256, hop_length=100, center=False)) ** 2
    np.testing.assert_allclose(power, wanted.transpose(0, 2, 1), rtol=1e-5, atol=1e-5)
    settings = {"bands": 32, "size": 256, "step": 100, "rate": RATE, "low": 60.0, "high": 3800.0}
    for scale in ("slaney", "htk"):
        (ours,) = numbers_of("mel_spectrogram", {"x0": TONES}, scale=scale, **settings)
        fixed = {"n_mels": 32, "fmin": 60.0, "fmax": 3800.0, "htk": scale == "htk"}
        norm = None if scale == "htk" else "slaney"
        theirs = librosa.feature.melspectrogram(S=wanted, sr=RATE, n_fft=256, norm=norm, **fixed)
        np.testing.assert_allclose(ours, theirs.transpose(0, 2, 1), rtol=1e-4, atol=1e-5)
        (loud,) = numbers_of("decibels", {"x0": ours})
        np.testing.assert_allclose(loud, librosa.power_to_db(ours, top_db=None), rtol=1e-9)


def test_cepstrum_is_a_cosine_transform() -> None:
    fft = pytest.importorskip("scipy.fft")
    x = wave(2, 5, 40)
    (found,) = numbers_of("cepstrum", {"x0": x}, count=13)
    np.testing.assert_allclose(found, fft.dct(x, norm="ortho")[..., :13], atol=1e-9)


def test_mel_bands_without_librosa() -> None:
    """Peaks of the first bands of an HTK bank, by its formula, and areas of 1 of Slaney's."""
    (found,) = numbers_of("mel", {"x0": np.eye(513)[None]}, bands=10, rate=16000, scale="htk")
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 12) / 2595) - 1)
    assert np.abs(found[0].argmax(0) * 16000 / 1024 - edges[1:-1]).max() < 16000 / 1024
    (slaney,) = numbers_of("mel", {"x0": np.eye(513)[None]}, bands=10, rate=16000)
    np.testing.assert_allclose(slaney[0].sum(0) * 16000 / 1024, 1, atol=0.01)


def test_mu_law_and_back() -> None:
    """By the formula of G.711; back within half a step, which is 1 of 255 of the bent scale."""
    x = np.array([[-1.0, -0.5, -0.01, 0.0, 0.01, 0.5, 1.0, 1.7]])
    (found,) = numbers_of("mu_law", {"x0": x})
    assert found.tolist() == [[0, 16, 98, 128, 157, 239, 255, 255]]
    (back,) = numbers_of("from_mu_law", {"x0": found}, below=256)
    bent = np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256)
    assert np.abs(np.sign(back) * np.log1p(255 * np.abs(back)) / np.log(256) - bent)[:, :-1].max() <= 1.001 / 255


def test_free_lengths() -> None:
    b = Builder()
    y = LAYERS["mel_spectrogram"].make(b, b.input("x", TensorType((BATCH, symbol("T")))), 20, rate=RATE)
    assert y.type.describe() == "float[(T) // 128 - 1, 20]"
    assert numbers((y.type.channels,)) == (20,)


def test_the_same_on_the_cpu_backend(tmp_path: Path) -> None:
    spec = tmp_path / "sound.dag"
    spec.write_text(
        "input a: float[T]\noutput y = a -> mel_spectrogram(rate=8000) -> decibels(floor=1e-6) -> cepstrum(13)\n"
        "output z = a -> frames(100, 30) -> window(hamming)\noutput w = a -> mu_law -> from_mu_law\n"
    )
    x = TONES.astype(np.float32)
    wanted, found = (graphdsl.compile(spec, backend=name).predict(x) for name in ("reference", "cpu"))
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=2e-3 if name == "y" else 1e-4)


@pytest.mark.parametrize(
    ("name", "shape", "settings", "words"),
    [
        ("frames", (100, 2), {"size": 10}, "one number a step"),
        ("spectrogram", (100,), {"size": 256}, "larger than the padded input"),
        ("mel", (10, 129), {"bands": 300, "rate": 8000}, "meets none of 129"),
        ("mel", (10, 129), {"rate": 8000, "high": 5000.0}, "of a sound that has 0 to 4000"),
        ("cepstrum", (10, 12), {"count": 13}, "13 coefficients of 12"),
        ("window", (symbol("T"),), {}, "known size"),
        ("from_mu_law", (3,), {}, "takes numbers of `mu_law`"),
    ],
)
def test_refusals(name: str, shape: tuple[int, ...], settings: dict[str, Any], words: str) -> None:
    b = Builder()
    with pytest.raises(TypeRuleError, match=words):
        LAYERS[name].make(b, b.input("x", TensorType((BATCH, *shape))), **settings)
