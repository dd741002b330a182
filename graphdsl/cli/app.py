"""The table of commands and the one place where failures become messages and exit codes.

0 done, 1 the user's mistake, 2 wrong usage, 3 our bug, 4 the answer is no (`gallery verify`), 130 interrupted, 141 the
reader of our output went away.
"""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from typing import NoReturn

import click

from graphdsl import __version__
from graphdsl.report import Diagnostic, Failed, print_diagnostics

COMMANDS = {
    "run": "Train a model by the train sections of its spec.",
    "check": "Find all mistakes in specs, without reading data.",
    "show": "The summary of a model, or any stage of the compiler.",
    "render": "Draw a model.",
    "fmt": "Lay specs out in the one style.",
    "predict": "What a trained model says about data.",
    "evaluate": "How good a trained model is.",
    "slide": "A network at every window of pictures: one pass beside crop by crop.",
    "sample": "What a trained model writes.",
    "anchors": "Anchors that suit the boxes of a dataset.",
    "gallery": "Who is it? Names for what a model embeds, in one file.",
    "explain": "What an error code means.",
    "selfcheck": "Does the GPU give the right numbers?",
    "import": "A network of another tool as a spec.",
    "export": "A model as ONNX, safetensors or source code, for other tools.",
    "ops": "The words of the language: layers, losses, optimizers …",
}

MISTAKE, USAGE, BUG, INTERRUPTED, PIPE_CLOSED = 1, 2, 3, 130, 141


class Table(click.Group):
    """A group that imports a command's file when it is called, and lists commands without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        file = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"graphdsl.cli.{file}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Table, context_settings={"help_option_names": ["-h", "--help"]}, commands=dict.fromkeys(COMMANDS))
@click.version_option(__version__, message="%(prog)s %(version)s")
def graphdsl() -> None:
    """A text language for neural networks.

    \b
    graphdsl check model.dag             find mistakes
    graphdsl run model.dag               train
    graphdsl render model.dag -o m.svg   draw
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code."""
    # A step is many small products. Measured on 2 cores that were not idle, a pool of 2 BLAS threads made a step of
    # specs/digits.dag take 55 ms instead of 5. It also keeps results the same on machines with other core counts.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", os.environ.get("GRAPHDSL_THREADS", "1"))
    # Modules and graphs live to the end: looking through them for garbage, as often as Python does and once more at
    # its exit, takes 7 % of a check.
    gc.set_threshold(100_000)
    code = run(arguments)
    gc.freeze()
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command; every way it can end is an exit code."""
    try:
        code = graphdsl.main(args=arguments, prog_name="graphdsl", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Failed as failed:
        print_diagnostics(failed.diagnostics)
        return MISTAKE
    except (KeyboardInterrupt, click.Abort):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        print_diagnostics([_refused(error)])
        return MISTAKE
    except Exception:
        traceback.print_exc()
        print("\nThis is a bug in graphdsl. Please report it, with the lines above and the spec.", file=sys.stderr)
        return BUG


def _refused(error: OSError) -> Diagnostic:
    """A full disk, a folder that may not be written: the system's words and the file."""
    file = f" (`{error.filename}`)" if error.filename else ""
    return Diagnostic("E0701", f"the system refused: {(error.strerror or str(error)).lower()}{file}")
