"""Changes to pictures, each against what it must do on a picture small enough to see."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.data import AUGMENTS, Augment
from graphdsl.data.augment import Brightness, Contrast, Cutout, Flip, Normalize, RandomCrop, Shift
from graphdsl.data.augment_scenes import Colour, Mosaic, Rotate, Zoom
from graphdsl.ir import Made
from graphdsl.report import Failed

IMAGES = np.random.default_rng(1).random((50, 7, 9, 2)).astype(np.float32)
EVERY: tuple[Augment, ...] = (
    Flip(),
    RandomCrop((5, 6), 2),
    Shift(0.3),
    Brightness(),
    Contrast(),
    Cutout(4),
    Normalize(),
    Zoom(),
    Mosaic(),
    Colour(),
    Rotate(),
)


def run(augment: Augment, images: np.ndarray = IMAGES, seed: int = 0) -> np.ndarray:
    return augment.apply(images, np.random.default_rng(seed))


@pytest.mark.parametrize("augment", EVERY, ids=lambda a: type(a).__name__)
def test_what_all_keep(augment: Augment) -> None:
    before = IMAGES.copy()
    made = run(augment)
    assert made.dtype == np.float32
    assert made.shape[1:] == augment.shape((7, 9, 2)) == augment.still(IMAGES).shape[1:]
    np.testing.assert_array_equal(made, run(augment))
    np.testing.assert_array_equal(IMAGES, before)


def test_the_registry_has_them_all() -> None:
    assert {type(a).__name__ for a in EVERY} == {entry.make.__name__ for entry in AUGMENTS.values()}
    assert AUGMENTS.build(Made("augment", "random_crop", (("size", 24), ("pad", 4)))) == RandomCrop(24, 4)


def test_flip_mirrors_about_half() -> None:
    made = run(Flip())
    mirrored = (made == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (made == IMAGES).all(axis=(1, 2, 3))).all()
    assert 10 < mirrored.sum() < 40


def test_random_crop_cuts_a_part_that_is_there() -> None:
    made = run(RandomCrop(3))
    windows = np.lib.stride_tricks.sliding_window_view(IMAGES[7], (3, 3), axis=(0, 1))
    found = (np.moveaxis(windows, 2, -1) == made[7]).all(axis=(2, 3, 4))
    assert found.sum() == 1
    places = {tuple(run(RandomCrop(3), seed=s)[7].ravel()) for s in range(200)}
    assert len(places) == 5 * 7, "every place comes up"


def test_random_crop_takes_the_centre_in_validation() -> None:
    np.testing.assert_array_equal(RandomCrop(3).still(IMAGES), IMAGES[:, 2:5, 3:6])
    np.testing.assert_array_equal(RandomCrop((7, 9), pad=4).still(IMAGES), IMAGES)
    wider = RandomCrop(9, pad=1).still(IMAGES)
    assert (wider[:, 0] == 0).all() and (wider[:, -1] == 0).all()
    np.testing.assert_array_equal(wider[:, 1:-1], IMAGES)


def test_random_crop_larger_than_the_picture() -> None:
    assert RandomCrop(9, pad=1).shape((7, 9, 2)) == (9, 9, 2)
    with pytest.raises(Failed, match=r"E0518.*cannot cut 10 x 10 out of 9 x 11"):
        RandomCrop(10, pad=1).shape((7, 9, 2))


def test_shift_moves_and_fills_with_zeros() -> None:
    made = run(Shift(0.3), np.ones((50, 10, 10, 1), np.float32))
    areas = made.sum(axis=(1, 2, 3))
    assert areas.max() <= 100 and areas.min() >= 49
    assert len(np.unique(areas)) > 3
    np.testing.assert_array_equal(run(Shift(0.0)), IMAGES)


def test_brightness_and_contrast_stay_in_range() -> None:
    for augment in (Brightness(0.9), Contrast(0.9)):
        made = run(augment)
        assert made.min() >= 0 and made.max() <= 1
        assert (made != IMAGES).any()
    grey = np.full((5, 4, 4, 1), 0.5, np.float32)
    np.testing.assert_allclose(run(Contrast(0.9), grey), grey, atol=1e-6)
    assert len(np.unique(run(Brightness(0.3), grey))) == 5, "one amount for each picture"


def test_cutout_is_a_square_that_may_hang_over_the_edge() -> None:
    made = run(Cutout(4), np.ones((200, 12, 12, 3), np.float32))
    areas = 144 - made[..., 0].sum(axis=(1, 2))
    assert areas.max() == 16 and areas.min() == 4
    np.testing.assert_array_equal(made[..., 0], made[..., 2])


def test_normalize_works_by_channel_and_in_validation() -> None:
    augment = Normalize((0.25, 0.5), (0.5, 2.0))
    np.testing.assert_allclose(augment.still(IMAGES)[..., 1], (IMAGES[..., 1] - 0.5) / 2)
    np.testing.assert_array_equal(augment.still(IMAGES), run(augment))
    with pytest.raises(Failed, match=r"E0518.*3 numbers for `mean`"):
        Normalize((1.0, 2.0, 3.0)).shape((7, 9, 2))


def test_sizes_need_two_numbers() -> None:
    with pytest.raises(Failed, match="E0518"):
        RandomCrop((1, 2, 3)).shape((7, 9, 2))
