"""Specs elaborated with all the words that graphdsl has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphdsl import data, learn
from graphdsl.ir import SECTIONS
from graphdsl.lang import Spec, Vocabulary, elaborate
from graphdsl.report import Diagnostic, Reporter, Source, fail

VOCABULARY = Vocabulary.of(
    learn.METRICS,
    learn.OPTIMIZERS,
    learn.SCHEDULES,
    learn.CALLBACKS,
    data.READERS,
    data.AUGMENTS,
    data.STEPS,
    data.SOURCES,
    sections=SECTIONS,
)


def elaborated(
    text: str, settings: Mapping[str, Any] | None = None, files: Mapping[str, str] | None = None, path: str = "spec.dag"
) -> tuple[Spec, tuple[Diagnostic, ...]]:
    """The spec of a text, and what is wrong with it. files: the texts that `use` and `model` find."""
    texts = dict(files or {})

    def load(name: str) -> Source:
        if name not in texts:
            raise fail("E0114", f"cannot read `{name}`: no such file or directory")
        return Source(name, texts[name])

    reporter = Reporter()
    spec = elaborate(Source(path, text), VOCABULARY, settings or {}, reporter, load)
    return spec, reporter.diagnostics


def fine(text: str, settings: Mapping[str, Any] | None = None, files: Mapping[str, str] | None = None) -> Spec:
    """The spec of a text in which nothing may be wrong."""
    spec, diagnostics = elaborated(text, settings, files)
    assert not diagnostics, [f"{d.span}: {d.code} {d.message}" for d in diagnostics]
    return spec
