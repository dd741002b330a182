"""`graphdsl sample model.dag`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from graphdsl.cli.machine import backend_option
from graphdsl.cli.options import Answer, answers, settings_option, spec_argument, weights_option
from graphdsl.cli.weights import load
from graphdsl.data import wav_bytes
from graphdsl.learn import DRAWN, GREEDY, Sampling
from graphdsl.model import Author, Model, compile, composer
from graphdsl.report import fail, visible, write_whole


@click.command()
@spec_argument
@weights_option
@settings_option
@click.option("--start", metavar="TEXT", help="What the text begins with.")
@click.option("--length", type=click.IntRange(1, 1_000_000), help="How many letters, words or bytes are written.")
@click.option(
    "--temperature",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    help="Below 1 the likely becomes likelier. May be repeated: a text for each.",
)
@click.option("--greedy", is_flag=True, help="Always the likeliest; nothing is drawn.")
@click.option("--top-k", type=click.IntRange(1), help="Only so many of the likeliest may follow.")
@click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), help="Only the likeliest of this sum may follow.")
@click.option("--seed", type=click.IntRange(0), help="Decides what is drawn; 0 unless given.")
@click.option("--stop", metavar="TEXT", help="The text ends before this.")
@click.option("-o", "--output", metavar="FILE.wav", help="Where sound goes; a file for each temperature.")
@click.option("--rate", type=click.IntRange(1, 1_000_000), default=8000, show_default=True, help="Of sound, in Hz.")
@backend_option
@answers
def command(
    spec: str,
    weights: str | None,
    settings: dict[str, str],
    greedy: bool,
    backend: str,
    output: str | None,
    rate: int,
    **asked: Any,
) -> Answer:
    """What a trained model writes, letter by letter, by the sample sections of its spec or by these options; or the
    sound that it makes, where its numbers are those of `mu_law`.

    SPEC may be a file of weights, which holds its spec. A model that can be read step by step reads each letter once;
    any other reads the last ones again for every new one. Which it is, is said on stderr.

    \b
    graphdsl sample model.dag
    graphdsl sample model.dag --start "KING:" --length 500 --temperature 0.5
    graphdsl sample runs/model-1/weights.safetensors --top-k 5 --seed 3 --format json
    graphdsl sample wavenet.dag --length 16000 -o made.wav
    """
    model = compile(spec, settings, backend=backend)
    load(model, weights)
    given = {name: value for name, value in asked.items() if value not in (None, ())}
    drawn = [f"--{name.replace('_', '-')}" for name in DRAWN if name in given]
    if greedy and drawn:
        raise click.UsageError(f"--greedy takes the likeliest, and {drawn[0]} is for what is drawn")
    given |= {"method": GREEDY} if greedy else {}
    return texts(model, given) if output is None else composed(model, given, Path(output), rate)


def demand_of_sound(given: dict[str, Any], output: Path) -> None:
    """Raises where sound is asked for by what only text has, or as a file that is none of sound."""
    of_text = next((name for name in ("start", "stop") if name in given), None)
    if of_text is not None:
        raise click.UsageError(f"--{of_text} is of text, and -o writes sound")
    if output.suffix.lower() != ".wav":
        raise click.UsageError(f"sound is written as a .wav file, and -o says {output}")


def texts(model: Model, given: dict[str, Any]) -> Answer:
    """What is written, shown while it is."""
    silent = click.get_current_context().params["form"] == "json"
    samples: list[dict[str, Any]] = []
    how = ""
    for sampling in model.writing.samplings(given):
        author = model.writing.author(sampling)
        if how != author.how:
            how = author.how
            click.echo(how, err=True)
        samples += [written(author, sampling, t, silent) for t in sampling.temperatures]
    return Answer("", {"samples": samples, "how": how})


def composed(model: Model, given: dict[str, Any], output: Path, rate: int) -> Answer:
    """Sound as files. Raises E0619 where the model makes none."""
    files = []
    for sampling in model.writing.samplings(given):
        artist = composer(model.writing, sampling)
        if artist is None:
            help = "leave `-o` out: what it writes is text, and is shown"
            raise fail("E0619", f"`{model.name}` makes no sound: its numbers are not those of `mu_law`", help=help)
        demand_of_sound(given, output)
        click.echo(artist.how, err=True)
        for temperature in sampling.temperatures:
            several = len(sampling.temperatures) > 1
            path = output.with_stem(f"{output.stem}-{temperature:g}") if several else output
            write_whole(path, wav_bytes(artist.sound(sampling, temperature), rate))
            files.append(str(path))
    return Answer(f"wrote {', '.join(files)}", {"files": files})


def written(author: Author, sampling: Sampling, temperature: float, silent: bool) -> dict[str, Any]:
    """One text, shown while it is written."""
    pieces = author.text(sampling, temperature)
    if len(sampling.temperatures) > 1 and not silent:
        click.echo(f"# temperature {temperature:g}")
    text = sampling.start
    show(text, silent)
    for piece in pieces:
        text += piece
        show(piece, silent)
    show("\n", silent)
    return {"name": sampling.name, "start": sampling.start, "temperature": temperature, "text": text}


def show(piece: str, silent: bool) -> None:
    """A few characters, at once."""
    if not silent:
        click.echo(visible(piece, breaks=True), nl=False)
