"""From the call of a reader in a spec to a feed, with errors that point at the spec and at the data."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.data import READERS, Places, read
from graphdsl.ir import Made
from graphdsl.report import Failed, Source, Span

SPEC = Source("m.dag", 'train { data = csv("t.csv", batch=64, valid=0.2) }')
CALL = Span(SPEC, 15, 48)


def made(**settings: object) -> Made:
    return Made("reader", "csv", (("path", "t.csv"), *settings.items()), CALL)


def test_readers_and_the_settings_they_share() -> None:
    others = {"csv", "digits", "files", "folder", "idx", "lines", "npy", "npz", "sound", "table", "text"}
    assert set(READERS) == others | {"boxes", "coco", "points", "pts", "voc", "yolo"}
    for entry in READERS.values():
        assert {"batch", "valid", "shuffle", "together"} <= {setting.name for setting in entry.settings}
        assert entry.doc


def test_a_call_becomes_a_feed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    feed = read(made(batch=64, valid=0.2, shuffle=False), Places(tmp_path))
    assert (len(feed.dataset), feed.batch, feed.valid, feed.shuffle) == (2, 64, 0.2, False)


@pytest.mark.triggers("E0518")
def test_a_batch_has_whole_groups(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a\n1\n2\n")
    with pytest.raises(Failed, match=r"E0518.*a batch of 30 cannot have 4 of each.*batch=28"):
        read(made(batch=30, each=4), Places(tmp_path))
    with pytest.raises(Failed, match=r"E0518.*a batch of 4 cannot have 4 of each of several classes.*batch=8"):
        read(made(batch=4, each=4), Places(tmp_path))
    assert read(made(batch=32, each=4), Places(tmp_path)).each == 4


def test_an_error_points_at_the_call(tmp_path: Path) -> None:
    with pytest.raises(Failed) as caught:
        read(made(), Places(tmp_path))
    [diagnostic] = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span) == ("E0501", CALL)


@pytest.mark.triggers("E0501")
def test_a_path_that_is_not_there_says_only_what_helps(tmp_path: Path) -> None:
    """The nearest name in either place; none where there is but one place and nothing alike."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/boxes.csv").touch()
    for places, name, wanted in (
        (Places(tmp_path, tmp_path / "work"), "boxs.csv", f"did you mean `{tmp_path / 'work/boxes.csv'}`?"),
        (Places(tmp_path, tmp_path / "work"), "else", "paths are taken from the folder of the spec, then from the"),
        (Places(tmp_path, tmp_path), "else", ""),
    ):
        with pytest.raises(Failed) as caught:
            places.find(name)
        found = caught.value.diagnostics[0].help or ""
        assert found.startswith(wanted) and bool(found) == bool(wanted)


def test_a_place_in_the_data_comes_first(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(Failed) as caught:
        read(made(), Places(tmp_path))
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.span is not None and diagnostic.span.line == 3
    assert [label.span for label in diagnostic.labels] == [CALL]
