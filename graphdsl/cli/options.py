"""Options that several commands share, and how a command answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from graphdsl.report import Diagnostic, Failed, as_data, dataclass, did_you_mean, json_text, print_diagnostics

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Answer:
    """What a command found out: for people, for programs, and the exit code.

    csv, coco   for those that have a table, and boxes
    """

    text: str
    data: dict[str, Any]
    code: int = 0
    csv: Callable[[], str] = str
    coco: Callable[[], str] = str


def answers(function: Callable[..., Answer]) -> Callable[..., int]:
    """Decorator: adds `--format`, prints the answer and gives its exit code.

    With `--format json` the last line of stdout is one JSON object, in failure too: `{"diagnostics": [...]}`.
    """
    return _answering(function, ["text", "json"], "json: one object on the last line.")


def tables(function: Callable[..., Answer]) -> Callable[..., int]:
    """The same for a command whose answer is a table, or boxes: `--format csv` and `coco` too."""
    help = "json: one object on the last line; csv: a row a sample, or a box; coco: boxes as COCO's list of detections."
    return _answering(function, ["text", "json", "csv", "coco"], help)


def _answering(function: Callable[..., Answer], forms: list[str], help: str) -> Callable[..., int]:
    @click.option("--format", "form", type=click.Choice(forms), default="text", help=help)
    @functools.wraps(function)
    def command(form: str, **arguments: Any) -> int:
        try:
            answer = function(**arguments)
            said = _as(form, answer)
        except Failed as failed:
            answer = failure(failed)
            said = _as(form, answer)
        click.echo(said, nl=form == "json" or bool(said and not said.endswith("\n")))
        return answer.code

    return command


def _as(form: str, answer: Answer) -> str:
    if form == "json":
        return json_text(answer.data)
    return answer.text if form == "text" else answer.csv() if form == "csv" else answer.coco()


def failure(failed: Failed) -> Answer:
    """The answer of a command that met mistakes: drawn on stderr, listed as data."""
    print_diagnostics(failed.diagnostics)
    return Answer("", {"diagnostics": [as_data(d) for d in failed.diagnostics]}, 1)


def warn(diagnostics: Sequence[Diagnostic]) -> None:
    """Draws warnings on stderr, where there are any."""
    if diagnostics:
        print_diagnostics(diagnostics)


def note(lines: Sequence[str]) -> None:
    """What people should know and may go on with, on stderr."""
    for line in lines:
        click.echo(f"note: {line}", err=True)


def spec_argument(function: F) -> F:
    """Decorator: the argument `spec`: a .dag file, weights that hold their spec, or the folder of a run."""
    return click.argument("spec", metavar="SPEC.dag", type=click.Path())(function)


def weights_option(function: F) -> F:
    """Decorator: `--weights FILE`, or the folder of a run; None means those of the newest run of this spec."""
    help = "Or the folder of a run. Default: those of the spec's newest run, or the file beside the spec."
    return click.option("--weights", metavar="FILE", type=click.Path(), help=help)(function)


def settings_option(function: F) -> F:
    """Decorator: `--set name=value`, any number of times, as a dict of texts `settings`."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        callback=_read_settings,
        help="Give a param of the spec another value. May be repeated.",
    )(function)


def _read_settings(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    settings: dict[str, str] = {}
    for value in values:
        name, equals, text = value.partition("=")
        name = name.strip()
        if not equals or not name.isidentifier():
            raise click.BadParameter(f"write it as name=value, not {value!r}", ctx, option)
        if name in settings:
            raise click.BadParameter(f"{name} is given twice", ctx, option)
        settings[name] = text.strip()
    return settings


def counted(count: int, one: str, several: str = "") -> str:
    """`1 picture`, `2,000 pictures`, `2 boxes`."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"


def choose(word: str, words: list[str], what: str) -> str:
    """word if it is one of words, else a usage error that names the nearest."""
    if word in words:
        return word
    help = did_you_mean(word, words)
    raise click.UsageError(f"no {what} `{word}`" + (f"; {help}" if help else ""))
