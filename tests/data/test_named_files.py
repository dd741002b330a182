"""The reader `files`: patterns, columns made of names, and what the files hold."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import Files, Labels, Places, Texts, bind, wav_bytes
from graphdsl.data.column import Numerals
from graphdsl.data.conform import Wanted
from graphdsl.data.pattern import _expression
from graphdsl.data.wildcard import Row
from graphdsl.ir import BATCH, DType, TensorType, indices, symbol
from graphdsl.report import Failed
from tests.support.shared import DATA, needs

T = symbol("T")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """Three digits by two people, each as long as its number says, and a text beside them."""
    for digit, speaker in ((0, "theo"), (3, "theo"), (10, "ann_b")):
        sound = np.full(digit + 5, digit / 16, np.float32)
        (tmp_path / f"{digit}_{speaker}_0.wav").write_bytes(wav_bytes(sound, 8000))
    (tmp_path / "notes.txt").write_text("of no use")
    return tmp_path


def read(folder: Path, *patterns: str, **settings: str) -> dict[str, object]:
    return dict(Files(patterns, **settings).read(Places(folder)).columns)  # type: ignore[arg-type]


def test_names_become_columns(recordings: Path) -> None:
    found = Files(("{digit}_{speaker}_[0-4].wav",)).read(Places(recordings))
    assert found.describe() == "`audio` (recordings[*] at 8000 Hz), `digit` (int64), `speaker` (class names (2))"
    digit, speaker = found.columns["digit"], found.columns["speaker"]
    assert isinstance(digit, Numerals) and digit.values.tolist() == [0, 10, 3] and digit.texts == ("0", "10", "3")
    assert isinstance(speaker, Labels) and speaker.classes == ("ann_b", "theo")
    assert found.columns["audio"].lengths(np.arange(3)).tolist() == [5, 15, 8]


def test_they_feed_a_network(recordings: Path) -> None:
    """The lone target takes the name that it is called after, numbers keep their values, sequences are padded."""
    audio = Wanted("sound", "input", TensorType((BATCH, T)))
    digit = Wanted("digit", "target", TensorType((BATCH,), DType.INT32, indices(11)))
    bound = bind(Files(("{digit}_{speaker}_0.wav",)).read(Places(recordings)), [audio, digit])
    batch = bound.take(np.arange(3))
    assert batch.arrays["digit"].tolist() == [0, 10, 3] and bound.names["digit"] == tuple(map(str, range(11)))
    assert batch.arrays["sound"].shape == (3, 15) and batch.lengths["sound"].tolist() == [5, 15, 8]
    np.testing.assert_allclose(batch.arrays["sound"][2, :9], [3 / 16] * 8 + [0], atol=1e-4)


def test_a_lone_name_feeds_a_lone_target(recordings: Path) -> None:
    audio = Wanted("x", "input", TensorType((BATCH, T, 1)))
    who = Wanted("y", "target", TensorType((BATCH,), DType.INT32, indices(2)))
    bound = bind(Files(("*_{who}_0.wav",)).read(Places(recordings)), [audio, who])
    assert bound.take(np.arange(3)).arrays["y"].tolist() == [1, 0, 1]
    with pytest.raises(Failed, match="target `y` has no column"):
        bind(Files(("{digit}_{who}_0.wav",)).read(Places(recordings)), [audio, who])


def test_several_patterns_and_folders(tmp_path: Path) -> None:
    for place in ("a/cat/1.txt", "a/dog/2.txt", "b/deep/er/cat/3.txt", "a/.git/4.txt"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"words of {place}", encoding="utf-8")
    found = read(tmp_path, "a/{kind}/*.txt", "b/**/{kind}/?.txt", column="story")
    assert isinstance(found["story"], Texts) and found["story"].values[2] == "words of b/deep/er/cat/3.txt"
    assert isinstance(found["kind"], Labels) and found["kind"].values.tolist() == [0, 1, 0]
    assert len(Files(("**/*.txt",)).read(Places(tmp_path))) == 3


def test_pictures(tmp_path: Path) -> None:
    for plate in ("AB1", "C007"):
        Image.new("RGB", (20, 10), (255, 0, 0)).save(tmp_path / f"{plate}.png")
    dataset = Files(("{plate}.png",)).read(Places(tmp_path))
    assert dataset.columns["image"].describe() == "pictures[*, *, *]"
    picture = Wanted("image", "input", TensorType((BATCH, 4, 4, 3)))
    words = Wanted("plate", "target", TensorType((BATCH, T), DType.INT32, indices(9)))
    assert bind(dataset, [picture, words]).vocabularies["plate"].tokens[2:] == ("ab1", "c007")


@pytest.mark.parametrize(
    ("pattern", "code", "words"),
    [
        ("*.png", "E0501", "no file fits `.*.png`"),
        ("sound/*.wav", "E0501", "no file fits"),
        ("{a}_{a}_0.wav", "E0518", "`{a}` stands twice"),
        ("{a}/{a}.wav", "E0518", "`{a}` stands twice"),
        ("{1}.wav", "E0518", "`.1.` in .* is no name"),
        ("[z-a].wav", "E0518", "no set of letters"),
        ("*a*a*a*a*a*a*a*a*a.wav", "E0518", "more than 8 wild"),
        ("{audio}.wav", "E0518", "two columns would be called `audio`"),
        ("*", "E0518", "is audio and .* is text"),
        ("", "E0518", "names no files"),
        ("//", "E0518", "names no files"),
    ],
)
def test_mistakes(recordings: Path, pattern: str, code: str, words: str) -> None:
    with pytest.raises(Failed, match=words) as caught:
        read(recordings, pattern)
    assert caught.value.diagnostics[0].code == code


def test_patterns_with_other_names(recordings: Path) -> None:
    with pytest.raises(Failed, match="different names in braces"):
        read(recordings, "{digit}_*.wav", "{number}_*.wav")


def test_what_is_there_instead(recordings: Path) -> None:
    with pytest.raises(Failed) as caught:
        read(recordings.parent, f"{recordings.name[:-1]}x/*.wav")
    assert caught.value.diagnostics[0].help == f"did you mean `{recordings}`?"


def test_files_that_are_damaged_are_told_together(recordings: Path) -> None:
    for name in ("4_x_0.wav", "5_x_0.wav"):
        (recordings / name).write_bytes(b"RIFF")
    with pytest.raises(Failed) as caught:
        read(recordings, "*.wav")
    assert [d.code for d in caught.value.diagnostics] == ["E0502", "E0502"]
    (recordings / "notes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Failed, match="no text in UTF-8"):
        read(recordings, "*.txt")


def test_recordings_of_different_rates_need_a_step(recordings: Path) -> None:
    (recordings / "9_x_0.wav").write_bytes(wav_bytes(np.zeros(4, np.float32), 16000))
    audio = Wanted("audio", "input", TensorType((BATCH, T)))
    with pytest.raises(Failed, match="8000, 16000 samples a second"):
        bind(Files(("*.wav",)).read(Places(recordings)), [audio])


@needs("fsdd")
def test_real_recordings() -> None:
    found = Files(("recordings/{digit}_{speaker}_[0-4].wav",)).read(Places(DATA / "fsdd"))
    digit, speaker = found.columns["digit"], found.columns["speaker"]
    assert len(found) == 300 and isinstance(digit, Numerals) and isinstance(speaker, Labels)
    assert np.bincount(digit.values).tolist() == [30] * 10 and len(speaker.classes) == 6


@pytest.mark.triggers("E0501")
def test_a_folder_is_no_pattern(tmp_path: Path) -> None:
    """What would be one, with the names of folders below where there are such."""
    (tmp_path / "faces").mkdir()
    with pytest.raises(Failed, match=r'E0501.*`faces` is a folder(?s:.*)`"faces/\*"`, or `folder\("faces"\)`'):
        read(tmp_path, "faces")
    (tmp_path / "faces/s1").mkdir()
    with pytest.raises(Failed, match=r'E0501.*`faces/` is a folder(?s:.*)`"faces/\{label\}/\*"`'):
        read(tmp_path, "faces/")


def test_a_range_of_numbers_and_a_pattern_in_a_name(tmp_path: Path) -> None:
    """Whole numbers from and to, leading zeros or not; what fits a pattern."""
    for person in ("s1", "s2", "s09", "s10", "s11", "s100", "sx", "s"):
        (tmp_path / person).mkdir()
        (tmp_path / person / "1.txt").write_text(person)
    found = read(tmp_path, "s{person:2-10}/*.txt")["person"]
    assert isinstance(found, Numerals) and found.texts == ("09", "10", "2")
    assert len(Files(("s{person:0-999}/{shot:1-1}.txt",)).read(Places(tmp_path))) == 6
    whole = read(tmp_path, "{who:s[1x]*}/1.txt")["who"]
    assert isinstance(whole, Labels) and whole.classes == ("s1", "s10", "s100", "s11", "sx")
    with pytest.raises(Failed, match=r"E0501.*no file fits `s\{person:500-900\}"):
        read(tmp_path, "s{person:500-900}/*.txt")
    with pytest.raises(Failed, match=r"E0518.*no number is in `\{person:9-3\}`.*`\{person:3-9\}`"):
        read(tmp_path, "s{person:9-3}/*.txt")
    with pytest.raises(Failed, match=r"E0518.*more than 8 wild stretches"):
        read(tmp_path, "{a:*1*2*3*4*5*6*7*8*9}.txt")


def test_what_is_wild_takes_no_time() -> None:
    """Eight stretches and a long name that does not fit; a regular expression would try for years."""
    part = _expression("*a*a*a*a*a*a*{end}b")
    assert part is not None and part.fit("a" * 250) is None
    assert part.fit("a" * 250 + "cb") == {"end": "c"}
    (at_most,) = _fitting_names("{a:*1*2*3*4*}_{b}", ["x1y2z3z3" + "4" * 9 + "_7"])
    assert at_most == {"a": "x1y2z3z3" + "4" * 9, "b": "7"}


def _fitting_names(pattern: str, names: list[str]) -> list[dict[str, str]]:
    part = _expression(pattern)
    assert part is not None
    return [dict(found) for name in names if (found := part.fit(name)) is not None]


def test_walking_finds_what_regular_expressions_find() -> None:
    """The same names fit, with the same texts in braces."""
    random = np.random.default_rng(0)
    pieces = ["*", "?", "a", "b", "1", "_", "[ab1]", "[!a]", "{%s}", "{%s:1-12}", "{%s:[ab]*}", "{%s:?1*}"]
    fitted = 0
    for _ in range(2000):
        chosen = [pieces[i] for i in random.integers(len(pieces), size=random.integers(1, 6))]
        part = _expression("".join(p % f"n{i}" if "%" in p else p for i, p in enumerate(chosen)))
        if part is None:
            continue
        expression = re.compile("".join(step.expression for step in part.row.steps), re.DOTALL)
        for _ in range(12):
            name = "".join(random.choice(list("ab1_2"), random.integers(0, 8)))
            found = expression.fullmatch(name)
            assert part.row.walked(name) == part.row.fit(name) == (found.groupdict() if found else None)
            fitted += found is not None
    assert fitted > 500


def test_names_of_ordinary_patterns_are_not_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A regular expression is a hundred times faster, and as quick to refuse a name that nearly fits."""
    monkeypatch.delattr(Row, "walked")
    faces = "{age}_{gender}_{race}_*.jpg"
    assert _fitting_names(faces, ["26_0_1_2017.jpg", "26_0_1.jpg"]) == [{"age": "26", "gender": "0", "race": "1"}]
    assert not _fitting_names("{a}_{b}_{c}_{d}_{e}_{f}_{g}_*.jpg", ["_" * 250] * 100)
    assert _fitting_names("*_*_{who}.png", ["a_b_c.png"]) == [{"who": "c"}]


def test_folders_at_any_depth_are_walked_once(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*"abcdefghijklmnop")
    deep.mkdir(parents=True)
    (deep / "x.txt").write_text("here")
    assert len(Files(("/".join(["**"] * 12) + "/*.txt",)).read(Places(tmp_path))) == 1
