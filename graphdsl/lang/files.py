"""Other files: finding and reading them, and taking their blocks and params with `use`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from graphdsl.lang import ast
from graphdsl.lang.definitions import carry_out, define, names_of
from graphdsl.lang.frame import Frame, Module, Session
from graphdsl.lang.limits import MAX_USES
from graphdsl.lang.names import Names, Scope
from graphdsl.lang.refusal import refuse
from graphdsl.report import Failed, Span

_TAKEN = (ast.Use, ast.Param, ast.Block, ast.Assert)
"""What `use` reads of a file."""


@contextmanager
def opened(text: str, span: Span, frame: Frame) -> Iterator[ast.File]:
    """The file that span's text names: paths are relative to the file they are written in.

    Raises E0216 where it cannot be read, E0404 where it is being read already.
    """
    session, path = frame.session, beside(text, span)
    if path in session.opening:
        help = "a file cannot be part of itself; put what both need into a third file"
        raise refuse("E0404", f"`{text}` is being read already", span, help=help)
    if len(session.opening) > MAX_USES:
        raise session.too_deep(f"more than {MAX_USES} files inside each other", span)
    file = _file(path, text, span, session)
    session.opening.append(path)
    try:
        yield file
    finally:
        session.opening.pop()


def beside(text: str, span: Span) -> str:
    """The path that text means in the file where it is written."""
    return os.path.normpath(os.path.join(os.path.dirname(span.source.path), text))


def _file(path: str, text: str, span: Span, session: Session) -> ast.File:
    if path not in session.files:
        try:
            session.parsed(path, session.load(path))
        except Failed as failed:
            first = failed.diagnostics[0]
            raise refuse("E0216", first.message, span, help=first.help) from None
    return session.files[path]


def carry_out_all(definitions: Iterable[ast.Definition], frame: Frame, until: Iterable[str] = ()) -> None:
    """Every definition, in order; with until, up to where all those names are defined."""
    wanted = set(until)
    for definition in definitions:
        define(definition, frame)
        if wanted and not (wanted := wanted - {n.name for n in names_of(definition)}):
            return


@carry_out.register
def _use(definition: ast.Use, frame: Frame) -> None:
    imported, path = frame.module.imported, beside(definition.path.value, definition.path.span)
    if path not in imported:
        with opened(definition.path.value, definition.path.span, frame) as file:
            imported[path] = _import(file, frame)
    for name, binding in imported[path].local():
        before = frame.names.find(name)
        if before is None or before.span != binding.span:
            frame.names.demand_new(ast.NameDef(name, definition.path.span))
            frame.names.bind(name, binding.value, binding.span)


def _import(file: ast.File, frame: Frame) -> Names:
    """Blocks and params of a file. Its params can be set as if they stood in the file that uses it."""
    taken = [d for d in file.definitions if isinstance(d, _TAKEN)]
    names = Names(planned=[n for d in taken for n in names_of(d)])
    around = frame.module
    module = Module(file.span.source, around.given, params=around.params, imported=around.imported)
    carry_out_all(taken, Frame(frame.session, module, names, Scope()))
    return names


def params_of(file: ast.File, session: Session) -> list[str]:
    """Names of the params of file and of all files that it uses."""
    files = [file]
    for each in files:  # which grows on the way
        files += [f for f in _used(each, session) if not any(f is known for known in files)]
    return [d.name.name for f in files for d in f.definitions if isinstance(d, ast.Param)]


def _used(file: ast.File, session: Session) -> Iterator[ast.File]:
    for use in [d for d in file.definitions if isinstance(d, ast.Use)]:
        with suppress(Failed):  # told of where the file is elaborated
            yield _file(beside(use.path.value, use.path.span), use.path.value, use.path.span, session)
