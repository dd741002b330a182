"""Activations and normalisations of several operators, and their gradients, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array
from tests.support.layers import Case, cases, check, first, numbers_of, wave

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


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(ELEMENTWISE))
def test_elementwise(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


def _mean_variance(axes: tuple[int, ...], eps: float) -> Callable[..., Any]:
    def run(torch: Any, x0: Any) -> Any:
        variance, mean = torch.var_mean(x0, axes, correction=0, keepdim=True)
        return (x0 - mean) / (variance.sqrt() + eps)

    return run


PAIR = {"gamma": wave(4, speed=0.3), "beta": wave(4, speed=0.7)}
WIDE, LINE = {"x0": wave(2, 3, 5, 4)}, {"x0": wave(2, 6, 4)}
NORMS: list[Case] = [
    (
        "instance_norm",
        {**WIDE, **PAIR},
        {"eps": 1e-3},
        first(lambda torch, x, gamma, beta: torch.nn.functional.instance_norm(x, weight=gamma, bias=beta, eps=1e-3)),
    ),
    (
        "instance_norm",
        LINE,
        {"scale": False, "center": False},
        first(lambda torch, x: torch.nn.functional.instance_norm(x)),
    ),
    *(
        (
            "group_norm",
            {**arrays, **PAIR},
            {"groups": groups},
            first(lambda torch, x, gamma, beta, g=groups: torch.nn.functional.group_norm(x, g, gamma, beta)),
        )
        for arrays in (WIDE, LINE, {"x0": wave(3, 4)})
        for groups in (1, 2)
    ),
    (
        "layer_norm",
        {**WIDE, "gamma": wave(5, 4, speed=0.3), "beta": wave(5, 4)},
        {"axis": 1},
        lambda torch, x0, gamma, beta: torch.nn.functional.layer_norm(x0, (5, 4), gamma, beta),
    ),
    (
        "layer_norm",
        WIDE,
        {"axis": 0, "scale": False, "center": False},
        lambda torch, x0: torch.nn.functional.layer_norm(x0, (3, 5, 4)),
    ),
    ("mean_variance_norm", WIDE, {"eps": 1e-3}, _mean_variance((1, 2), 1e-3)),
    ("mean_variance_norm", WIDE, {"axes": (-1, 0)}, _mean_variance((1, 3), 1e-9)),
    ("mean_variance_norm", WIDE, {"variance": False}, lambda torch, x0: x0 - x0.mean((1, 2), keepdim=True)),
    ("l2_normalize", WIDE, {}, lambda torch, x0: torch.nn.functional.normalize(x0, dim=-1)),
    ("l2_normalize", WIDE, {"eps": 3.0}, lambda torch, x0: torch.nn.functional.normalize(x0, dim=-1, eps=3.0)),
    ("l2_normalize", WIDE, {"axes": (0, 1)}, lambda torch, x0: torch.nn.functional.normalize(x0, dim=(1, 2))),
    *(
        (
            "local_response_norm",
            {"x0": wave(2, 3, 3, 7)},
            {"size": size, "alpha": 0.5, "beta": 0.75, "bias": 2.0},
            first(lambda torch, x, n=size: torch.nn.functional.local_response_norm(x, n, 0.5, 0.75, 2.0)),
        )
        for size in (1, 3, 5)
    ),
    (
        "local_response_norm",
        WIDE,
        {"size": 3, "alpha": 0.5, "over": "places"},
        first(
            lambda torch, x: (
                x * (1 + 0.5 * torch.nn.functional.avg_pool2d(x * x, 3, 1, 1, count_include_pad=True)) ** -0.75
            )
        ),
    ),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(NORMS))
def test_norms(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


@pytest.mark.parametrize("size", [2, 4])
def test_an_even_window_of_neighbours_reaches_further_behind(size: int) -> None:
    x = np.eye(6)[:1]
    (y,) = numbers_of("local_response_norm", {"x0": x[:, ::-1].copy()}, size=size, alpha=1.0, beta=1.0)
    (z,) = numbers_of("local_response_norm", {"x0": np.ones((1, 6))}, size=size, alpha=float(size), beta=-1.0)
    before, behind = (size - 1) // 2, size // 2
    seen = [1 + min(i, before) + min(5 - i, behind) for i in range(6)]
    np.testing.assert_allclose(z[0], 1 + np.array(seen), rtol=1e-6)
    assert y[0, -1] == pytest.approx(1 / (1 + 1 / size))
