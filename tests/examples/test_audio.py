"""Networks that hear, on real recordings."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import main
from graphdsl.data import MuLaw, read_wav, wav_bytes
from graphdsl.report import Failed
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"


@needs("fsdd")
@pytest.mark.slow
def test_spoken_digits(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At least 95 % of the official test are understood, and `predict` says which digit a file is."""
    patterns = {
        name: str(DATA / "fsdd" / "recordings" / f"{{digit}}_{{speaker}}_[{indices}].wav")
        for name, indices in (("learned", "5-9"), ("tested", "0-4"))
    }
    model = graphdsl.compile(SPECS / "spoken_digits.dag", patterns)
    found = model.fit(runs=None, shown=False).metrics
    assert found["test"]["spoken.accuracy"] >= 0.95
    model.save(tmp_path / "spoken.safetensors")
    shutil.copy(DATA / "fsdd" / "recordings" / "7_jackson_0.wav", tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["predict", "spoken.safetensors", "7_jackson_0.wav", "--top", "1"])
    assert "7_jackson_0.wav  7: 0." in capsys.readouterr().out


def test_wavenet_sees_2047_steps_and_nothing_of_the_future() -> None:
    """Changing one sample changes no result before it, each of the 2,046 after it may change, and none beyond."""
    model = graphdsl.compile(SPECS / "wavenet.dag")
    formula = 1 + 2 * sum((2 - 1) * 2**i for i in range(10))
    assert f"receptive field of after: {formula:,} steps, {formula - 1:,} before and 0 after\n" in model.summary()
    rng = np.random.default_rng(0)
    sound = rng.uniform(0.1, 1, (1, 3000)).astype(np.float32)
    plain = model.predict({"sound": sound})["after"][0]
    place, other = 500, sound.copy()
    other[0, place] *= -1
    changed = np.flatnonzero((model.predict({"sound": other})["after"][0] != plain).any(axis=1))
    assert changed[0] == place and place + formula - 50 < changed[-1] < place + formula
    other[0, place:] = 0
    changed = np.flatnonzero((model.predict({"sound": other})["after"][0] != plain).any(axis=1))
    assert changed[0] == place


@needs("fsdd")
@pytest.mark.slow
def test_wavenet_learns_what_comes_next(tmp_path: Path) -> None:
    """Three epochs on a little real sound: better than knowing how often each loudness comes."""
    folder = DATA / "fsdd" / "recordings"
    patterns = {"recordings": str(folder / "{digit}_jackson_[1-3].wav"), "heldout": str(folder / "[78]_jackson_0.wav")}
    model = graphdsl.compile(SPECS / "wavenet.dag", patterns)
    found = model.fit(runs=None, shown=False, epochs=3).metrics
    assert found["test"]["loss"] < 5.0, "5.3 nats is what knowing how often each comes is worth"


def test_predict_writes_what_it_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording in, a recording out, at the same rate."""
    monkeypatch.chdir(tmp_path)
    wave = np.sin(np.arange(400) / 9).astype(np.float32) / 2
    (tmp_path / "in.wav").write_bytes(wav_bytes(wave, 11025))
    (tmp_path / "half.dag").write_text("input x: float[T]\noutput y = x * 0.5\n")
    with pytest.raises(SystemExit):
        main(["predict", "half.dag", "in.wav", "-o", "out.wav"])
    made = read_wav(tmp_path / "out.wav")
    assert made.rate == 11025
    np.testing.assert_allclose(made.values[:, 0], wave / 2, atol=1e-4)
    with pytest.raises(SystemExit):
        main(["predict", "half.dag", "in.wav", "in.wav", "-o", "out.wav"])
    assert (tmp_path / "out-1.wav").exists()


def test_wavenet_makes_sound_one_sample_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes next is the likeliest by the network that reads the whole at once, too."""
    monkeypatch.chdir(tmp_path)
    model = graphdsl.compile(SPECS / "wavenet.dag")
    model.save(tmp_path / "wavenet.safetensors")
    with pytest.raises(SystemExit):
        main(["sample", "wavenet.safetensors", "--length", "120", "--greedy", "-o", "made.wav"])
    made = read_wav(tmp_path / "made.wav")
    assert made.rate == 8000 and made.values.shape == (120, 1)
    with pytest.raises(Failed, match=r"E0619.*stand for sound.*-o made\.wav"):
        model.sample("")
    law = MuLaw(256)
    sound = np.concatenate([law.amplitudes(np.array([128])), made.values[:, 0]])
    best = model.predict(sound[None])["after"][0].argmax(-1)
    assert (best[:-1] == law.numbered(sound)[1:]).mean() > 0.95, "a .wav file is rounded to 16 bits"


def test_a_model_of_texts_makes_no_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = tmp_path / "letters.dag"
    spec.write_text(
        'input text: int(3)[T]\npreprocess = text -> characters("abc")\n'
        "output after = text -> embedding(4) -> lstm(4, sequence=true) -> dense(3) -> softmax\n"
    )
    graphdsl.compile(spec).save(tmp_path / "letters.safetensors")
    with pytest.raises(SystemExit):
        main(["sample", str(tmp_path / "letters.safetensors"), "-o", str(tmp_path / "made.wav")])
    assert "E0619" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["-o", "made.mp3"], ["-o", "made.wav", "--start", "a"]])
def test_what_is_not_of_sound_is_refused(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graphdsl.compile(SPECS / "wavenet.dag").save(tmp_path / "wavenet.safetensors")
    with pytest.raises(SystemExit, match="2"):
        main(["sample", "wavenet.safetensors", "--length", "2", *options])
    assert not list(tmp_path.glob("made*"))
