"""Frozen classes behave as the standard library's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from graphdsl.report import dataclass


def _classes() -> list[type]:
    made: list[type] = []
    for decorator in (dataclasses.dataclass, dataclass):

        class Point:
            x: int
            y: int = 2
            note: str = dataclasses.field(default="", compare=False)

        class Deep:
            inside: Any
            more: tuple[int, ...] = ()

        Point.__qualname__, Deep.__qualname__ = "Point", "Deep"
        made += [decorator(frozen=True)(Point), decorator(frozen=True)(Deep)]
    return made


STANDARD, STANDARD_DEEP, OURS, OURS_DEEP = _classes()


@pytest.mark.parametrize(("point", "deep"), [(STANDARD, STANDARD_DEEP), (OURS, OURS_DEEP)])
def test_values_are_equal_hashed_and_shown(point: Any, deep: Any) -> None:
    assert point(1) == point(1, 2, note="other")
    assert point(1) != point(1, 3)
    assert point(1) != (1, 2)
    assert hash(point(1)) == hash(point(1, note="other"))
    assert {deep(point(1)), deep(point(1), ())} == {deep(point(1))}
    assert repr(deep(point(1), (3,))) == "Deep(inside=Point(x=1, y=2, note=''), more=(3,))"
    assert dataclasses.replace(point(1), x=5) == point(5)


@pytest.mark.parametrize("point", [STANDARD, OURS])
def test_values_do_not_change(point: Any) -> None:
    value = point(1)
    for change in (lambda: setattr(value, "x", 2), lambda: setattr(value, "z", 2), lambda: delattr(value, "x")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert value == point(1)


def test_what_a_class_defines_itself_stays() -> None:
    @dataclass(frozen=True)
    class Loud:
        x: int

        def __hash__(self) -> int:
            return 7

        def __repr__(self) -> str:
            return "loud"

    assert (hash(Loud(1)), repr(Loud(1))) == (7, "loud")
