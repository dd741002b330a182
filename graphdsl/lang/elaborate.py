"""From a text to what it means: one graph, and sections that say what to do with it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from graphdsl.ir import Graph, Role, Value, Weight
from graphdsl.lang import asserts, blocks, calls, files, layers, models, sections, slides
from graphdsl.lang.definitions import names_of
from graphdsl.lang.frame import Frame, Module, Session
from graphdsl.lang.names import Names, Scope
from graphdsl.lang.params import tell_unknown_settings
from graphdsl.lang.parser import read_source
from graphdsl.lang.refusal import Exhausted
from graphdsl.lang.selection import Weights
from graphdsl.lang.spec import SharedUse, Spec
from graphdsl.lang.unused import check_unused
from graphdsl.lang.values import BlockWord, SharedWord
from graphdsl.lang.vocabulary import Vocabulary
from graphdsl.report import Failed, Reporter, Source


def elaborate(
    source: Source,
    vocabulary: Vocabulary,
    settings: Mapping[str, Any] | None = None,
    reporter: Reporter | None = None,
    load: Callable[[str], Source] = read_source,
) -> Spec:
    """The spec that source stands for.

    settings  values for its params: as texts (from a command line) or as values of the language
    reporter  gets every mistake; without one, mistakes are raised together as Failed
    load      gives the text of files that the spec names in `use` and `model`

    What is wrong is left out of the result, so the spec is whole only when the reporter has no error.
    """
    found = reporter or Reporter()
    session = Session(vocabulary, found, load)
    module = Module(source, {name: (value, None) for name, value in (settings or {}).items()})
    names = _carry_out(session, module)
    if module.given and not found.failed:
        tell_unknown_settings(module, found)
    spec = _spec(session, module, names)
    if reporter is None:
        found.raise_if_failed()
    return spec


def _carry_out(session: Session, module: Module) -> Names:
    """Every definition of the file; what they built is in the session, what they name in the module."""
    path = os.path.normpath(module.source.path)
    file = session.parsed(path, module.source)
    session.opening.append(path)
    names = Names(planned=[n for d in file.definitions for n in names_of(d)])
    frame = Frame(session, module, names, Scope())
    try:
        files.carry_out_all(file.definitions, frame)
        check_unused(names, frame)
    except Exhausted:
        module.sections.clear()
    return names


def _spec(session: Session, module: Module, names: Names) -> Spec:
    for name, value in module.outputs.items():
        session.builder.result(name, Role.OUTPUT, value)
    graph = session.builder.finish()
    _check_deferred(session, graph)
    return Spec(
        source=module.source,
        graph=graph,
        inputs=module.inputs,
        targets=module.targets,
        outputs=module.outputs,
        names={n: b.value for n, b in names.local() if isinstance(b.value, Value)},
        params=module.params,
        sections=sections.finished(module.sections, Weights(graph)),
        shared=tuple(_shared_use(word) for word in session.shared),
        weights=tuple(session.weights),
        files=tuple(session.files),
        named=tuple(session.named),
        preprocess=tuple(module.preprocess),
        unprepared=tuple(session.unprepared),
        slid=tuple(session.slid),
        scheduled=session.scheduled,
        library=any(isinstance(b.value, BlockWord) for _, b in names.local()),
    )


def _shared_use(word: SharedWord) -> SharedUse:
    name = word.definition.name
    return SharedUse(name.name, word.weights, word.uses, name.span)


def _check_deferred(session: Session, graph: Graph) -> None:
    """The asserts that speak of `weights`: how many numbers learn. Where anything is wrong, nobody knows."""
    if session.reporter.failed:
        return
    learning = [n.op.made for _, n in graph.items() if isinstance(n.op, Weight) and n.op.trainable]
    session.parameters = sum(prod(type.bind({})) for type in learning)
    for assertion, frame in session.deferred:
        try:
            asserts.check(assertion, frame)
        except Failed as failed:
            session.tell(failed, frame)


RULES = (asserts, blocks, calls, files, layers, models, sections, slides)
"""The files whose rules must be known: each adds its own to `evaluate`, `apply` or `carry_out` when it is imported."""
