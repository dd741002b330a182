"""Pictures in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import graphdsl.data.images as images
from graphdsl.data import Folder, Images, Labels, Places, bind
from graphdsl.data.conform import Wanted
from graphdsl.ir import BATCH, DType, TensorType, indices
from graphdsl.report import Failed

LABEL = Wanted("label", "target", TensorType((BATCH,), DType.INT32, indices(2)))


def picture(*shape: int) -> Wanted:
    return Wanted("image", "input", TensorType((BATCH, *shape)))


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    """Two red cats of different sizes and formats, one green dog deeper down, and a file that is no picture."""
    for place, size, colour in (
        ("cat/a.png", (20, 10), (255, 0, 0)),
        ("cat/b.JPG", (64, 48), (250, 0, 0)),
        ("dog/more/c.bmp", (9, 9), (0, 255, 0)),
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, colour).save(path)
    (tmp_path / "cat" / "notes.txt").write_text("no picture")
    return tmp_path


def test_classes_are_folders(animals: Path) -> None:
    dataset = Folder(str(animals)).read(Places())
    labels = dataset.columns["label"]
    assert isinstance(labels, Labels) and labels.classes == ("cat", "dog")
    assert labels.take(np.arange(3)).tolist() == [0, 0, 1]
    assert dataset.columns["image"].describe() == "pictures[*, *, *]"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_take_the_size_and_channels_of_the_input(animals: Path, channels: int) -> None:
    bound = bind(Folder(str(animals)).read(Places()), [picture(8, 6, channels), LABEL])
    image = bound.take(np.arange(3)).arrays["image"]
    assert image.shape == (3, 8, 6, channels) and image.dtype == np.float32
    grey = 0.299 if channels == 1 else 1.0
    assert image[0, :, :, 0] == pytest.approx(grey, abs=0.01)
    assert image[:, 0, 0, :].max() <= 1


def test_nothing_is_stretched(tmp_path: Path) -> None:
    """A wide picture, white in the middle third: a square cut from its centre is white."""
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    image = images.decode(tmp_path / "wide.png", (10, 10, 1))
    assert image.min() == 255


def test_large_sets_are_decoded_batch_by_batch(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = Folder(str(animals), size=8).read(Places())
    kept = bind(dataset, [picture(8, 8, 3), LABEL])
    monkeypatch.setattr(images, "KEPT_BYTES", 10)
    lazy = bind(dataset, [picture(8, 8, 3), LABEL])
    assert isinstance(lazy.suited[0].column, Images) and not isinstance(kept.suited[0].column, Images)
    rows = np.array([2, 0])
    np.testing.assert_array_equal(lazy.take(rows).arrays["image"], kept.take(rows).arrays["image"])


@pytest.mark.triggers("E0507")
def test_unreadable_pictures_are_all_named(animals: Path) -> None:
    (animals / "cat" / "text.png").write_text("no picture")
    whole = (animals / "cat" / "b.JPG").read_bytes()
    (animals / "dog" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (animals / "dog" / "none.gif").write_bytes(b"")
    with pytest.raises(Failed) as caught:
        bind(Folder(str(animals)).read(Places()), [picture(8, 8, 3), LABEL])
    diagnostics = caught.value.diagnostics
    assert {d.code for d in diagnostics} == {"E0507"}
    assert [name in d.message for name, d in zip(("text.png", "half.jpg", "none.gif"), diagnostics, strict=True)]


def test_deep_pictures_are_not_cut_to_eight_bits(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 25_600, np.uint16)).save(tmp_path / "scan.png")
    with pytest.raises(Failed, match=r"E0507.*more than 8 bits"):
        images.decode(tmp_path / "scan.png", (4, 4, 1))


def test_a_picture_of_too_many_pixels(animals: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 1000)
    with pytest.raises(Failed, match=r"E0504.*64 x 48 pixels"):
        bind(Folder(str(animals)).read(Places()), [picture(8, 8, 3), LABEL])


def test_a_folder_without_classes_and_labels_left_alone(animals: Path) -> None:
    alone = Folder(str(animals / "dog" / "more")).read(Places())
    assert list(alone.columns) == ["image"]
    with_labels = Folder(str(animals)).read(Places())
    assert len(bind(with_labels, [picture(4, 4, 3)])) == 3, "an autoencoder takes no label"


def test_folders_that_hold_nothing(tmp_path: Path, animals: Path) -> None:
    (animals / "eel").mkdir()
    with pytest.raises(Failed, match=r"E0508.*eel"):
        Folder(str(animals)).read(Places())
    empty = tmp_path / "none"
    empty.mkdir()
    with pytest.raises(Failed, match="E0508"):
        Folder(str(empty)).read(Places())
    with pytest.raises(Failed, match=r"E0502.*not a folder"):
        Folder(str(animals / "cat" / "a.png")).read(Places())


def test_a_size_must_come_from_somewhere(animals: Path) -> None:
    free = Wanted("image", "input", TensorType((BATCH, 8, 8, 7)))
    with pytest.raises(Failed, match=r"E0513.*1, 3 or 4 channels"):
        bind(Folder(str(animals)).read(Places()), [free, LABEL])
    with pytest.raises(Failed, match=r"E0513.*pictures\[16, 16, 3\]"):
        bind(Folder(str(animals), size=16).read(Places()), [picture(8, 8, 3), LABEL])
    with pytest.raises(Failed, match=r"E0518.*two numbers"):
        Folder(str(animals), size=(1, 2, 3)).read(Places())
