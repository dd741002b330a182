"""The commands on a small spec and real digits, end to end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graphdsl import compile
from graphdsl.cli import app
from graphdsl.learn import Action, Callback, Memory, StepDone

SPEC = """# A very small net
param width = 4 in [4, 8]

input  image: float[8, 8, 1]
target label: int(10)

output digit = image -> conv(width, 3) -> relu -> flatten -> dense(10) -> softmax

train {
  data      = digits(part="test", batch=100)
  test      = digits(part="test")
  loss      = [digit, label] -> categorical_crossentropy
  metrics   = [digit, label] -> accuracy
  optimizer = adam(lr=0.01)
  epochs    = 1
}
"""


USE = """input image: float[8, 8, 1]
seen = image -> model("deep.dag", weights="runs/small-1/weights.safetensors", freeze=true)
output digit = seen -> dense(10) -> softmax
target label: int(10)
train {
  data = digits(part="test", batch=100)
  loss = [digit, label] -> categorical_crossentropy
  epochs = 1
}
"""


@dataclass(frozen=True)
class CtrlC(Callback):
    """Presses it in the second step."""

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        if event.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return ()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the spec and a finished run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.dag").write_text(SPEC)
    command = [sys.executable, "-m", "graphdsl", "run", "small.dag", "--format", "json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (folder / "answer.json").write_text(done.stdout.splitlines()[-1])
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as the working directory."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def graphdsl(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must succeed; gives what it printed."""

    def run(*arguments: str) -> str:
        capsys.readouterr()
        code = app.run(arguments)
        out, err = capsys.readouterr()
        assert code == 0, err
        return out

    return run


def last_line(text: str) -> Any:
    return json.loads(text.splitlines()[-1])


def test_run_answers_with_metrics_and_a_folder(trained: Path) -> None:
    answer = json.loads((trained / "answer.json").read_text())
    assert set(answer) == {"metrics", "seconds", "run_dir"}
    assert set(answer["metrics"]) == {"train", "valid", "test"}
    assert set(answer["metrics"]["test"]) == {"loss", "digit.accuracy"}
    left = {path.name for path in (trained / answer["run_dir"]).iterdir()}
    assert {"spec.dag", "metrics.csv", "curves.svg", "weights.safetensors", "graph.svg", "summary.txt"} <= left


def test_a_run_leaves_its_final_numbers(trained: Path) -> None:
    answer = json.loads((trained / "answer.json").read_text())
    folder = trained / answer.pop("run_dir")
    assert json.loads((folder / "metrics.json").read_text()) == answer
    before, _, results = (folder / "summary.txt").read_text().partition("\nresults\n")
    assert "width = 4" in before
    assert results.startswith("train  loss ")
    assert f"test   loss {answer['metrics']['test']['loss']:.4g}, digit.accuracy" in results


def test_evaluate_finds_the_newest_run(graphdsl: Any, folder: Path) -> None:
    found = last_line(graphdsl("evaluate", "small.dag", "--format", "json"))["metrics"]
    said = json.loads((folder / "answer.json").read_text())["metrics"]["test"]
    assert found == pytest.approx(said)
    assert "digit.accuracy" in graphdsl("evaluate", "small.dag")


def test_evaluate_says_on_what(graphdsl: Any, folder: Path) -> None:
    assert graphdsl("evaluate", "small.dag").startswith("on the test data")
    (folder / "split.dag").write_text(
        SPEC.replace('test      = digits(part="test")', "").replace("100)", "100, valid=0.2)")
    )
    weights = ("--weights", "runs/small-1")
    assert graphdsl("evaluate", "split.dag", *weights).startswith("on the validation data")
    assert last_line(graphdsl("evaluate", "split.dag", *weights, "--format", "json"))["data"] == "valid"


def test_which_weights_are_used(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["predict", "small.dag"], ["evaluate", "small.dag"], ["show", "small.dag", "--filters", "conv_1"]):
        assert app.run(command) == 0
        assert "weights: runs/small-1/weights.safetensors\n" in capsys.readouterr().err


def test_a_stopped_run_is_of_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "runs" / "small-1" / "weights.safetensors").unlink()
    with pytest.raises(KeyboardInterrupt):
        compile("small.dag").fit(shown=False, epochs=3, callbacks=[CtrlC()])
    assert app.run(["predict", "small.dag"]) == 0
    assert "runs/small-2/checkpoint.safetensors (the run has not come to its end" in capsys.readouterr().err
    assert app.run(["evaluate", "small.dag", "--weights", "runs/small-2"]) == 0


