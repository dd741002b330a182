"""Resizing, pools and paddings, and their gradients, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array, Sides
from tests.support.layers import Case, cases, check, wave


def _interpolated(**settings: Any) -> Callable[..., Any]:
    """PyTorch's way, on features last."""

    def run(torch: Any, x0: Any) -> Any:
        return torch.nn.functional.interpolate(x0.movedim(-1, 1), **settings).movedim(1, -1)

    return run


PICTURE = {"x0": wave(2, 5, 6, 3)}
SIZES: list[Case] = [
    *(
        ("resize", PICTURE, {"size": size, "mode": "linear"}, _interpolated(size=size, mode="bilinear"))
        for size in ((10, 12), (7, 4), (1, 1), (3, 9))
    ),
    *(
        (
            "resize",
            PICTURE,
            {"size": size, "mode": mode, "align": "corners"},
            _interpolated(size=size, mode=f"bi{mode}", align_corners=True),
        )
        for size in ((10, 12), (2, 4), (1, 1))
        for mode in ("linear", "cubic")
    ),
    *(
        ("resize", PICTURE, {"size": size, "mode": "cubic"}, _interpolated(size=size, mode="bicubic"))
        for size in ((10, 12), (7, 4), (1, 1))
    ),
    *(
        (
            "resize",
            PICTURE,
            {"size": size, "mode": mode, "antialias": True, "exclude_outside": True, "cubic": -0.5},
            _interpolated(size=size, mode=f"bi{mode}", antialias=True),
        )
        for size in ((2, 4), (3, 9))
        for mode in ("linear", "cubic")
    ),
    *(
        (
            "resize",
            PICTURE,
            {"size": size, "align": "asymmetric", "nearest": "floor"},
            _interpolated(size=size, mode="nearest"),
        )
        for size in ((10, 12), (7, 4), (1, 1))
    ),
    *(
        ("resize", PICTURE, {"size": size, "nearest": "prefer_ceil"}, _interpolated(size=size, mode="nearest-exact"))
        for size in ((10, 12), (7, 4), (1, 1))
    ),
    (
        "resize",
        PICTURE,
        {"scale": (1.5, 0.7), "mode": "linear"},
        _interpolated(scale_factor=(1.5, 0.7), mode="bilinear"),
    ),
    (
        "resize",
        {"x0": wave(2, 5, 3)},
        {"scale": (2.6,), "mode": "linear"},
        _interpolated(scale_factor=2.6, mode="linear"),
    ),
    ("upsample", PICTURE, {"factor": 3, "method": "bilinear"}, _interpolated(scale_factor=3, mode="bilinear")),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(SIZES))
