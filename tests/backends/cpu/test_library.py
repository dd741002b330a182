"""Which kernels are loaded, and what is said where there are none."""

from __future__ import annotations

import pytest

from graphdsl.backends import registry
from graphdsl.backends.cpu import library
from graphdsl.backends.cpu.build import instruction_sets
from graphdsl.backends.cpu.library import BUILT, available, chosen, load
from graphdsl.report import Failed


def test_every_instruction_set_has_its_own_vectors() -> None:
    lanes = {isa: load(isa).lanes for isa in available()}
    assert list(lanes.values()) == sorted(lanes.values(), reverse=True)
    assert {BUILT.get(isa, isa) for isa in lanes} <= set(instruction_sets())


def test_tiles_are_taken_only_where_they_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sets in one library: `avx512` is what a processor without tiles runs."""
    for isa in available():
        monkeypatch.setenv("GRAPHDSL_ISA", isa)
        assert (chosen().isa, chosen().tiles) == (isa, isa == "amx")


def test_tiles_that_the_system_does_not_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_granted", lambda: False)
    assert "amx" not in available()


@pytest.mark.triggers("E0806")
def test_an_instruction_set_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHDSL_ISA", "abacus")
    with pytest.raises(Failed, match=r"E0806.*`abacus`"):
        chosen()


@pytest.mark.usefixtures("fresh_backends")
def test_without_kernels_the_reference_serves_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(registry, "available", lambda: ())
    assert registry.backend("auto").name == "reference"
    assert "without compiled kernels" in capsys.readouterr().err


def test_without_kernels_cpu_cannot_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "available", lambda: ())
    with pytest.raises(Failed, match=r"E0806.*install a C compiler"):
        chosen()


def test_kernels_of_another_version_are_refused() -> None:
    some = load(available()[0])
    with pytest.raises(Failed, match=r"E0806.*older"):
        some.function("a_kernel_of_tomorrow")
