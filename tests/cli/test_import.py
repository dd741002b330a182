"""`graphdsl import`: what it writes and says, whatever the format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from graphdsl.cli import app
from graphdsl.interop import FORMATS, Format, Layer, Net, Port, cannot_say


def net(path: Path, weights: Path | None) -> Net:
    """A classifier of small pictures into three classes."""
    if path.read_text() == "odd":
        raise cannot_say("fc", "Odd", "it is odd")
    arrays = {"kernel": np.arange(36).reshape(12, 3), "bias": np.zeros(3)}
    layers = (
        Layer("flat", "flatten", ("data",), ("flat",)),
        Layer("fc", "dense", ("flat",), ("fc",), {"units": 3}, arrays),
        Layer("prob", "softmax", ("fc",), ("prob",)),
    )
    return Net("Pictures of things", (Port("data", "float[2, 2, 3]"),), layers, (("prob", "prob"),))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network of a tool called Odd in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(FORMATS, ".odd", Format("Odd", net, check=lambda path, weights, outputs: 0.25))
    (tmp_path / "model.odd").write_text("a network")
    (tmp_path / "names.txt").write_text("cat\ndog\nbird\n")
    return tmp_path


def test_a_spec_and_its_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", "model.odd"]) == 0
    assert (here / "model.dag").read_text() == (
        "# Pictures of things\n\ninput data: float[2, 2, 3]\n\noutput prob = data -> flatten -> dense(3) -> softmax\n\n"
        "# Numbers as close to the source's as float32 allows. Without it some machines are faster, and 1e-5 off.\n"
        "predict {\n  precision = strict\n}\n"
    )
    assert capsys.readouterr().out.splitlines() == [
        "wrote model.dag and model.safetensors",
        "parameters: 39 (39 trainable, 0 frozen)",
        "against Odd on random inputs: largest difference 2.5e-01 of the outputs' range",
        "the file does not say what is done to pictures first; if more than a division by 255, write it into the spec: "
        "`preprocess = … -> …`",
    ]


def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", "model.odd", "-o", "other.dag", "--no-check", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
        "format": "Odd",
        "files": ["other.dag", "other.safetensors"],
        "difference": None,
    }


def test_names_of_classes_stay_with_the_weights(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", "model.odd", "--classes", "names.txt"]) == 0
    np.save(here / "data.npy", np.ones((1, 2, 2, 3), np.float32))
    capsys.readouterr()
    assert app.run(["predict", "model.safetensors", "data.npy", "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["class"] for each in said["top"]["prob"][0]] == ["bird", "dog", "cat"]


@pytest.mark.triggers("E0518")
def test_names_that_fit_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "names.txt").write_text("cat\ndog\n")
    assert app.run(["import", "model.odd", "--classes", "names.txt"]) == 1
    assert "error[E0518]: 2 names of classes fit no output: `prob` has 3" in capsys.readouterr().err


def test_what_cannot_be_said_leaves_no_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "model.odd").write_text("odd")
    assert app.run(["import", "model.odd"]) == 1
    assert "error[E0901]: `fc` (Odd) cannot be expressed: it is odd" in capsys.readouterr().err
    assert not list(here.glob("model.dag")) + list(here.glob("*.safetensors"))


def test_a_spec_that_somebody_changed_is_kept(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", "model.odd"]) == app.run(["import", "model.odd"]) == 0
    (here / "model.dag").write_text("# mine\n")
    assert app.run(["import", "model.odd"]) == 2
    assert "`model.dag` is there already and says something else" in capsys.readouterr().err
    assert (here / "model.dag").read_text() == "# mine\n"
    assert app.run(["import", "model.odd", "--overwrite"]) == 0
    assert "dense(3)" in (here / "model.dag").read_text()


def test_endings(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", "model.odd", "-o", "model.txt"]) == 2
    assert "what is written here is a .dag file, so `model.txt` must end in that" in capsys.readouterr().err
    np.savez(here / "state.npz", weight=np.zeros((3, 12)), bias=np.zeros(3))
    app.run(["import", "model.odd"])
    assert app.run(["import", "state.npz", "--spec", "model.dag", "-o", "model.dag"]) == 2
    assert "a .safetensors file" in capsys.readouterr().err
    assert "dense(3)" in (here / "model.dag").read_text()


def test_weights_that_are_never_apart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(FORMATS, ".odd", Format("Odd", net, apart=False))
    assert app.run(["import", "model.odd", "--weights", "names.txt"]) == 2
    assert "files of Odd hold their weights" in capsys.readouterr().err


@pytest.mark.triggers("E0905")
@pytest.mark.parametrize(
    ("file", "way"),
    [
        ("net.pt", "torch.onnx.export"),
        ("net.npz", "--spec SPEC.dag"),
        ("net.weights", "import the .cfg or .prototxt"),
        ("folder", "have no ending"),
        ("net.onx", "did you mean `.onnx`?"),
    ],
)
def test_files_that_are_no_network(file: str, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["import", file]) == 1
    err = capsys.readouterr().err
    assert "E0905" in err
    assert way in err