@pytest.mark.triggers("E0605")
def test_weights_that_fill_only_a_part(refused: Any, folder: Path) -> None:
    (folder / "deep.dag").write_text(SPEC.replace("conv(width, 3)", "conv(width, 3) -> conv(width, 3, pad=same)"))
    for command in (["predict", "deep.dag"], ["evaluate", "deep.dag"], ["show", "deep.dag", "--filters", "conv_1"]):
        said = refused(*command, "--weights", "runs/small-1")
        assert "error[E0605]" in said
        assert "`digit/conv_2/kernel` [3, 3, 4, 4]" in said


@pytest.mark.triggers("E0605")
def test_a_frozen_model_needs_all_its_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "deep.dag").write_text(SPEC.replace("conv(width, 3)", "conv(width, 3) -> conv(width, 3, pad=same)"))
    (folder / "use.dag").write_text(USE)
    assert app.run(["run", "use.dag"]) == 1
    said = capsys.readouterr().err
    assert "use.dag:2:" in said
    assert "lacks weights of a frozen model" in said
    (folder / "use.dag").write_text(USE.replace(", freeze=true", ""))
    assert app.run(["run", "use.dag"]) == 0


@pytest.mark.triggers("E0616")
def test_a_folder_without_weights(refused: Any, folder: Path) -> None:
    (folder / "empty").mkdir()
    assert "error[E0616]" in refused("predict", "small.dag", "--weights", "empty")


@pytest.mark.triggers("E0604")
def test_load_in_a_section_has_a_place(refused: Any, folder: Path) -> None:
    (folder / "start.dag").write_text(SPEC.replace("epochs ", 'load = "none.safetensors"\n  epochs '))
    assert "start.dag:" in refused("run", "start.dag")


def test_predict_pictures(graphdsl: Any) -> None:
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save("grey.png")
    outputs = last_line(graphdsl("predict", "small.dag", "grey.png", "--format", "json"))["outputs"]
    assert np.asarray(outputs["digit"]).shape == (1, 10)
    assert sum(outputs["digit"][0]) == pytest.approx(1, abs=1e-5)
    assert "class " in graphdsl("predict", "small.dag", "grey.png")


def test_predict_into_a_file(graphdsl: Any) -> None:
    np.save("pictures.npy", np.zeros((12, 8, 8, 1), np.float32))
    said = graphdsl("predict", "small.dag", "pictures.npy", "-o", "out.npz")
    assert "and 2 more" in said
    assert np.load("out.npz")["digit"].shape == (12, 10)


def test_numbers_that_are_no_scores_name_no_class(graphdsl: Any) -> None:
    np.save("p.npy", np.zeros((1, 3), np.float32))
    text = "input x: float[3]\ntarget t: float[2]\noutput y = x -> dense(2)\ntrain { loss = [y, t] -> mse }\n"
    Path("plain.dag").write_text(text)
    compile("plain.dag").save("plain.safetensors")
    assert "class " not in graphdsl("predict", "plain.dag", "p.npy", "--weights", "plain.safetensors")


def test_show_is_a_table_or_json(graphdsl: Any) -> None:
    assert "parameters: 1,490" in graphdsl("show", "small.dag")
    data = last_line(graphdsl("show", "small.dag", "--set", "width=8", "--format", "json"))
    assert data["parameters"] == {"total": 80 + 2890, "trainable": 80 + 2890}
    assert {"name", "layer", "shape", "parameters", "uses", "flops"} <= set(data["layers"][0])
    assert set(data["inputs"]) == {"image"}
    assert set(data["outputs"]) == {"digit"}


def test_show_a_stage_of_the_compiler(graphdsl: Any) -> None:
    assert "digit/conv_1" in graphdsl("show", "small.dag", "--after", "gradient")


@pytest.mark.triggers("E0804")
def test_an_unknown_stage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["show", "small.dag", "--after", "gradeint"]) == 1
    assert "did you mean `gradient`?" in capsys.readouterr().err


def test_show_filters_and_features(graphdsl: Any) -> None:
    Image.fromarray(np.full((8, 8), 128, np.uint8)).save("grey.png")
    graphdsl("show", "small.dag", "--filters", "digit/conv_1", "-o", "filters.png")
    said = graphdsl("show", "small.dag", "--features", "digit/conv_1", "--input", "grey.png")
    assert said == "wrote digit.conv_1.features.png\n"
    for name in ("filters.png", "digit.conv_1.features.png"):
        with Image.open(name) as sheet:
            assert min(sheet.size) > 8


@pytest.mark.triggers("E0805")
def test_an_unknown_layer(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["show", "small.dag", "--filters", "digit/conv_2"]) == 1
    assert "did you mean `digit/conv_1`?" in capsys.readouterr().err


