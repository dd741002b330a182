"""The command line: a table of commands, each imported when it is called."""

from graphdsl.cli.app import main

__all__ = ["main"]
