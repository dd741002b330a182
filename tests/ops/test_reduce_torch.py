"""Layers that reduce, choose places and repeat, and their gradients, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array, TypeRuleError
from tests.support.layers import Case, cases, check, numbers_of, wave

CUBE = {"x0": wave(2, 4, 5, 3)}
PLACES = np.array([[1, 0, 2, 2], [3, 3, 1, 0]], np.int32)


def _wide(shape: tuple[int, ...], below: int) -> Array:
    return (np.arange(np.prod(shape)) * 7 % below).astype(np.int32).reshape(shape)


def _all(name: str, **more: Any) -> Callable[..., Any]:
    return lambda torch, x0: getattr(torch, name)(x0, **more)


REDUCTIONS: list[Case] = [
    ("reduce_min", CUBE, {"axes": (0,)}, _all("amin", dim=1)),
    ("reduce_min", CUBE, {"axes": (0, -1), "keep": True}, _all("amin", dim=(1, 3), keepdim=True)),
    ("reduce_prod", CUBE, {"axes": (1,)}, _all("prod", dim=2)),
    ("reduce_prod", CUBE, {"axes": (-1,), "keep": True}, _all("prod", dim=3, keepdim=True)),
    ("reduce_prod", CUBE, {}, lambda torch, x0: x0.reshape(2, -1).prod(1)),
    ("reduce_prod", {"x0": wave(2, 5).clip(0)}, {}, lambda torch, x0: x0.prod(1)),
    ("reduce_logsumexp", CUBE, {"axes": (0, 1)}, _all("logsumexp", dim=(1, 2))),
    ("reduce_logsumexp", {"x0": wave(2, 6) * 500}, {"keep": True}, _all("logsumexp", dim=1, keepdim=True)),
    ("reduce_l1", CUBE, {"axes": (1,)}, lambda torch, x0: x0.abs().sum(2)),
    ("reduce_l2", CUBE, {"axes": (1, 2)}, lambda torch, x0: x0.norm(dim=(2, 3))),
    ("reduce_l2", {"x0": np.zeros((2, 3))}, {}, lambda torch, x0: x0.norm(dim=1)),
    ("reduce_l2", CUBE, {"axes": (0,), "keep": True}, lambda torch, x0: x0.norm(dim=1, keepdim=True)),
    ("cumsum", CUBE, {"axis": 1}, _all("cumsum", dim=2)),
]
CHOICES: list[Case] = [
    ("argmax", CUBE, {}, lambda torch, x0: x0.argmax(3).int()),
    ("argmax", CUBE, {"axis": 0, "keep": True}, lambda torch, x0: x0.argmax(1, keepdim=True).int()),
    ("argmin", CUBE, {"axis": 1}, lambda torch, x0: x0.argmin(2).int()),
    ("hardmax", CUBE, {"axis": 1}, lambda torch, x0: torch.nn.functional.one_hot(x0.argmax(2), 5).movedim(-1, 2)),
    ("top_k", CUBE, {"k": 2, "axis": 0}, lambda torch, x0: tuple(x0.topk(2, 1))),
    ("top_k", CUBE, {"k": 3, "largest": False}, lambda torch, x0: tuple(x0.topk(3, 3, largest=False))),
    ("take", CUBE, {"places": (3, -1, 0, 3), "axis": 0}, lambda torch, x0: x0[:, [3, 3, 0, 3]]),
    (
        "gather",
        {"x0": wave(2, 4, 5), "x1": PLACES},
        {"below": 4},
        lambda torch, x0, x1: torch.stack([x[i.long()] for x, i in zip(x0, x1, strict=True)]),
    ),
    (
        "gather",
        {"x0": wave(2, 3, 4, 5), "x1": PLACES.reshape(2, 2, 2)},
        {"below": 4, "axis": 1},
        lambda torch, x0, x1: torch.stack([x[:, i.long()] for x, i in zip(x0, x1, strict=True)]),
    ),
    (
        "gather",
        {"x0": wave(2, 4, 5), "x1": PLACES[:, 0]},
        {"below": 4, "axis": 1},
        lambda torch, x0, x1: torch.stack([x[:, i.long()] for x, i in zip(x0, x1, strict=True)]),
    ),
    (
        "gather_elements",
        {"x0": wave(2, 4, 5, 3), "x1": _wide((2, 4, 2, 3), 5)},
        {"below": 5, "axis": 1},
        lambda torch, x0, x1: x0.gather(2, x1.long()),
    ),
    (
        "scatter_elements",
        {"x0": wave(2, 4, 5), "x1": np.array([[[1, 0]] * 4, [[3, 2]] * 4], np.int32), "x2": wave(2, 4, 2, speed=0.3)},
        {"below": 5},
        lambda torch, x0, x1, x2: x0.scatter(2, x1.long(), x2),
    ),
    (
        "scatter_elements",
        {"x0": wave(2, 4, 5), "x1": _wide((2, 6, 5), 4), "x2": wave(2, 6, 5, speed=0.3)},
        {"below": 4, "axis": 0, "join": "add"},
        lambda torch, x0, x1, x2: x0.scatter_add(1, x1.long(), x2),
    ),
    ("stretch", {"x0": wave(2, 1, 3)}, {"shape": (4, 5, 3)}, lambda torch, x0: x0[:, None].expand(2, 4, 5, 3)),
    ("tile", {"x0": wave(2, 2, 3)}, {"times": (2, 3)}, lambda torch, x0: x0.tile(1, 2, 3)),
    (
        "matmul",
        {"x0": wave(2, 4, 3), "x1": wave(2, 5, 3, speed=0.3)},
        {"transpose_y": True},
        lambda torch, x0, x1: x0 @ x1.mT,
    ),
    ("to_int", CUBE, {"classes": 2}, lambda torch, x0: x0.clamp(0, 1).int()),
    ("to_float", {"x0": PLACES}, {"below": 4}, lambda torch, x0: x0.float()),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(REDUCTIONS))
def test_reductions(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(CHOICES))
def test_choices(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


def test_a_logsumexp_of_infinities() -> None:
    x = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [0.0, -np.inf]])
    (y,) = numbers_of("reduce_logsumexp", {"x0": x})
    np.testing.assert_array_equal(y, [-np.inf, np.inf, 0.0])


@pytest.mark.parametrize(("last", "expected"), [(False, [1, 0, 1]), (True, [2, 2, 1])])
def test_equal_numbers_and_nan(last: bool, expected: list[int]) -> None:
    x = np.array([[1.0, 3.0, 3.0], [0.0, 0.0, 0.0], [5.0, np.nan, 9.0]])
    (y,) = numbers_of("argmax", {"x0": x}, last=last)
    np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("name", "arrays", "settings", "code"),
    [
        ("top_k", {"x0": wave(2, 3)}, {"k": 4}, "E0305"),
        ("take", {"x0": wave(2, 3)}, {"places": (3,)}, "E0305"),
        ("gather", {"x0": wave(2, 3), "x1": wave(2, 3)}, {}, "E0303"),
        ("gather", {"x0": wave(2, 3), "x1": PLACES}, {"below": 4}, "E0303"),
        ("gather_elements", {"x0": wave(2, 5, 4), "x1": PLACES}, {"below": 4}, "E0301"),
        ("stretch", {"x0": wave(2, 2, 3)}, {"shape": (4, 3)}, "E0305"),
        ("tile", {"x0": wave(2, 2, 3)}, {"times": (2,)}, "E0305"),
        ("matmul", {"x0": wave(2, 3), "x1": wave(2, 3)}, {}, "E0301"),
    ],
)
def test_refusals(name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], code: str) -> None:
    with pytest.raises(TypeRuleError) as caught:
        numbers_of(name, arrays, **settings)
    assert caught.value.code == code
