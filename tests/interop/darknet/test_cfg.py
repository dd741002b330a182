"""Darknet's dialect of INI, and what is said of files that are none."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.darknet import read
from graphdsl.interop.darknet.cfg import parse_cfg
from graphdsl.interop.darknet.reader import READERS
from graphdsl.report import Failed

NET = "[net]\nheight=8\nwidth=8\nchannels=3\n"
CONV = "[convolutional]\nfilters=4\nsize=3\nstride=1\npad=1\nactivation=leaky\n"


def text_of(cfg: str, folder: Path, weights: bytes | None = None) -> str:
    """What is written of a cfg."""
    (folder / "net.cfg").write_text(cfg)
    if weights is not None:
        (folder / "net.weights").write_bytes(weights)
    return written(read(folder / "net.cfg", folder / "net.weights" if weights is not None else None)).text


def refused(cfg: str, folder: Path, weights: bytes | None = None) -> str:
    with pytest.raises(Failed) as caught:
        text_of(cfg, folder, weights)
    return str(caught.value)


def test_dialect() -> None:
    """Blanks anywhere, comments of both sorts, old names; of two values the first counts."""
    text = (
        "# head\n\n [network] \nheight = 8\n;width=9\nwidth=8 # pixels\nwidth=10\n\n[conv]\nlayers = -1, -4\nempty=\n"
    )
    net, conv = parse_cfg(text, "net.cfg")
    assert (net.kind, net.number, net.whole("width"), net.whole("height")) == ("network", -1, 8, 8)
    assert (conv.kind, conv.number, conv.wholes("layers")) == ("conv", 0, [-1, -4])
    assert not conv.has("empty") and conv.whole("missing", 7) == 7
    assert conv.lines["layers"].line == 10


def test_numbers_without_a_comma() -> None:
    """`61,45    61,45` in YOLOv4-P5, which Darknet reads as 61, 4561, 45."""
    _, yolo = parse_cfg("[net]\n[yolo]\nanchors = 24,51, 61,45    61,45,  48,102\n", "net.cfg")
    assert yolo.reals("anchors") == [24, 51, 61, 45, 61, 45, 48, 102]


def test_a_missing_comma_is_said(tmp_path: Path) -> None:
    head = "[yolo]\nclasses=1\nmask=0,1\nnum=2\nanchors=24,51    61,45\n"
    text = text_of(NET + CONV.replace("filters=4", "filters=12") + head, tmp_path)
    assert "# yolo_1: a comma is missing between anchors" in text
    assert "[24x51, 61x45]" in text


@pytest.mark.triggers("E0902")
@pytest.mark.parametrize(
    ("cfg", "why"),
    [
        ("", "does not begin with a [net] section"),
        ("[maxpool]\n", "does not begin with a [net] section"),
        ("size 3\n", "net.cfg:1:1: error[E0902]: `size 3` is neither a section nor"),
        (
            "# net\nbatch=32\n" + CONV,
            "net.cfg:2:1: error[E0902]: the setting `batch=32` stands before the first section, which should be "
            "`[net]`",
        ),
        (NET + "stride 2\n" + CONV, "net.cfg:5:1: error[E0902]: `stride 2` is neither"),
        (NET + "[maxpool\n", "`[maxpool` is not a section"),
        (NET, "[net]: no layer follows"),
        ("[net]\n" + CONV, "neither height, width and channels nor inputs"),
        ("[net]\nheight=65536\nwidth=65536\nchannels=3\n" + CONV, "at most 67,108,864 numbers are taken"),
        (NET + CONV.replace("filters=4", "filters=x"), "layer 0 [convolutional]: filters needs a number, got `x`"),
        (NET + CONV.replace("filters=4", "filters=0"), "filters is 0, which is not from 1 to 1048576"),
        (
            NET + CONV.replace("size=3\nstride=1\npad=1", "size=11"),
            "a window of 11 is larger than the padded input of 8x8",
        ),
        (NET + CONV + "[route]\nlayers=1\n", "layer 1 [route]: layers speaks of layer 1; those before it are 0 to 0"),
        (NET + CONV + "[route]\nlayers=-2\n", "layers speaks of layer -1"),
        (NET + CONV + "[yolo]\nclasses=2\nanchors=1,2\n", "1 anchors and 2 classes need 7 filters in the layer before"),
        (NET + CONV + "[reorg]\nstride=3\n", "8x8 places are not a multiple of the stride 3"),
    ],
)
def test_malformed(cfg: str, why: str, tmp_path: Path) -> None:
    message = refused(cfg, tmp_path)
    assert "E0902" in message
    assert why in message


@pytest.mark.triggers("E0901")
@pytest.mark.parametrize(
    ("section", "why"),
    [
        ("[sorcery]\n", "layer 1 [sorcery]: Darknet knows no such layer"),
        ("[rnn]\noutput=4\n", "layer 1 [rnn]: it activates input and state apart"),
        ("[convolutional]\nxnor=1\n", "layer 1 [convolutional]: xnor=1: weights and inputs that are only signs"),
        (
            "[convolutional]\nactivation=normalize_channels\n",
            "layer 1 [convolutional]: the activation normalize_channels has no counterpart",
        ),
        ("[activation]\nactivation=rleu\n", "layer 1 [activation]: the activation rleu is none of Darknet's"),
        ("[softmax]\ntree=9k.tree\n", "layer 1 [softmax]: tree"),
        ("[dropout]\ndropblock=1\n", "layer 1 [dropout]: dropblock"),
        ("[maxpool]\nmaxpool_depth=1\n", "layer 1 [maxpool]: maxpool_depth"),
        ("[shortcut]\nfrom=-1\nweights_type=per_feature\n", "layer 1 [shortcut]: weights_type"),
        ("[scale_channels]\nfrom=-1\n", "layer 1 [scale_channels]: needs one number for each of 4 channels, got 8x8x4"),
    ],
)
def test_what_cannot_be_said_is_named(section: str, why: str, tmp_path: Path) -> None:
    message = refused(NET + CONV + section, tmp_path)
    assert "E0901" in message
    assert why in message


def test_every_section_is_read_or_refused(tmp_path: Path) -> None:
    """No kind of section, bare of settings, ends in anything but a text or an error that names it."""
    for kind in READERS:
        cfg = f"{NET}{CONV}[{kind}]\n"
        (tmp_path / "net.cfg").write_text(cfg)
        try:
            written(read(tmp_path / "net.cfg"))
        except Failed as failed:
            assert f"layer 1 [{kind}]" in str(failed)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Cut and garbled texts never end in anything but a text or an error."""
    whole = (
        NET + CONV + "[shortcut]\nfrom=-1\n[maxpool]\nsize=2\nstride=2\n[route]\nlayers=-1,-1\n[avgpool]\n[softmax]\n"
    )
    generator = np.random.default_rng(0)
    for _ in range(200):
        letters = list(whole)
        for place in generator.integers(0, len(letters), 3):
            letters[place] = str(generator.choice(list("[]=,#;-09x\n ")))
        (tmp_path / "net.cfg").write_text("".join(letters[: generator.integers(1, len(letters))]))
        try:
            written(read(tmp_path / "net.cfg"))
        except Failed as failed:
            assert failed.diagnostics


