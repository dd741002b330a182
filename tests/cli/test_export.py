"""`graphdsl export`: files for other tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graphdsl.cli.app import run
from graphdsl.runtime import read_weights

SPEC = "input x: float[4]\noutput y = x -> dense(3) -> relu\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.dag").write_text(SPEC, encoding="utf-8")
    return tmp_path


def test_onnx_is_compared_with_onnxruntime(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    assert run(["export", "net.dag", "--untrained", "--format", "json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["file"] == "net.onnx" and answer["difference"] < 1e-5
    assert (folder / "net.onnx").stat().st_size > 100
    assert run(["export", "net.dag", "--untrained", "-o", "m.onnx", "--layout", "nchw"]) == 0
    assert "against onnxruntime on random inputs: largest difference" in capsys.readouterr().out


def test_what_is_not_compared_is_not_claimed(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnx")
    assert run(["export", "net.dag", "--untrained", "--no-check"]) == 0
    assert capsys.readouterr().out == "wrote net.onnx\n"


def test_weights_come_from_a_file_and_go_into_one(folder: Path) -> None:
    assert run(["export", "net.dag", "--untrained", "-o", "a.safetensors"]) == 0
    assert run(["export", "net.dag", "--weights", "a.safetensors", "-o", "new/b.safetensors"]) == 0
    first, second = (read_weights(folder / name)[0] for name in ("a.safetensors", "new/b.safetensors"))
    assert {name: array.tolist() for name, array in first.items()} == {n: a.tolist() for n, a in second.items()}


@pytest.mark.parametrize(("tool", "word"), [("pytorch", "class Net(nn.Module):"), ("keras", "def build():")])
def test_source_code_needs_no_weights(tool: str, word: str, folder: Path) -> None:
    assert run(["export", "net.dag", "--to", tool]) == 0
    assert word in (folder / "net.py").read_text(encoding="utf-8")


def test_a_model_without_weights_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "net.dag"]) == 1
    assert "E0616" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "m.txt"], "must end in one of .onnx, .safetensors, .py"),
        (["-o", "m.py"], "a .py file and --to go together"),
        (["-o", "m.onnx", "--to", "pytorch"], "a .py file and --to go together"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "net.dag", *arguments]) == 2
    assert said in capsys.readouterr().err
