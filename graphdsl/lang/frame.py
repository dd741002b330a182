"""Where an expression stands while it is read: what its names mean, what its layers are called, how it was reached."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

from graphdsl.ir import Builder, Layer, Made, Place, Slot, Value
from graphdsl.lang import ast
from graphdsl.lang.limits import MAX_DEPTH, MAX_LAYERS, MAX_USES
from graphdsl.lang.names import Names, Scope
from graphdsl.lang.parser import parse
from graphdsl.lang.refusal import Exhausted, refuse, told
from graphdsl.lang.spec import Named, Parameter, Port, Recipe, Section, Slid, Unprepared, WeightsFile
from graphdsl.lang.values import SharedWord
from graphdsl.lang.vocabulary import Vocabulary
from graphdsl.report import Failed, Reporter, Source, Span, Use, dataclass, did_you_mean

MAX_SUGGESTIONS = 100
"""Looking for the name somebody meant costs time; after so many mistakes nobody reads it."""


@dataclass(frozen=True)
class LossUse:
    """How a scalar came to be a loss.

    plain      the loss before it was multiplied by its weight
    share      of a weight that changes, what it is at the moment
    uncertain  of one that is learned, the name of the weight that it follows from
    """

    loss: str
    plain: Value
    weight: float | Value | Made | str
    prediction: Value
    target: Value | None
    span: Span
    share: Value | None = None
    uncertain: str = ""


class Session:
    """One elaboration: what all files and blocks of it share.

    files     trees of the files read, by path; opening: those being read, outermost first
    losses    how the scalars that are losses came to be, by node and port
    scheduled  the weights of losses that follow a schedule, by the input that they are fed to
    weights   files to be loaded; shared: the shared layers, in order
    blocks    paths of the uses of each block, by its name
    unprepared  uses of specs that have a `preprocess` of their own
    slid      networks of crops, slid over pictures
    named     every tensor that got a name
    deferred  asserts about `weights`, which wait for the whole graph; parameters: how many numbers learn in it
    """

    def __init__(self, vocabulary: Vocabulary, reporter: Reporter, load: Callable[[str], Source]) -> None:
        self.vocabulary = vocabulary
        self.reporter = reporter
        self.load = load
        self.builder = Builder()
        self.files: dict[str, ast.File] = {}
        self.opening: list[str] = []
        self.losses: dict[tuple[str, int], LossUse] = {}
        self.scheduled: dict[str, Made] = {}
        self.weights: list[WeightsFile] = []
        self.shared: list[SharedWord] = []
        self.blocks: dict[str, list[str]] = {}
        self.unprepared: list[Unprepared] = []
        self.slid: list[Slid] = []
        self.named: list[Named] = []
        self.deferred: list[tuple[ast.Assert, Frame]] = []
        self.parameters: int | None = None
        self._broken: set[str] = set()
        self._depth = 0
        self._told_of_depth = False
        self._layers = 0
        self._told: set[tuple[str, str, int, int]] = set()
        self._words: frozenset[str] | None = None

    def tell(self, failed: Failed, frame: Frame) -> None:
        """Reports, with the chain of blocks. One place is told about once for each code, however often it is used."""
        for diagnostic in failed.diagnostics:
            span = diagnostic.span
            place = (diagnostic.code, *_place(span)) if span else (diagnostic.message, "", 0, 0)
            if place not in self._told:
                self._told.add(place)
                self.reporter.add(replace(diagnostic, chain=diagnostic.chain or frame.chain))

    def note(self, name: ast.NameDef, value: Value, frame: Frame, beside: Sequence[object] = ()) -> None:
        """Remembers that value got this name, and others got names beside it. Names of a spec that is used as a
        layer are nobody's here."""
        if frame.module.operands is None:
            top = not frame.chain and not frame.section
            others = tuple(part for part in beside if isinstance(part, Value))
            self.named.append(Named(name.name, value, name.span, top, frame.chain, others))

    def suggest(self, name: str, candidates: Iterable[str]) -> str:
        """A help text that names what was meant, or the empty string."""
        return did_you_mean(name, candidates) if len(self._told) < MAX_SUGGESTIONS else ""

    def count_layer(self, span: Span, frame: Frame) -> None:
        """Raises Exhausted when the spec is too large."""
        if self.parameters is not None:
            raise refuse("E0223", "an assert about `weights` is checked at the end, where nothing is built", span)
        self._layers += 1
        if self._layers > MAX_LAYERS:
            message = f"the spec asks for more than {MAX_LAYERS:,} layers"
            self.tell(refuse("E0402", message, span, help="repeat less, or nest fewer repetitions"), frame)
            raise Exhausted

    def descend(self, span: Span) -> None:
        """One level deeper; `ascend` follows whether this raises or not. Refuses E0403 once, then in silence."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.too_deep(f"more than {MAX_DEPTH} levels of brackets, blocks and models inside each other", span)

    def too_deep(self, message: str, span: Span) -> Failed:
        """E0403, the first time."""
        if self._told_of_depth:
            return told()
        self._told_of_depth = True
        return refuse("E0403", message, span, help="give the inner part a name of its own")

    def ascend(self) -> None:
        self._depth -= 1

    @contextmanager
    def apart(self) -> Iterator[Builder]:
        """Inside, what is built goes into a graph of its own."""
        around, self.builder = self.builder, Builder()
        try:
            yield self.builder
        finally:
            self.builder = around

    def parsed(self, path: str, source: Source) -> ast.File:
        """The tree of source, which is known by path from now on."""
        reporter = Reporter()
        self.files[path] = parse(source, reporter)
        for diagnostic in reporter.diagnostics:
            self.reporter.add(diagnostic)
            self._broken.add(source.path)
        return self.files[path]

    def is_lost(self, name: str, span: Span) -> bool:
        """Whether a definition of name near span could not be read: then the name is not to blame."""
        defined = rf"\b{re.escape(name)}\s*[=:,(]"
        return span.source.path in self._broken and re.search(defined, span.source.text) is not None

    @property
    def words(self) -> frozenset[str]:
        """Every bare word that some setting understands, `same`: they may pass through a block's settings."""
        if self._words is None:
            registries = self.vocabulary.registries.values()
            settings = [s for registry in registries for entry in registry.values() for s in entry.settings]
            self._words = frozenset(word for s in settings for word in s.domain.words)
        return self._words