# --- weights ---------------------------------------------------------------------------------------------------------

COUNT = 4 + 4 * 27


def weights_file(count: int, version: tuple[int, int] = (0, 2)) -> bytes:
    """A head and so many numbers. Before version 0.2 the pictures seen are counted in 32 bits."""
    seen = struct.pack("<q" if version >= (0, 2) and max(version) < 1000 else "<i", 123)
    return struct.pack("<3i", *version, 0) + seen + np.arange(count, dtype="<f4").tobytes()


@pytest.mark.parametrize("version", [(0, 1), (0, 2), (1, 0)])
def test_heads_of_all_versions(version: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "net.cfg").write_text(NET + CONV)
    (tmp_path / "net.weights").write_bytes(weights_file(COUNT, version))
    made = written(read(tmp_path / "net.cfg", tmp_path / "net.weights"))
    (bias,) = (a for n, a in made.weights.items() if n.endswith("bias"))
    (kernel,) = (a for n, a in made.weights.items() if n.endswith("kernel"))
    np.testing.assert_array_equal(bias, np.arange(4))
    np.testing.assert_array_equal(kernel, np.arange(4, COUNT).reshape(4, 3, 3, 3).transpose(2, 3, 1, 0))


def test_old_versions_turn_connected_layers(tmp_path: Path) -> None:
    """Versions above 1000 count pictures in 32 bits and write [inputs, outputs]."""
    (tmp_path / "net.cfg").write_text("[net]\ninputs=3\n[connected]\noutput=2\nactivation=linear\n")
    for version, wanted in (((0, 2), [[2, 5], [3, 6], [4, 7]]), ((1001, 0), [[2, 3], [4, 5], [6, 7]])):
        (tmp_path / "net.weights").write_bytes(weights_file(8, version))
        made = written(read(tmp_path / "net.cfg", tmp_path / "net.weights"))
        (kernel,) = (a for n, a in made.weights.items() if n.endswith("kernel"))
        np.testing.assert_array_equal(kernel, wanted)


@pytest.mark.triggers("E0903")
@pytest.mark.parametrize(
    ("count", "why"),
    [
        (3, "layer 0 [convolutional]: `{path}` ends here: biases needs 4 numbers, 3 are left"),
        (COUNT - 1, "layer 0 [convolutional]: `{path}` ends here: weights needs 108 numbers, 107 are left"),
        (COUNT + 2, "`{path}` goes on behind the last layer: 2 of its 114 numbers belong to nothing"),
    ],
)
def test_weights_of_another_network(count: int, why: str, tmp_path: Path) -> None:
    message = refused(NET + CONV, tmp_path, weights_file(count))
    assert "E0903" in message
    assert why.format(path=tmp_path / "net.weights") in message


@pytest.mark.triggers("E0902")
@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it has 0 bytes, fewer than the head"),
        (
            weights_file(COUNT)[:-1],
            "the 447 bytes behind its head are not a whole number of float32 numbers: it is no file of Darknet "
            "weights, or it was cut off",
        ),
        (b"\xff" * 64, "version -1.-1 at its head is none of Darknet's"),
    ],
)
def test_files_that_are_no_weights(data: bytes, why: str, tmp_path: Path) -> None:
    message = refused(NET + CONV, tmp_path, data)
    assert "E0902" in message
    assert why in message
