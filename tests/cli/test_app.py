"""The table of commands, exit codes, and what each costs to start."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from graphdsl.cli import app
from graphdsl.cli.options import Answer, answers, settings_option
from graphdsl.report import fail, json_text


def python(code: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., object]], None]:
    """Puts a function in the place of `graphdsl check`."""

    def put(function: Callable[..., object]) -> None:
        command = click.command("check")(function)
        monkeypatch.setattr(app.Table, "get_command", lambda *_: command)

    return put


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (fail("E0502", "no file `x.csv`"), 1, "error[E0502]: no file `x.csv`"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 141, ""),
        (ZeroDivisionError("oops"), 3, "This is a bug in graphdsl"),
        (click.UsageError("not so"), 2, "Error: not so"),
    ],
)
def test_every_end_has_an_exit_code(
    as_command: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    words: str,
) -> None:
    def function() -> None:
        raise error

    monkeypatch.setattr(app.os, "dup2", lambda *_: None)
    monkeypatch.setattr(sys.stdout, "fileno", lambda: 1, raising=False)
    as_command(function)
    assert app.run(["check"]) == code
    assert words in capsys.readouterr().err


@pytest.mark.triggers("E0701")
def test_a_full_disk_is_no_traceback(as_command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def function() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/1/weights.safetensors")

    as_command(function)
    assert app.run(["check"]) == 1
    assert (
        "error[E0701]: the system refused: no space left on device (`runs/1/weights.safetensors`)"
        in capsys.readouterr().err
    )


def test_an_answer_is_text_or_one_line_of_json(
    as_command: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    as_command(answers(lambda: Answer("fine", {"ok": True}, 0)))
    assert app.run(["check"]) == 0
    assert capsys.readouterr().out == "fine\n"
    assert app.run(["check", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True}


def test_mistakes_are_json_too(as_command: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    def function() -> Answer:
        raise fail("E0502", "no file `x.csv`")

    as_command(answers(function))
    assert app.run(["check", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["diagnostics"][0]["code"] == "E0502"
    assert "no file" in err


@pytest.mark.parametrize(
    ("arguments", "code", "read"),
    [
        ([], 0, {}),
        (["--set", "a=1", "--set", "b = x=y"], 0, {"a": "1", "b": "x=y"}),
        (["--set", "a"], 2, None),
        (["--set", "=1"], 2, None),
        (["--set", "a=1", "--set", "a=2"], 2, None),
    ],
)
def test_settings_on_the_command_line(
    as_command: Callable[..., None], arguments: list[str], code: int, read: dict[str, str] | None
) -> None:
    seen: list[dict[str, str]] = []
    as_command(settings_option(lambda settings: seen.append(settings)))
    assert app.run(["check", *arguments]) == code
    assert seen == ([] if read is None else [read])


def test_a_misspelt_command_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["rnu"]) == 2
    assert "Did you mean 'run'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_shows_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([name, "--help"]) == 0
    assert f"  graphdsl {name}" in capsys.readouterr().out.partition("Options:")[0]


def test_help_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help"]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {name} " in listed for name in app.COMMANDS)
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out == "graphdsl 0.1.0\n"


def test_importing_graphdsl_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'networkx', 'lark', 'click', 'dataclasses', 're'}"
    assert python(f"import sys, graphdsl; print(sorted({heavy} & set(sys.modules)))", "-S").stdout.strip() in (
        "[]",
        "['re']",
    )


def test_help_imports_no_command() -> None:
    code = "import sys; from graphdsl.cli import app; app.run(['--help']); print({'numpy', 'lark'} & set(sys.modules))"
    assert python(code).stdout.endswith("set()\n")


def test_python_dash_m() -> None:
    done = subprocess.run([sys.executable, "-m", "graphdsl", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "graphdsl 0.1.0\n"


def test_json_knows_no_nan() -> None:
    answer = {"metrics": {"test": {"auc": float("nan"), "loss": 0.5}}, "rows": [float("inf"), 1, None]}
    assert json_text(answer) == '{"metrics": {"test": {"auc": null, "loss": 0.5}}, "rows": [null, 1, null]}'
