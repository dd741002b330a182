"""Keys that no Darknet knows are refused where they look like a slip, and told where they do not."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest

import graphdsl.interop.darknet as package
from graphdsl.interop import written
from graphdsl.interop.darknet import read
from graphdsl.interop.darknet.cfg import read_cfg
from graphdsl.interop.darknet.keys import KNOWN, MOST_TOLD, strange_keys
from graphdsl.interop.darknet.reader import READERS
from graphdsl.report import Failed
from tests.support.shared import DATA

NET = "[net]\nheight=8\nwidth=8\nchannels=3\n"
CONV = "[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=leaky\n"
ASKED = re.compile(r"\bs(?:ection)?\.(?:flag|whole|wholes|real|reals|text|has)\(\"(\w+)\"")


def head_of(cfg: str, folder: Path) -> str:
    """The comment at the head of the spec."""
    (folder / "net.cfg").write_text(cfg)
    text = written(read(folder / "net.cfg")).text
    return "".join(line + "\n" for line in text.splitlines() if line.startswith("#"))


def refused(cfg: str, folder: Path, weights: Path | None = None) -> str:
    (folder / "net.cfg").write_text(cfg)
    with pytest.raises(Failed) as caught:
        read(folder / "net.cfg", weights)
    return str(caught.value)


@pytest.mark.triggers("E0902")
@pytest.mark.parametrize(
    ("cfg", "where", "meant"),
    [
        (NET + CONV.replace("filters", "filers"), "net.cfg:6:1: error[E0902]: layer 0 [convolutional]", "filters"),
        (NET + CONV.replace("pad", "Pad"), "net.cfg:8:1: error[E0902]: layer 0 [convolutional]", "pad"),
        (NET + CONV + "[maxpool]\nsise=2\n", "net.cfg:11:1: error[E0902]: layer 1 [maxpool]", "size"),
        (NET + CONV + "[avgpool]\ndontlod=1\n", "net.cfg:11:1: error[E0902]: layer 1 [avgpool]", "dontload"),
        (NET + "letterbox=1\n" + CONV, "net.cfg:5:1: error[E0902]: [net]", "letter_box"),
    ],
)
def test_a_slip_is_refused(cfg: str, where: str, meant: str, tmp_path: Path) -> None:
    message = refused(cfg, tmp_path)
    assert where in message
    assert "is none of Darknet's, which would pass over it" in message
    assert f"did you mean `{meant}`?" in message


def test_what_is_given_too_is_not_what_was_meant(tmp_path: Path) -> None:
    """A section with `filters` and `filers` lacks nothing."""
    head = head_of(NET + CONV + "filers=8\n", tmp_path)
    assert "# `filers` of conv_0 means nothing: no Darknet knows such a key.\n" in head


def test_a_key_is_told_once(tmp_path: Path) -> None:
    """However many sections have it, and however many lines a section gives it."""
    head = head_of(NET + "colour=7\n" + (CONV + "mood=3\nmood=4\n") * 100, tmp_path)
    assert head.count("mood") == 1
    assert "# `mood` of conv_0 and 99 more means nothing: no Darknet knows such a key.\n" in head
    assert "# `colour` of [net] means nothing" in head


def test_so_many_keys_are_told(tmp_path: Path) -> None:
    strange = "".join(f"{chr(97 + i // 10) * 9}{i}=1\n" for i in range(MOST_TOLD + 5))
    head = head_of(NET + CONV + strange, tmp_path)
    assert head.count("means nothing") == MOST_TOLD
    assert "# 5 more such keys.\n" in head


PUBLIC = """[net]
batch=64
max_chart_loss=5
mosaic=1
letter_box=0
ema_alpha=0.9998
workspace_size_limit_MB=512
height=8
width=8
channels=3
[convolutional]
batch_normalize=1
filters=12
size=1
stopbackward=1
learning_rate=0.1
activation=linear
[yolo]
mask=0,1
anchors=1,2, 3,4
num=2
classes=1
ignore_thresh=.7
uc_normalizer=1.0
iou_loss=ciou
nms_kind=greedynms
beta_nms=0.6
"""


def test_keys_of_training_pass_without_a_word(tmp_path: Path) -> None:
    """What public files say, and Darknet reads, but nothing here needs."""
    head = head_of(PUBLIC, tmp_path)
    assert "means nothing" not in head


CORPUS = sorted((DATA / "spec_corpus" / "darknet_alexey").glob("*.cfg"))


@pytest.mark.skipif(not CORPUS, reason="the corpus is not at hand")
def test_corpus() -> None:
    """Of these public files one has such a key."""
    said = {path.stem: strange_keys(read_cfg(path)) for path in CORPUS}
    assert {stem: lines for stem, lines in said.items() if lines} == {
        "Gaussian_yolov3_BDD": ["`max_epochs` of [net] means nothing: no Darknet knows such a key."]
    }


def test_what_is_read_is_known() -> None:
    """Every key that a reader of sections asks for by name stands in some list."""
    sources = Path(str(package.__file__)).parent.glob("*.py")
    asked = {key for path in sources for key in ASKED.findall(path.read_text())}
    listed = {key for keys in KNOWN.values() for key in keys.split()}
    assert len(asked) > 30
    assert asked - listed <= {"dontload", "dontloadscales", "numload"}


@pytest.mark.parametrize("kind", sorted(set(READERS) - set(KNOWN)))
def test_kinds_without_a_list_are_refused(kind: str, tmp_path: Path) -> None:
    assert f"layer 1 [{kind}]" in refused(f"{NET}{CONV}[{kind}]\n", tmp_path)


@pytest.mark.triggers("E0902")
@pytest.mark.triggers("E0903")
def test_weights_that_are_an_onnx_file(tmp_path: Path) -> None:
    """It was not cut off, or not only: whatever its length is, the message says that it may be no such file."""
    graph = onnx.helper.make_graph([], "g", [], [])
    for length in range(4):
        model = onnx.helper.make_model(graph, producer_name="some tool"[: 5 + length])
        path = tmp_path / "net.onnx"
        path.write_bytes(model.SerializeToString())
        message = refused(NET + CONV, tmp_path, path)
        assert "it is no file of Darknet weights" in message
