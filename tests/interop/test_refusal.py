"""What is said of files that are no good."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.interop import cannot_say, demand_package, format_of, malformed, read_bytes, read_text, refusal, unfit
from graphdsl.report import Failed


@pytest.mark.triggers("E0901")
def test_a_layer_is_named() -> None:
    with pytest.raises(Failed, match=r"E0901.*`norm` \(Python\) cannot be expressed: it is code"):
        raise cannot_say("norm", "Python", "it is code")


@pytest.mark.triggers("E0902")
def test_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0902.*`net.cfg` cannot be read: it is empty"):
        raise malformed(Path("net.cfg"), "it is empty")
    with pytest.raises(Failed, match=r"E0902.*there is no such file"):
        read_bytes(tmp_path)


@pytest.mark.triggers("E0902")
def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.cfg").write_bytes(b"12345")
    monkeypatch.setattr(refusal, "MOST_TEXT", 4)
    with pytest.raises(Failed, match=r"E0902.*it has 5 bytes, and at most 4 are read"):
        read_text(tmp_path / "net.cfg")


@pytest.mark.parametrize(("data", "text"), [(b"\xef\xbb\xbfa", "a"), ("é".encode(), "é"), (b"\xe9", "é")])
def test_texts_of_old_tools(data: bytes, text: str, tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_bytes(data)
    assert read_text(tmp_path / "net.cfg") == text


@pytest.mark.triggers("E0903")
def test_weights_of_another_network() -> None:
    with pytest.raises(Failed, match=r"E0903.*`conv1`: 10 numbers are left over"):
        raise unfit("conv1", "10 numbers are left over")


@pytest.mark.triggers("E0904")
def test_a_missing_package() -> None:
    demand_package("numpy", "none", "nothing")
    with pytest.raises(Failed, match=r"E0904.*pip install .graphdsl\[caffe3\]"):
        demand_package("caffe3", "caffe3", "Caffe 3")


@pytest.mark.triggers("E0905")
def test_an_unknown_ending() -> None:
    with pytest.raises(Failed, match=r"E0905.*end in `.pt`"):
        format_of(Path("model.pt"))