def test_sizes(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


def _pooled(call: str, **settings: Any) -> Callable[..., Any]:
    def run(torch: Any, x0: Any) -> Any:
        return getattr(torch.nn.functional, call)(x0.movedim(-1, 1), **settings).movedim(1, -1)

    return run


def _pools() -> list[Case]:
    """Windows that hang over, with gaps, with padding that counts and that does not."""
    picture = {"x0": wave(2, 7, 8, 3)}
    made: list[Case] = []
    for size, stride, pad, ceil in (
        (3, 2, 1, True),
        (2, 3, 0, True),
        (3, 2, 0, True),
        (2, 2, 1, True),
        (3, 2, 1, False),
        (2, 3, 0, False),
    ):
        ours, theirs = {"size": size, "stride": stride, "pad": pad, "ceil": ceil}, (stride, pad)
        torch_ones = {"kernel_size": size, "stride": theirs[0], "padding": theirs[1], "ceil_mode": ceil}
        made.append(("max_pool", picture, ours, _pooled("max_pool2d", **torch_ones)))
        made += [
            ("avg_pool", picture, ours | {"count_padding": c}, _pooled("avg_pool2d", **torch_ones, count_include_pad=c))
            for c in (True, False)
        ]
        if not (pad or ceil):
            given = {"kernel_size": size, "stride": stride, "ceil_mode": ceil}
            made += [
                ("lp_pool", picture, ours | {"p": p}, _pooled("lp_pool2d", norm_type=p, **given))
                for p in (1.0, 2.0, 3.0)
            ]
    for gaps in (2, (1, 2)):
        dilated = {"size": 3, "stride": 2, "pad": 1, "dilation": gaps}
        theirs_too = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": gaps}
        made.append(("max_pool", picture, dilated, _pooled("max_pool2d", **theirs_too)))
        made.append(
            ("max_pool", picture, dilated | {"ceil": True}, _pooled("max_pool2d", **theirs_too, ceil_mode=True))
        )
    made.append(
        (
            "max_pool",
            picture,
            {"size": 3, "stride": 2, "pad": Sides((0, 1, 2, 0))},
            lambda torch, x0: torch.nn.functional.max_pool2d(
                torch.nn.functional.pad(x0.movedim(-1, 1), (1, 0, 0, 2), value=-99), 3, 2
            ).movedim(1, -1),
        )
    )
    return made


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(_pools()))
def test_pools(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    if settings.get("p") in (1.0, 3.0):
        arrays = {n: abs(a) for n, a in arrays.items()}  # in PyTorch odd powers of negative numbers keep their sign
    check(name, arrays, torch_too, **settings)


def _conv(**settings: Any) -> Callable[..., Any]:
    def run(torch: Any, x0: Any, kernel: Any, bias: Any, pad: tuple[int, ...] = (0, 0, 0, 0)) -> Any:
        top, left, bottom, right = pad
        x = torch.nn.functional.pad(x0.movedim(-1, 1), (left, right, top, bottom))
        return torch.nn.functional.conv2d(x, kernel.permute(3, 2, 0, 1), bias, **settings).movedim(1, -1)

    return run


def test_four_sides_of_padding() -> None:
    arrays = {"x0": wave(2, 5, 6, 3), "kernel": wave(3, 2, 3, 4), "bias": wave(4)}
    run = _conv(stride=2)
    check(
        "conv",
        arrays,
        lambda torch, **given: run(torch, **given, pad=(0, 1, 2, 3)),
        filters=4,
        size=(3, 2),
        stride=2,
        pad=Sides((0, 1, 2, 3)),
    )


VOLUME = {"x0": wave(1, 4, 5, 3, 4)}
VOLUMES: list[Case] = [
    (
        "conv",
        {**VOLUME, "kernel": wave(2, 3, 1, 4, 2), "bias": wave(2)},
        {"filters": 2, "size": (2, 3, 1), "stride": (1, 2, 1), "pad": 1},
        lambda torch, x0, kernel, bias: torch.nn.functional.conv3d(
            x0.movedim(-1, 1), kernel.permute(4, 3, 0, 1, 2), bias, (1, 2, 1), 1
        ).movedim(1, -1),
    ),
    (
        "conv_transpose",
        {**VOLUME, "kernel": wave(2, 2, 2, 3, 4)},
        {"filters": 3, "size": 2, "stride": 2, "bias": False},
        lambda torch, x0, kernel: torch.nn.functional.conv_transpose3d(
            x0.movedim(-1, 1), kernel.permute(4, 3, 0, 1, 2), stride=2
        ).movedim(1, -1),
    ),
    ("max_pool", VOLUME, {"size": 2, "stride": 1, "pad": 1}, _pooled("max_pool3d", kernel_size=2, stride=1, padding=1)),
    ("avg_pool", VOLUME, {"size": 2, "ceil": True}, _pooled("avg_pool3d", kernel_size=2, ceil_mode=True)),
    ("global_max_pool", VOLUME, {}, lambda torch, x0: x0.amax((1, 2, 3))),
    ("global_avg_pool", VOLUME, {}, lambda torch, x0: x0.mean((1, 2, 3))),
    ("resize", VOLUME, {"size": (2, 6, 7), "mode": "linear"}, _interpolated(size=(2, 6, 7), mode="trilinear")),
    ("upsample", VOLUME, {"factor": 2}, _interpolated(scale_factor=2, mode="nearest")),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(VOLUMES))
def test_volumes(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


@pytest.mark.parametrize("stride", [2, 3])
def test_where_the_largest_stood_and_the_way_back(stride: int) -> None:
    def pooled(torch: Any, x0: Any) -> Any:
        call = torch.nn.functional.max_pool2d
        y, places = call(x0.movedim(-1, 1), 3, stride, 1, return_indices=True)
        return y.movedim(1, -1), places.movedim(1, -1).int()

    check("max_pool_places", PICTURE, pooled, size=3, stride=stride, pad=1)

    y, places = wave(2, 2, 3, 2), np.array([[0, 3], [5, 1], [2, 2], [9, 9], [11, 10], [7, 0]], np.int32)
    check(
        "max_unpool",
        {"x0": y, "x1": np.stack([places, places[::-1]]).reshape(2, 2, 3, 2)},
        lambda torch, x0, x1: (
            torch.zeros(2, 12, 2, dtype=x0.dtype)
            .scatter(1, x1.reshape(2, 6, 2).long(), x0.reshape(2, 6, 2))
            .reshape(2, 3, 4, 2)
        ),
        shape=(3, 4),
        below=12,
    )
