"""The one layout: what it looks like, that it changes no meaning, and that doing it twice changes nothing."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from graphdsl.lang import format_text
from graphdsl.report import Failed, Source
from tests.support.spelling import SPECS, comments, respaced, tree


def laid_out(text: str) -> str:
    return format_text(Source("t.dag", text))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_examples_stay_as_they_are(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert laid_out(text) == text


@pytest.mark.parametrize("seed", range(300))
def test_keeps_tree_and_comments_and_is_idempotent(seed: int) -> None:
    chance = random.Random(seed)
    text = respaced(chance.choice(SPECS).read_text(encoding="utf-8"), chance)
    once = laid_out(text)
    assert tree(once) == tree(text)
    assert comments(once) == comments(text)
    assert laid_out(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("\n\n", ""),
        ("y=x->relu", "y = x -> relu\n"),
        ("y = x ->relu( 3 ,a = 1 , )", "y = x -> relu(3, a=1)\n"),
        ("y = [ a,b, ]->add", "y = [a, b] -> add\n"),
        ("y = - a+b* c - 4*d / e", "y = -a + b * c - 4*d / e\n"),
        ("y = x -> f(3)*2 -> g*(n-1)", "y = x -> f(3) * 2 -> g * (n - 1)\n"),
        ("y = 2 ** 3", "y = 2**3\n"),
        ("input x:int( 10 ) [ T ]", "input x: int(10)[T]\n"),
        ("param a = 1 in[1,2]", "param a = 1 in [1, 2]\n"),
        ("a = 1 bc = 2\n\n\nd = 3", "a  = 1\nbc = 2\n\nd = 3\n"),
        ("param a = 1 param bc = 2 y = 3", "param a  = 1\nparam bc = 2\ny = 3\n"),
        ("input a: float target b: float", "input  a: float\ntarget b: float\n"),
        ("a = 1\n" + "b" * 30 + " = 2", "a = 1\n" + "b" * 30 + " = 2\n"),
        ("train{a=1 b=2}", "train { a = 1  b = 2 }\n"),
        ("train x{\n}", "train x {\n}\n"),
        ("train x{}", "train x {}\n"),
        ("train{a=1\nbc=2}", "train {\n  a  = 1\n  bc = 2\n}\n"),
        ("train{step{a=1}\n}", "train {\n  step { a = 1 }\n}\n"),
        ("y = x\n->a->b\n->c", "y = x\n  -> a -> b\n  -> c\n"),
        ("y = [\na,b]", "y = [\n  a,\n  b,\n]\n"),
        ("y = [\na,b] -> add", "y = [\n    a,\n    b,\n  ] -> add\n"),
        ("y = [\n[a,b] -> mse,[cd,e] -> mse(3)]", "y = [\n  [a,  b] -> mse,\n  [cd, e] -> mse(3),\n]\n"),
        ("# a\n\n\n# b\ny = 1# c\n# d", "# a\n\n# b\ny = 1  # c\n# d\n"),
        ("train { # a\n# b\nc = 1 # d\n# e\n}", "train {  # a\n  # b\n  c = 1  # d\n  # e\n}\n"),
        ("y = x # a\n-> b\n# c\n-> d", "y = x  # a\n  -> b\n  # c\n  -> d\n"),
        ("y = # a\nx -> b", "# a\ny = x -> b\n"),
    ],
)
def test_layout(text: str, expected: str) -> None:
    assert laid_out(text) == expected


def test_long_definitions_are_broken() -> None:
    stage = "conv(64, 3, pad=same)"
    text = "\n".join(
        [
            "y = " + " -> ".join(["image", *[stage] * 7]),
            "z = [" + ", ".join(["some_name"] * 12) + "] -> add",
            "w = if " + " and ".join(["some_name == 1"] * 4) + " then image -> " + stage + " else image -> " + stage,
            "v = " + " + ".join(["some_name"] * 12),
            "u = photo(" + ", ".join(["some_name"] * 12) + ")",
        ]
    )
    lines = laid_out(text).splitlines()
    assert max(map(len, lines)) <= 110
    assert [line for line in lines if not line.startswith(" ")] == [
        "y = image " + f"-> {stage} " * 3 + f"-> {stage}",
        "z = [",
        "w = if some_name == 1 and some_name == 1 and some_name == 1 and some_name == 1",
        "v = " + " + ".join(["some_name"] * 9),
        "u = photo(",
        ")",
    ]
    assert laid_out("\n".join(lines)) == "\n".join(lines) + "\n"


def test_a_text_with_mistakes_is_left_alone() -> None:
    with pytest.raises(Failed) as failed:
        laid_out("a = \nb = [")
    assert [d.code for d in failed.value.diagnostics] == ["E0110", "E0104"]


@pytest.mark.parametrize(
    "text",
    [
        "y = x" + " -> relu(3)" * 10_000,
        "y = [" + "[a, b], " * 10_000 + "]",
        "y = " + "a + " * 10_000 + "b",
        "y = " + "[if a then b -> foo(x, y) else b or c and d + " * 31 + "z" + "]" * 31,
        "train { " * 64 + "}" * 64,
    ],
    ids=["pipe", "list", "sum", "choices", "sections"],
)
def test_length_and_depth_take_no_stack_and_little_time(text: str) -> None:
    began = time.perf_counter()
    once = laid_out(text)
    assert time.perf_counter() - began < 10  # under two seconds where nothing else runs
    assert laid_out(once) == once
