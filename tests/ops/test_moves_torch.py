"""Layers that move and cut, and their gradients, against PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array, Sides
from tests.support.layers import Case, cases, check, first, numbers_of, wave

SMALL = {"x0": wave(2, 4, 5, 3)}


def _local(torch: Any, x0: Any, kernel: Any, bias: Any) -> Any:
    """Window by window."""
    x = torch.nn.functional.pad(x0, (0, 0, 1, 1, 1, 1))
    rows = [
        torch.stack(
            [
                torch.einsum("nhwc,hwcf->nf", x[:, 2 * i : 2 * i + 3, 2 * j : 2 * j + 2], kernel[i, j])
                for j in range(kernel.shape[1])
            ],
            1,
        )
        for i in range(kernel.shape[0])
    ]
    return torch.stack(rows, 1) + bias


MOVES: list[Case] = [
    (
        "space_to_depth",
        {"x0": wave(2, 4, 6, 3)},
        {"size": 2, "order": "channel"},
        first(lambda torch, x: torch.nn.functional.pixel_unshuffle(x, 2)),
    ),
    (
        "depth_to_space",
        {"x0": wave(2, 3, 2, 8)},
        {"size": 2, "order": "channel"},
        first(lambda torch, x: torch.nn.functional.pixel_shuffle(x, 2)),
    ),
    (
        "space_to_depth",
        {"x0": wave(2, 4, 6, 3)},
        {"size": (2, 3)},
        lambda torch, x0: x0.reshape(2, 2, 2, 2, 3, 3).permute(0, 1, 3, 2, 4, 5).reshape(2, 2, 2, 18),
    ),
    (
        "depth_to_space",
        {"x0": wave(2, 2, 2, 18)},
        {"size": (2, 3)},
        lambda torch, x0: x0.reshape(2, 2, 2, 2, 3, 3).permute(0, 1, 3, 2, 4, 5).reshape(2, 4, 6, 3),
    ),
    (
        "channel_shuffle",
        {"x0": wave(2, 3, 2, 6)},
        {"groups": 3},
        first(lambda torch, x: torch.nn.functional.channel_shuffle(x, 3)),
    ),
    *(
        (
            "pad",
            SMALL,
            {"start": Sides((1, 0, 2, 3)), "mode": mode},
            first(
                lambda torch, x, m=mode: torch.nn.functional.pad(
                    x, (0, 3, 1, 2), mode={"edge": "replicate", "wrap": "circular"}.get(m, m)
                )
            ),
        )
        for mode in ("edge", "reflect", "wrap")
    ),
    (
        "pad",
        SMALL,
        {"start": 1, "end": (0, 2), "value": -1.5},
        first(lambda torch, x: torch.nn.functional.pad(x, (1, 2, 1, 0), value=-1.5)),
    ),
    ("crop", SMALL, {"start": Sides((1, 0, 2, 3))}, lambda torch, x0: x0[:, 1:2, :2]),
    ("crop", SMALL, {"start": 1, "end": 0}, lambda torch, x0: x0[:, 1:, 1:]),
    ("reverse", SMALL, {"axis": 1}, lambda torch, x0: x0.flip(2)),
    ("slice", SMALL, {"start": 1, "step": 2, "axis": 1}, lambda torch, x0: x0[:, :, 1::2]),
    (
        "local_conv",
        {"x0": wave(2, 5, 4, 3), "kernel": wave(3, 3, 3, 2, 3, 2), "bias": wave(3, 3, 2)},
        {"filters": 2, "size": (3, 2), "stride": 2, "pad": 1},
        _local,
    ),
    (
        "local_conv",
        {"x0": wave(2, 5, 3), "kernel": wave(2, 3, 3, 2)},
        {"filters": 2, "size": 3, "stride": 2, "bias": False},
        lambda torch, x0, kernel: torch.stack(
            [torch.einsum("ntc,tcf->nf", x0[:, 2 * j : 2 * j + 3], kernel[j]) for j in range(2)], 1
        ),
    ),
]


@pytest.mark.parametrize(("name", "arrays", "settings", "torch_too"), cases(MOVES))
def test_moves(
    name: str, arrays: Mapping[str, Array], settings: Mapping[str, Any], torch_too: Callable[..., Any]
) -> None:
    check(name, arrays, torch_too, **settings)


def test_symmetric_borders() -> None:
    x = wave(1, 3, 2)
    (y,) = numbers_of("pad", {"x0": x}, start=2, mode="symmetric")
    np.testing.assert_array_equal(y, np.pad(x, ((0, 0), (2, 2), (0, 0)), mode="symmetric"))


def test_reorg_reads_as_darknet_does() -> None:
    """Darknet's reorg_cpu with forward=0, number by number."""
    channels, height, width, stride = 8, 4, 6, 2
    x = wave(1, height, width, channels)
    flat, made, part = x.transpose(0, 3, 1, 2).ravel(), np.empty(x.size), channels // stride**2
    for k, j, i in np.ndindex(channels, height, width):
        w, h = i * stride + k // part % stride, j * stride + k // part // stride
        made[i + width * (j + height * k)] = flat[w + width * stride * (h + height * stride * (k % part))]
    (y,) = numbers_of("reorg", {"x0": x}, size=stride)
    expected = made.reshape(1, channels * stride**2, height // stride, width // stride).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(y, expected)


def test_whole_numbers_are_picked_as_they_are() -> None:
    x = np.arange(12, dtype=np.int32).reshape(2, 6)
    (y,) = numbers_of("slice", {"x0": x}, below=20, start=1, step=2)
    np.testing.assert_array_equal(y, x[:, 1::2])
    assert y.dtype == np.int32


def _sampled(**settings: Any) -> Callable[..., Any]:
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    theirs = {
        "mode": modes.get(settings["mode"], settings["mode"]),
        "padding_mode": settings["outside"],
        "align_corners": settings["corners"],
    }
    return first(lambda torch, x, x1: torch.nn.functional.grid_sample(x, x1, **theirs))


@pytest.mark.parametrize("corners", [False, True])
@pytest.mark.parametrize("outside", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_places_that_are_computed(mode: str, outside: str, corners: bool) -> None:
    settings = {"mode": mode, "outside": outside, "corners": corners}
    pictures, grid = wave(2, 4, 5, 3), wave(2, 6, 7, 2, speed=0.37) * 1.3
    check("grid_sample", {"x0": pictures, "x1": grid}, _sampled(**settings), **settings)
    if mode != "cubic":
        volumes, places = wave(1, 2, 3, 4, 2), wave(1, 2, 3, 3, 3, speed=0.37)
        check("grid_sample", {"x0": volumes, "x1": places}, _sampled(**settings), **settings)


def test_nan_is_no_place() -> None:
    places = np.array([[[np.nan, 0.0], [np.inf, -np.inf]]])
    for name, given in (("grid_sample", {"x0": wave(1, 3, 4, 2), "x1": places}), ("to_int", {"x0": places})):
        made = numbers_of(name, given, **({"classes": 5} if name == "to_int" else {"mode": "nearest"}))
        assert made[0].shape[1] == 2
    assert numbers_of("to_int", {"x0": places}, classes=5)[0].ravel().tolist() == [0, 0, 4, 0]


def _at(picture: Any, y: Any, x: Any) -> Any:
    """One place of [height, width, channels], as Mask R-CNN's authors read it."""
    height, width, _ = picture.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return picture[0, 0] * 0
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = int(y), int(x)
    below, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = picture[top, left] * (1 - (x - left)) + picture[top, right] * (x - left)
    lower = picture[below, left] * (1 - (x - left)) + picture[below, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


@pytest.mark.parametrize("half_pixel", [True, False])
def test_boxes_of_one_size(half_pixel: bool) -> None:
    def aligned(torch: Any, x0: Any, x1: Any) -> Any:
        made = []
        for picture, boxes in zip(x0, x1, strict=True):
            for left, top, right, bottom in boxes * 0.5 - 0.5 * half_pixel:
                high, wide = bottom - top, right - left
                if not half_pixel:
                    high, wide = high.clamp(min=1), wide.clamp(min=1)
                for i, j in np.ndindex(3, 2):
                    parts = [
                        _at(picture, top + (i + (p + 0.5) / 2) * high / 3, left + (j + (q + 0.5) / 2) * wide / 2)
                        for p, q in np.ndindex(2, 2)
                    ]
                    made.append(torch.stack(parts).mean(0))
        return torch.stack(made).reshape(2, 3, 3, 2, 2)

    boxes = np.array([[1.1, 0.3, 9.2, 7.7], [-4.0, 2.0, 3.0, 3.1], [8.0, 6.0, 30.0, 21.0]])
    arrays = {"x0": wave(2, 6, 7, 2), "x1": np.stack([boxes, boxes * 0.7])}
    check("roi_align", arrays, aligned, size=(3, 2), scale=0.5, half_pixel=half_pixel)
