"""Learning rates at moments worked out by hand."""

from __future__ import annotations

import pytest

from graphdsl.ir import Made
from graphdsl.learn import SCHEDULES, Moment, Schedule, schedule_of

PER_EPOCH, TOTAL = 10, 100


def rate(name: str, step: int, **settings: object) -> float:
    schedule: Schedule = SCHEDULES[name].make(**settings)
    return schedule.rate(Moment(step, PER_EPOCH, TOTAL))


@pytest.mark.parametrize(
    ("name", "settings", "step", "expected"),
    [
        ("steps", {"base": 0.1, "at": (3, 6)}, 29, 0.1),
        ("steps", {"base": 0.1, "at": (3, 6)}, 30, 0.01),
        ("steps", {"base": 0.1, "at": (3, 6)}, 99, 0.001),
        ("steps", {"base": 0.1, "at": (25,), "factor": 0.5, "by": "steps"}, 25, 0.05),
        ("cosine", {"base": 0.1}, 0, 0.1),
        ("cosine", {"base": 0.1, "floor": 0.02}, 50, 0.06),
        ("cosine", {"base": 0.1, "floor": 0.02}, 100, 0.02),
        ("cosine", {"base": 0.1, "floor": 0.02}, 500, 0.02),
        ("exponential", {"base": 1.0, "factor": 0.5}, 29, 0.25),
        ("exponential", {"base": 1.0, "factor": 0.5, "every": 2}, 29, 0.5),
        ("exponential", {"base": 1.0, "factor": 0.5, "by": "steps"}, 3, 0.125),
        ("poly", {"base": 0.4}, 25, 0.3),
        ("poly", {"base": 0.4, "power": 2.0}, 50, 0.1),
        ("warmup", {"then": 0.2, "lasting": 2}, 0, 0.01),
        ("warmup", {"then": 0.2, "lasting": 2}, 19, 0.2),
        ("warmup", {"then": 0.2, "lasting": 4, "by": "steps"}, 1, 0.1),
        ("warmup", {"then": SCHEDULES["cosine"].make(base=0.1), "lasting": 1}, 50, 0.05),
    ],
)
def test_rate(name: str, settings: dict[str, object], step: int, expected: float) -> None:
    assert rate(name, step, **settings) == pytest.approx(expected)


def test_a_number_never_changes() -> None:
    assert schedule_of(0.3).rate(Moment(99, 10, 100)) == 0.3


def test_signature_is_that_of_the_language() -> None:
    settings = SCHEDULES["steps"].settings
    assert [s.name for s in settings] == ["base", "at", "factor", "by"]
    inner = Made("schedule", "cosine", (("base", 0.1),))
    (then,) = [s for s in SCHEDULES["warmup"].settings if s.name == "then"]
    assert then.domain.accept(inner) == inner
    assert then.domain.accept(0.1) == 0.1
