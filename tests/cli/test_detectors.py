"""A detector from the command line: trained, killed, resumed, judged on another part; anchors for its data."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphdsl.cli import app
from tests.support.scenes import DETECTOR, scenes

PATIENCE = 60.0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with twelve pictures to learn from, four to validate and three to test on."""
    scenes(tmp_path, train=12, val=4, test=3)
    (tmp_path / "boxes.dag").write_text(DETECTOR)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> None:
    assert app.run(arguments) == 0


def killed(spec: str, folder: Path) -> int:
    """Trains in another process and ends that without warning (kill -9) in an epoch after the second; its exit code."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "graphdsl", "run", spec]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end, rows = time.monotonic() + PATIENCE, folder / "metrics.csv"
    while not rows.exists() or rows.read_text().count("\n") < 3:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    return process.wait()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 here")
def test_a_run_that_was_killed_goes_on_to_the_same_bits(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("run", "boxes.dag")
    assert killed("boxes.dag", here / "runs/boxes-2") == -signal.SIGKILL
    assert not (here / "runs/boxes-2/weights.safetensors").exists()
    run("run", "boxes.dag", "--resume", "runs/boxes-2")
    one, two = ((here / f"runs/boxes-{k}/weights.safetensors").read_bytes() for k in (1, 2))
    assert one == two
    assert [path.name for path in (here / "runs/boxes-2").iterdir() if ".tmp" in path.name] == []


def test_another_part_and_another_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--part test` needs no change of the spec; a folder is read as the spec reads its own."""
    run("run", "boxes.dag", "--epochs", "1")
    weights = "runs/boxes-1/weights.safetensors"
    told = []
    for arguments in ([], ["--part", "test"], ["scenes", "--part", "test"], ["scenes"], ["--part", "val"]):
        capsys.readouterr()
        run("evaluate", weights, *arguments)
        told.append(capsys.readouterr().out.splitlines())
    valid, test, other, whole, same = told
    assert valid[0] == "on the validation data of the spec" and same[1:] == valid[1:]
    assert test[0] == "on the part `test` of the data" and test == other
    assert whole[0] == "on the given data" and len({t[1] for t in (valid, test, whole)}) == 3


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--part", "tst"], "the parts are: test, train, val"),
        (["nowhere", "--part", "test"], "there is no file or folder `nowhere`"),
        (["a.png", "b.png", "--part", "test"], "--part goes with one path that `voc` reads"),
    ],
)
def test_parts_that_there_are_not(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str
) -> None:
    run("run", "boxes.dag", "--epochs", "1")
    assert app.run(["evaluate", "runs/boxes-1/weights.safetensors", *arguments]) in (1, 2)
    assert part in capsys.readouterr().err


