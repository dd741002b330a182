"""Specs elaborated with all the words that graphdsl has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from graphdsl import data, learn, ops
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
    sections=SECTIONS,
)
assert ops.LOSS_WEIGHT

Told = tuple[Spec, tuple[Diagnostic, ...]]


def elaborated(text: str, settings: dict[str, Any] | None = None, files: dict[str, str] | None = None) -> Told:
    """The spec of a text, and what is wrong with it. files: the texts that `use` and `model` find."""

    def load(path: str) -> Source:
        if path not in (files or {}):
            raise fail("E0114", f"cannot read `{path}`: no such file or directory")
        return Source(path, (files or {})[path])

    reporter = Reporter()
    spec = elaborate(Source("spec.dag", text), VOCABULARY, settings or {}, reporter, load)
    return spec, reporter.diagnostics


@pytest.fixture
def told() -> Callable[..., Told]:
    """elaborated(text, settings, files): the spec and the diagnostics."""
    return elaborated


@pytest.fixture
def fine() -> Callable[..., Spec]:
    """The spec of a text in which nothing is wrong."""

    def check(text: str, settings: dict[str, Any] | None = None, files: dict[str, str] | None = None) -> Spec:
        spec, diagnostics = elaborated(text, settings, files)
        assert not diagnostics, diagnostics
        return spec

    return check
