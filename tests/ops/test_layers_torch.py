"""Layers of several operators, and their gradients, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from graphdsl.ir import Array
from tests.support.layers import check, wave

Case = tuple[str, Mapping[str, Array], Mapping[str, Any], Callable[..., Any]]

ELEMENTWISE: list[Case] = [
    (
        "prelu",
        {"x0": wave(2, 4, 3), "slope": wave(3, speed=0.3)},
        {},
        lambda torch, x0, slope: torch.prelu(x0.movedim(-1, 1), slope).movedim(1, -1),
    ),
    ("prelu", {"x0": wave(2, 3), "slope": wave()}, {"per": "tensor"}, lambda torch, x0, slope: torch.prelu(x0, slope)),
    (
        "prelu",
        {"x0": wave(2, 4, 3), "slope": wave(4, 3)},
        {"per": "element"},
        lambda torch, x0, slope: torch.where(x0 > 0, x0, x0 * slope),
    ),
    (
        "scale",
        {"x0": wave(2, 4, 3), "gamma": wave(3), "beta": wave(3, speed=0.3)},
        {},
        lambda torch, x0, gamma, beta: x0 * gamma + beta,
    ),
    ("scale", {"x0": wave(2, 4, 3), "beta": wave(3)}, {"scale": False}, lambda torch, x0, beta: x0 + beta),
    (
        "scale",
        {"x0": wave(2, 3), "gamma": wave()},
        {"center": False, "per": "tensor"},
        lambda torch, x0, gamma: x0 * gamma,
    ),
    ("softmax", {"x0": wave(2, 4, 3)}, {"axis": 0}, lambda torch, x0: torch.softmax(x0, 1)),
    ("softmax", {"x0": wave(2, 4, 3)}, {"temperature": 2.0}, lambda torch, x0: torch.softmax(x0 / 2, 2)),
    ("log_softmax", {"x0": wave(2, 4, 3)}, {}, lambda torch, x0: torch.log_softmax(x0, 2)),
    ("log_softmax", {"x0": 500 * wave(2, 4, 3)}, {"axis": -2}, lambda torch, x0: torch.log_softmax(x0, 1)),
]


def _ids(cases: list[Case]) -> list[Any]:
    return [pytest.param(*case, id=f"{case[0]}-{number}") for number, case in enumerate(cases)]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), _ids(ELEMENTWISE))
def test_elementwise(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)