@pytest.fixture
def refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command that must fail by the user's mistake; gives what it said."""

    def run(*arguments: str) -> str:
        assert app.run(arguments) == 1
        return capsys.readouterr().err

    return run


@pytest.mark.triggers("E0803")
def test_an_unknown_backend(refused: Any) -> None:
    assert "error[E0803]" in refused("run", "small.dag", "--backend", "abacus")


@pytest.mark.triggers("E0604")
def test_weights_that_are_none(refused: Any, folder: Path) -> None:
    (folder / "notes.txt").write_text("to do: train")
    assert "error[E0604]" in refused("predict", "small.dag", "--weights", "notes.txt")


@pytest.mark.triggers("E0605")
def test_weights_of_another_model(refused: Any, folder: Path) -> None:
    (folder / "other.dag").write_text(SPEC.replace("dense(10)", "dense(7) -> dense(10)"))
    said = refused("predict", "other.dag", "--weights", "runs/small-1/weights.safetensors")
    assert "error[E0605]" in said


@pytest.mark.triggers("E0614")
def test_a_run_that_cannot_go_on(refused: Any) -> None:
    assert "error[E0614]" in refused("run", "small.dag", "--resume", "runs/small-1")


@pytest.mark.triggers("E0615")
def test_no_data_to_predict(refused: Any, folder: Path) -> None:
    (folder / "bare.dag").write_text(SPEC.replace('test      = digits(part="test")\n', ""))
    assert "error[E0615]" in refused("predict", "bare.dag", "--weights", "runs/small-1/weights.safetensors")


@pytest.mark.triggers("E0616")
def test_no_weights_yet(refused: Any, folder: Path) -> None:
    (folder / "new.dag").write_text(SPEC)
    assert "error[E0616]" in refused("predict", "new.dag")


def test_features_need_an_input(folder: Path) -> None:
    assert app.run(["show", "small.dag", "--features", "digit/conv_1"]) == 2


def test_render(graphdsl: Any, folder: Path) -> None:
    assert graphdsl("render", "small.dag", "-o", "small.html") == "wrote small.html\n"
    assert "<html" in (folder / "small.html").read_text()
    assert graphdsl("render", "small.dag", "-o", "small.dot") == "wrote small.dot\n"


def test_check_says_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.dag").write_text("input x: float[4]\noutput y = x -> desne(2)\n")
    assert app.run(["check", "small.dag", "wrong.dag", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    (mistake,) = last_line(out)["diagnostics"]
    assert (mistake["path"], mistake["line"], mistake["column"], mistake["end_column"]) == ("wrong.dag", 2, 17, 22)
    assert "did you mean `dense`?" in err
    assert last_line(out)["ok"] is False


def test_check_is_glad(graphdsl: Any) -> None:
    assert graphdsl("check", "small.dag") == "small.dag is fine\n"
    assert last_line(graphdsl("check", "small.dag", "--format", "json")) == {"ok": True, "diagnostics": []}


def test_check_warns_and_is_content(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("idle.dag").write_text("input x, z: float[4]\ny = x -> dense(2)\n")
    assert app.run(["check", "idle.dag"]) == 0
    out, err = capsys.readouterr()
    assert not out.strip()
    assert "warning[E0226]: nothing reads input `z`" in err
    assert err.endswith("2 warnings\n")
    assert app.run(["check", "idle.dag", "--format", "json"]) == 0
    answer = last_line(capsys.readouterr().out)
    assert answer["ok"]
    assert {(d["code"], d["severity"]) for d in answer["diagnostics"]} == {("E0225", "warning"), ("E0226", "warning")}


def test_a_setting_outside_its_domain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["check", "small.dag", "--set", "width=5"]) == 1
    assert "[4, 8]" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "check", "show", "render", "predict", "evaluate"])
def test_a_missing_spec(command: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([command, "none.dag"]) == 1
    err = capsys.readouterr().err
    assert "none.dag" in err
    assert "Traceback" not in err


def test_ctrl_c_saves_and_says_how_to_go_on(folder: Path) -> None:
    command = [sys.executable, "-m", "graphdsl", "run", "small.dag", "--epochs", "100000"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("memory: ")
        assert process.stdout.readline().startswith("epoch ")
        process.send_signal(signal.SIGINT)
        said = process.stdout.read()
    assert process.returncode == 130
    assert "--resume runs/small-2" in said
    assert "Traceback" not in said
    assert said.endswith("--epochs 100000\n"), "how to go on is the last that is said"
    assert (folder / "runs" / "small-2" / "checkpoint.safetensors").exists()


def test_a_reader_that_leaves(folder: Path) -> None:
    line = f"{sys.executable} -m graphdsl show small.dag --after gradient | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141)
    assert done.stderr == ""
