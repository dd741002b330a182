"""`graphdsl ops conv`"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import click

from graphdsl.cli.options import choose
from graphdsl.ir import INITIALIZERS, REQUIRED, Entry, Registry, SectionKind, Setting, show
from graphdsl.lang import PAGES, SAME
from graphdsl.model import VOCABULARY


@click.command()
@click.argument("name", required=False)
@click.option("--kind", help="Only this kind: layer, loss, metric, optimizer, section, language …")
def command(name: str | None, kind: str | None) -> None:
    """The words of the language, or the page of one.

    \b
    graphdsl ops
    graphdsl ops conv
    graphdsl ops slide
    graphdsl ops --kind optimizer
    """
    kinds = VOCABULARY.registries
    if kind is not None and kind in OWN:
        choose(name or next(iter(OWN[kind])), [*OWN[kind]], "word")
        click.echo(own_listing(kind) if name is None else OWN[kind][name])
        return
    registries = list(kinds.values()) if kind is None else [kinds[choose(kind, [*kinds, *OWN], "kind")]]
    own = OWN if kind is None else {}
    if name is None:
        click.echo("\n\n".join([*(listing(r) for r in registries if r), *map(own_listing, own)]))
        return
    word = SAME.get(name, name) if kind is None else name
    pages = [page(r[name]) for r in registries if name in r] + [texts[word] for texts in own.values() if word in texts]
    if not pages:
        choose(name, sorted({w for words in (*registries, *own.values()) for w in words}), "word")
    click.echo("\n\n".join(pages))


def section_page(kind: SectionKind) -> str:
    """A section: its keys, and the sections that may stand in it."""
    width = max(len(s.name) for s in kind.settings)
    keys = [f"  {s.name:<{width}}  {s.doc}{' (required)' if s.required else ''}".rstrip() for s in kind.settings]
    inner = [f"inside it: {', '.join(f'`{k.name}`' for k in kind.nested)}"] if kind.nested else []
    return "\n\n".join([f"section {kind.name} {{ … }}", kind.doc, "\n".join(["keys", *keys]), *inner])


def _sections(kinds: Iterable[SectionKind]) -> Iterator[SectionKind]:
    for kind in kinds:
        yield kind
        yield from _sections(kind.nested)


OWN: Mapping[str, Mapping[str, str]] = {
    "language": {word: f"language {told.example}\n\n{told.text}" for word, told in PAGES.items()},
    "section": {kind.name: section_page(kind) for kind in _sections(VOCABULARY.sections.values())},
}
"""Pages of words that are in no registry: those of the language, and sections."""


def own_listing(kind: str) -> str:
    """Words of the language, or sections, a line each."""
    width = max(map(len, OWN[kind]))
    rows = [f"  {word:<{width}}  {text.split(chr(10), 3)[2]}" for word, text in OWN[kind].items()]
    return "\n".join([kind, *rows])


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
