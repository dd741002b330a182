"""From a train section to a plan: defaults, what learns, and every mistake at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphdsl
from graphdsl.learn import Plan
from graphdsl.report import Failed

CASES = Path(__file__).parent / "cases"
MARK = re.compile(r"(E\d{4})@(\d+)")

SPEC = """
input  x: float[4]
target label: int(3)
body = x -> dense(6) -> batch_norm
head = body -> dense(3) -> softmax
output class = head
train { loss = [class, label] -> categorical_crossentropy %s }
"""


def plan(settings: str, folder: Path) -> Plan:
    path = folder / "spec.dag"
    path.write_text(SPEC % settings)
    (found,) = graphdsl.compile(path).plans
    return found


@pytest.mark.parametrize("path", sorted(CASES.glob("*.dag")), ids=lambda p: p.stem)
def test_mistakes(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), 1)
    marks = {(n, code, int(column)) for n, line in lines if "#!" in line for code, column in MARK.findall(line)}
    with pytest.raises(Failed) as caught:
        graphdsl.compile(path)
    spans = [(d.span, d.code) for d in caught.value.diagnostics]
    assert {(s.line, code, s.column) for s, code in spans if s} == marks
    assert len(spans) == len(marks)


def test_what_is_not_written(tmp_path: Path) -> None:
    found = plan("", tmp_path)
    assert (found.name, found.epochs, found.steps, found.seed) == ("train", 10, None, 0)
    assert type(found.objectives[0].optimizer).__name__ == "RmsProp"
    assert found.objectives[0].terms[0].weight == 1


def test_all_trainable_weights_learn_unless_something_is_said(tmp_path: Path) -> None:
    head = {"head/dense_1/kernel", "head/dense_1/bias"}
    body = {"body/dense_1/kernel", "body/dense_1/bias", "body/batch_norm_1/gamma", "body/batch_norm_1/beta"}
    assert set(plan("", tmp_path).objectives[0].learn) == head | body
    assert set(plan("learn = head", tmp_path).objectives[0].learn) == head
    assert set(plan("freeze = head", tmp_path).objectives[0].learn) == body
    assert set(plan('freeze = [body, "head/dense_1/bias"]', tmp_path).objectives[0].learn) == {"head/dense_1/kernel"}


def test_schedules_are_built_inside_optimizers(tmp_path: Path) -> None:
    optimizer = plan("optimizer = sgd(lr=warmup(cosine(0.1), 2), momentum=0.9)", tmp_path).objectives[0].optimizer
    assert str(optimizer.schedule) == "Warmup(then=Cosine(base=0.1, floor=0.0), lasting=2, by='epochs')"


def test_numbers_have_names_of_their_own(tmp_path: Path) -> None:
    found = plan("metrics = [[class, label] -> top(1), [class, label] -> top(2), [class, label] -> top(2)]", tmp_path)
    assert [w.name for w in found.watches] == ["class.top_1", "class.top_2", "class.top_2_2"]
    assert found.higher == {n for w in found.watches for n in (w.name, f"valid.{w.name}")}


def test_valid_twice(tmp_path: Path) -> None:
    path = tmp_path / "spec.dag"
    data = 'data = digits(part="train", valid=0.1) valid = digits(part="test")'
    path.write_text(
        (SPEC % data)
        .replace("float[4]", "float[8, 8, 1]")
        .replace("x -> dense", "x -> flatten -> dense")
        .replace("(3)", "(10)")
    )
    with pytest.raises(Failed, match=r"E0612.*`valid`"):
        graphdsl.compile(path).fit(runs=None, shown=False)