def _place(span: Span) -> tuple[str, int, int]:
    return span.source.path, span.start, span.end


@dataclass
class Module:
    """A file being elaborated: the spec itself, or one used as a layer.

    given      what its params are set to, with the place, None for those set on the command line
    operands   for a file used as a layer, what flows into its inputs; None for the spec itself
    apart      it is built in a graph of its own, with inputs of its own
    scopes     by path of the scope around and name: where the layers of a definition are
    imported   what `use` takes of a file, by path: with its params set as in this file
    """

    source: Source
    given: Mapping[str, tuple[Any, Span | None]] = field(default_factory=dict)
    operands: Mapping[str, tuple[Value, Span]] | None = None
    apart: bool = False
    inputs: dict[str, Port] = field(default_factory=dict)
    targets: dict[str, Port] = field(default_factory=dict)
    outputs: dict[str, Value] = field(default_factory=dict)
    params: dict[str, Parameter] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)
    preprocess: list[Recipe] = field(default_factory=list)
    scopes: dict[tuple[str, str], str] = field(default_factory=dict)
    imported: dict[str, Names] = field(default_factory=dict)


@dataclass(frozen=True)
class Frame:
    """Where an expression stands.

    chain   uses of blocks that led here, innermost first, for messages; spans are their places
    blocks  paths of the blocks around, outermost first
    reuse   inside a further use of a shared layer; frozen: inside a model that does not learn
    slot    the kind of section key being read, None outside sections
    """

    session: Session
    module: Module
    names: Names
    scope: Scope
    chain: tuple[Use, ...] = ()
    spans: tuple[Span, ...] = ()
    blocks: tuple[str, ...] = ()
    reuse: bool = False
    frozen: bool = False
    section: bool = False
    slot: Slot | None = None

    def now(self) -> Frame:
        """The same for later: names defined from here on are not seen."""
        return replace(self, names=Names(self.names, len(self.names)))

    def at(self, scope: Scope) -> Frame:
        """The same, with layers named inside scope."""
        return replace(self, scope=scope)

    def used(self, word: str, span: Span, scope: Scope, names: Names, *, reuse: bool = False) -> Frame:
        """Inside a block (shared layer, model) called word, used at span. Raises E0403 where that is too deep."""
        if len(self.chain) >= MAX_USES:
            raise self.session.too_deep(f"more than {MAX_USES} blocks and models inside each other", span)
        return replace(
            self,
            names=names,
            scope=scope,
            chain=(Use(word, span), *self.chain),
            spans=(span, *self.spans),
            blocks=(*self.blocks, scope.path),
            reuse=self.reuse or reuse,
        )

    def place(self, word: str, settings: str, span: Span) -> Place:
        """Where a layer called word, written at span, is built."""
        scope = self.scope.numbered(word)
        shared = scope.weights if scope.weights != scope.path else ""
        layer = Layer(scope.path, word, settings, self.blocks, shared)
        return Place(scope.path, scope.weights, layer, (span, *self.spans), self.reuse, self.frozen)