def test_parts_of_readers_that_know_none(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = DETECTOR.replace('voc("scenes", part="train", batch=8)', 'yolo("scenes/JPEGImages", batch=8)')
    (here / "yolo.dag").write_text(text.replace('  valid     = voc("scenes", part="val")\n', ""))
    run("run", "yolo.dag", "--epochs", "1")
    assert app.run(["evaluate", "runs/yolo-1/weights.safetensors", "--part", "test"]) == 2
    assert "`yolo`, by which the spec reads, knows none" in capsys.readouterr().err


def anchors(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    run("anchors", *arguments)
    return capsys.readouterr().out


def test_anchors_of_a_spec(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many as it has; they suit the boxes better, and stand there as a spec takes them."""
    found = anchors(capsys, "boxes.dag")
    assert re.match(r"\d+ boxes of 12 pictures, as 48x64\n\n  head  6x8 cells  anchors=\[\d+x\d+, \d+x\d+\]\n", found)
    mean, before = (float(number) for number in re.findall(r"(?:anchor|spec) (0\.\d+)", found))
    assert mean > before
    (line,) = re.findall(r"anchors=\[.*\]", found)
    (here / "boxes.dag").write_text(DETECTOR.replace("anchors=[12x12, 24x18]", line))
    again = anchors(capsys, "boxes.dag")
    assert line in again and abs(float(re.findall(r"spec (0\.\d+)", again)[0]) - mean) < 0.01


def test_anchors_of_data(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same boxes with and without a spec; heads get their shares, the first one the largest anchors."""
    with_spec = json.loads(anchors(capsys, "boxes.dag", "--format", "json").splitlines()[-1])
    options = ("scenes", "--part", "train", "--size", "48x64", "--format", "json")
    alone = json.loads(anchors(capsys, *options, "--count", "2").splitlines()[-1])
    assert alone["anchors"] == with_spec["anchors"] and alone["mean"] == with_spec["mean"]
    assert alone["curve"] == sorted(alone["curve"]) and len(alone["curve"]) == 9
    shared = json.loads(anchors(capsys, *options, "--count", "5", "--heads", "2").splitlines()[-1])
    assert [len(part) for part in shared["anchors"]] == [3, 2]
    areas = [w * h for part in reversed(shared["anchors"]) for w, h in part]
    assert areas == sorted(areas)


def test_anchors_of_a_spec_with_bad_boxes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What E0521 advises works: `--bad` stands for the spec's own `bad`."""
    whole = json.loads(anchors(capsys, "boxes.dag", "--format", "json").splitlines()[-1])
    first = (here / "scenes/ImageSets/Main/train.txt").read_text().split()[0]
    file = here / f"scenes/Annotations/{first}.xml"
    file.write_text(re.sub(r"<xmax>\d+</xmax>", "<xmax>5000</xmax>", file.read_text(), count=1))
    assert app.run(["anchors", "boxes.dag"]) == 1 and "E0521" in capsys.readouterr().err
    skipped = json.loads(anchors(capsys, "boxes.dag", "--bad", "skip", "--format", "json").splitlines()[-1])
    clipped = json.loads(anchors(capsys, "boxes.dag", "--bad", "clip", "--format", "json").splitlines()[-1])
    assert clipped["boxes"] == whole["boxes"] == skipped["boxes"] + 1


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["scenes"], "give its --size, such as 240x320"),
        (["scenes", "--size", "48"], None),
        (["scenes", "--size", "0x9"], "write it as 240x320"),
        (["nowhere", "--size", "48x64"], "there is no file or folder `nowhere`"),
        (["boxes.dag", "--size", "48x64"], "--size goes with data; a spec says it itself"),
        (["boxes.dag", "--heads", "2"], "--heads goes with data; a spec says it itself"),
        (["scenes", "--size", "48x64", "--part", "tst"], "the parts are: test, train, val"),
        (["notes.md", "--size", "48x64"], "`notes.md` cannot be read as pictures with boxes"),
        (["scenes/JPEGImages", "--size", "48x64"], "has no boxes to choose anchors by"),
        (["scenes/JPEGImages", "--size", "48x64", "--part", "train"], "is read by `yolo`"),
        (["scenes", "--size", "48x64", "--count", "60"], "60 anchors are asked for, and there are"),
        (["plain.dag"], "there is not one input of pictures of one size"),
        (["no_boxes.dag"], "`digits` reads no pictures with boxes"),
    ],
)
def test_anchors_that_cannot_be(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], part: str | None
) -> None:
    (here / "notes.md").write_text("# Notes\n")
    (here / "plain.dag").write_text("input x: float[4]\noutput y = x -> dense(1)\n")
    no_boxes = (
        "input image: float[8, 8, 1]\ntarget label: int(10)\noutput y = image -> flatten -> dense(10) -> softmax\n"
    )
    no_boxes += "train {\n  data = digits\n  loss = [y, label] -> categorical_crossentropy\n}\n"
    (here / "no_boxes.dag").write_text(no_boxes)
    code = app.run(["anchors", *arguments])
    assert code in (1, 2) if part else code == 0
    assert (part or "") in capsys.readouterr().err
