"""`graphdsl ops conv`"""

from __future__ import annotations

import click

from graphdsl.cli.options import choose
from graphdsl.ir import INITIALIZERS, REQUIRED, Entry, Registry, Setting, show
from graphdsl.model import VOCABULARY


@click.command()
@click.argument("name", required=False)
@click.option("--kind", help="Only this kind: layer, loss, metric, optimizer …")
def command(name: str | None, kind: str | None) -> None:
    """The words of the language, or the page of one.

    \b
    graphdsl ops
    graphdsl ops conv
    graphdsl ops --kind optimizer
    """
    kinds = VOCABULARY.registries
    registries = list(kinds.values()) if kind is None else [kinds[choose(kind, list(kinds), "kind")]]
    if name is None:
        click.echo("\n\n".join(listing(r) for r in registries if r))
        return
    choose(name, sorted({word for registry in registries for word in registry}), "word")
    click.echo("\n\n".join(page(r[name]) for r in registries if name in r))


def listing(registry: Registry) -> str:
    """The entries of a registry, a line each."""
    width = max(map(len, registry))
    rows = [f"  {name:<{width}}  {registry[name].doc.partition(chr(10))[0]}".rstrip() for name in sorted(registry)]
    return "\n".join([registry.kind, *rows])


def page(entry: Entry) -> str:
    """How an entry is written, what its settings may be, and its text."""
    width = max((len(s.name) for s in entry.settings), default=0)
    rows = [
        f"  {s.name:<{width}}  {s.domain.describe()}{'' if s.default is REQUIRED else f' (default {default(s)})'}"
        for s in entry.settings
    ]
    settings = ["\n".join(["settings", *rows])] if rows else []
    return "\n\n".join([f"{entry.kind} {usage(entry)}", entry.doc, *settings])


def usage(entry: Entry) -> str:
    """`[a, b] -> name(required, optional=1)`"""
    names = ", ".join("…" if operand in ("*", "+") else operand for operand in entry.operands)
    source = f"[{names}] -> " if len(entry.operands) > 1 or entry.variadic else f"{names} -> " if names else ""
    settings = ", ".join(s.name if s.default is REQUIRED else f"{s.name}={default(s)}" for s in entry.settings)
    return f"{source}{entry.name}({settings})" if settings else f"{source}{entry.name}"


def default(setting: Setting) -> str:
    """The default of a setting as a spec would write it: words without quotes, initialisers by name."""
    value = setting.default
    if isinstance(value, str) and value in setting.domain.words:
        return value
    return next((name for name, entry in INITIALIZERS.items() if entry.make is type(value)), show(value))
