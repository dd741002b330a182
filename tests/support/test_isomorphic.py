"""The comparison of graphs can tell what differs, and only that."""

from __future__ import annotations

import pytest

from graphdsl.model import Model
from graphdsl.report import Source
from tests.support.isomorphic import canonical

TEXT = "input x: float[8, 8, 3]\noutput y = x -> conv(4, 3) -> batch_norm -> relu -> flatten -> dense(5)"


def lines(text: str) -> tuple[str, ...]:
    return canonical(Model(Source("spec.dag", text)).graph)


@pytest.mark.parametrize(
    "text",
    [
        "input i: float[8, 8, 3]\na = i -> conv(4, 3)\noutput z = a -> batch_norm -> relu -> flatten -> dense(5)",
        "block b = in -> conv(4, 3, pad=0) -> batch_norm(momentum=0.5) -> relu\ninput x: float[8, 8, 3]\n"
        "unread = x -> conv(4, 3)\noutput y = x -> b -> dropout(0.5) -> reshape(6x24) -> flatten -> dense(5)",
    ],
)
def test_names_and_what_does_not_act_are_no_difference(text: str) -> None:
    assert lines(text) == lines(TEXT)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("8, 8", "8, 9"),
        ("4, 3)", "4, 2)"),
        ("3)", "3, pad=1)"),
        ("batch_norm", "batch_norm(eps=1e-3)"),
        ("relu", "elu"),
    ],
)
def test_sizes_and_settings_are(old: str, new: str) -> None:
    assert lines(TEXT.replace(old, new)) != lines(TEXT)


def test_formulas_may_be_cut_anywhere() -> None:
    begun = "input a, b, c: float[3]\noutput y = "
    assert lines(begun + "a + b + c") == lines(begun + "[a, b, c] -> add") != lines(begun + "a + (b + c)")
    assert lines(begun + "a - b") != lines(begun + "b - a + 0 * c")


def test_operands_keep_their_order() -> None:
    begun = "input a, b: float[3]\nc = a -> dense(2)\nd = b -> dense(2) -> relu\noutput y = "
    assert lines(begun + "c - d") != lines(begun + "d - c")


def test_two_sets_of_weights_are_not_one() -> None:
    begun = "input a, b: float[3]\n"
    twice = lines(begun + "output y = [a -> dense(2), b -> dense(2)] -> add")
    assert twice != lines(begun + "shared d = dense(2)\noutput y = [a -> d, b -> d] -> add")
