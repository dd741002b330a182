"""What is done to samples before they flow in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graphdsl.data import STEPS, Augment, Dataset, Images, Preprocess, Wanted, arrays, bind, shaped
from graphdsl.data.preprocess import Step
from graphdsl.data.preprocess_numbers import Divide, Normalize, Scale, Subtract
from graphdsl.data.preprocess_pictures import Bgr, CenterCrop, Crop, Grey, Resize
from graphdsl.ir import BATCH, TensorType
from graphdsl.report import Failed, dataclass

EVERY: list[Step] = [
    Resize(6),
    CenterCrop(4),
    Crop(1, 2, 5, 6),
    Bgr(),
    Grey(),
    Scale((2.0,)),
    Subtract((1.0, 2.0, 3.0)),
    Divide((2.0,)),
    Normalize((0.5,), (0.5,)),
]
PICTURE = np.random.default_rng(1).integers(0, 256, (9, 14, 3)).astype(np.uint8)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    Image.fromarray(PICTURE).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def wanted(*shape: int) -> Wanted:
    return Wanted("image", "input", TensorType((BATCH, *shape)))


def fed(data: Dataset, steps: list[Step], *shape: int, augment: Augment | None = None) -> np.ndarray[Any, Any]:
    """What the network gets of all rows; with an augmentation as in training."""
    augments = {"image": (augment,)} if augment else {}
    bound = bind(data, [wanted(*shape)], preprocess={"image": Preprocess(tuple(steps))}, augments=augments)
    generators = {"image": np.random.default_rng(0)} if augment else None
    return np.asarray(bound.take(np.arange(len(data)), generators).arrays["image"])


def of_file(path: Path, steps: list[Step], *shape: int) -> np.ndarray[Any, Any]:
    return fed(Dataset({"image": Images((path,))}, {"image": "input"}), steps, *shape)[0]


def test_all_steps_are_tested() -> None:
    pictures = {entry.make for entry in STEPS.values() if issubclass(entry.make, Step)}
    assert {type(step) for step in EVERY} == pictures, "steps for columns have tests of their own"


@pytest.mark.parametrize("step", EVERY, ids=lambda step: type(step).__name__)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_shapes_are_as_promised(step: Step, dtype: Any) -> None:
    batch = np.stack([PICTURE, PICTURE]).astype(dtype)
    assert step.apply(batch).shape[1:] == shaped((step,), PICTURE.shape)


@pytest.mark.parametrize("size", [(5, 8), (18, 28), (30, 10)])
def test_resize_is_what_pillow_does(size: tuple[int, int]) -> None:
    mine = Resize(size, "stretch").apply(PICTURE[None])[0]
    assert np.array_equal(mine, Image.fromarray(PICTURE).resize(size[::-1], Image.Resampling.BILINEAR))
    floats = Resize(size, "stretch").apply(PICTURE[None].astype(np.float32))[0]
    assert np.abs(floats - mine).max() <= 1


def test_cover_cuts_and_fit_fills() -> None:
    tall = np.zeros((1, 8, 4, 1), np.uint8) + np.arange(8, dtype=np.uint8)[None, :, None, None] * 10
    assert Resize(4).apply(tall)[0, :, :, 0].tolist() == [[20] * 4, [30] * 4, [40] * 4, [50] * 4]
    fitted = Resize(4, "fit", fill=200.0).apply(tall)[0, :, :, 0]
    assert fitted[:, [0, 3]].tolist() == [[200, 200]] * 4
    assert (fitted[:, 1:3] < 100).all()


def test_grey_is_what_pillow_does() -> None:
    assert np.array_equal(Grey().apply(PICTURE[None])[0, ..., 0], Image.fromarray(PICTURE).convert("L"))
    floats = Grey().apply(PICTURE[None].astype(np.float32))[0, ..., 0]
    assert np.abs(floats - np.asarray(Image.fromarray(PICTURE).convert("L"))).max() < 1


def test_a_box_of_a_face(file: Path) -> None:
    """As in face embeddings: a fixed box, scaled, by the statistics of ImageNet."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    mine = of_file(file, [Crop(2, 1, 12, 7), Resize(8, "stretch"), Normalize(mean, std)], 8, 8, 3)
    cut = Image.open(file).crop((2, 1, 12, 7)).resize((8, 8), Image.Resampling.BILINEAR)
    assert np.allclose(mine, (np.asarray(cut) / 255 - mean) / std, atol=1e-5)


def test_order_is_as_written(file: Path) -> None:
    means = (104.0, 117.0, 123.0)
    size = Resize((9, 14))
    after = of_file(file, [size, Bgr(), Subtract(means)], 9, 14, 3)
    assert np.array_equal(after, PICTURE[..., ::-1].astype(np.float32) - means)
    before = of_file(file, [size, Subtract(means), Bgr()], 9, 14, 3)
    assert np.array_equal(before, (PICTURE.astype(np.float32) - means)[..., ::-1])


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], PICTURE / 255),
        ([Bgr()], PICTURE[..., ::-1] / 255),
        ([Scale((1.0,))], PICTURE),
        ([Scale((1 / 255,))], PICTURE / 255),
        ([Subtract((100.0,)), Divide((50.0,))], (PICTURE - 100.0) / 50),
        ([Normalize((0.5,), (0.5,))], PICTURE / 127.5 - 1),
        ([Scale((1 / 255,)), Normalize((0.5,), (0.5,))], PICTURE / 127.5 - 1),
    ],
)
def test_the_units_of_bytes(file: Path, steps: list[Step], expected: Any) -> None:
    """From a file and from an array of bytes alike."""
    assert np.allclose(of_file(file, steps, 9, 14, 3), expected, atol=1e-4)
    assert np.allclose(fed(arrays({"image": PICTURE[None]}), steps, 9, 14, 3)[0], expected, atol=1e-4)


def test_other_numbers_are_taken_as_they_are() -> None:
    numbers = np.full((1, 2, 2, 3), 10.0)
    assert (fed(arrays({"image": numbers}), [Subtract((4.0,))], 2, 2, 3) == 6).all()
    assert (fed(arrays({"image": numbers}), [Bgr()], 2, 2, 3) == 10).all()
    assert (fed(arrays({"image": numbers}), [Normalize((4.0,), (2.0,))], 2, 2, 3) == 3).all()


def test_vectors_are_scaled_too() -> None:
    rows = np.array([[1.0, 20.0], [3.0, 40.0]])
    assert fed(arrays({"image": rows}), [Subtract((1.0, 20.0)), Divide((2.0, 20.0))], 2).tolist() == [[0, 0], [1, 1]]


def test_grey_pictures_without_an_axis_for_channels() -> None:
    bytes_ = np.full((2, 4, 6), 51, np.uint8)
    assert np.allclose(fed(arrays({"image": bytes_}), [CenterCrop(4)], 4, 4, 1), 0.2)


@dataclass(frozen=True)
class Watching(Augment):
    """Adds 1 and remembers what it saw."""

    seen: list[float]

    def draw(self, count: int, picture: Any, generator: np.random.Generator) -> Any:
        return ()

    def change(self, images: Any, drawn: Any) -> Any:
        self.seen.append(float(images.max()))
        return images + 1


@pytest.mark.parametrize(
    ("step", "expected"), [(Subtract((100.0,)), 255 + 255 - 100), (Normalize((0.5,), (0.5,)), 3.0), (Bgr(), 2.0)]
)
def test_augmentation_sees_0_to_1(step: Step, expected: float) -> None:
    seen: list[float] = []
    white = arrays({"image": np.full((1, 2, 2, 3), 255, np.uint8)})
    assert np.allclose(fed(white, [step], 2, 2, 3, augment=Watching(seen)), expected)
    assert seen == [pytest.approx(1.0)]


def test_pictures_of_many_sizes(tmp_path: Path) -> None:
    paths = []
    for i, size in enumerate([(20, 30), (64, 16), (8, 8)]):
        Image.new("RGB", size, (10, 20, 30)).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    data = Dataset({"image": Images(tuple(paths))}, {"image": "input"})
    got = fed(data, [Resize(12), CenterCrop(10), Bgr(), Scale((1.0,))], 10, 10, 3)
    assert got.shape == (3, 10, 10, 3)
    assert (got == [30, 20, 10]).all()


@pytest.mark.triggers("E0518")
@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([Crop(3, 0, 3, 4)], "leaves nothing"),
        ([Resize((9, 14)), Subtract((1.0, 2.0))], "2 numbers; there are 3 channels"),
        ([Grey(), Bgr()], "three channels"),
        ([Divide((0.0,))], "by 0"),
        ([Normalize((0.5,), (1.0, 0.0, 1.0))], "by 0"),
        ([Resize((2, 3, 4))], "two numbers"),
        ([Resize(65_536), Resize((9, 14))], "65536 x 65536 pixels"),
    ],
)
def test_what_cannot_be_done(file: Path, steps: list[Step], said: str) -> None:
    with pytest.raises(Failed, match="E0518") as failed:
        of_file(file, steps, 9, 14, 3)
    assert said in str(failed.value)


@pytest.mark.parametrize("step", [CenterCrop(10), Crop(0, 0, 15, 9)])
def test_arrays_that_are_too_small(step: Step) -> None:
    with pytest.raises(Failed, match="out of 9 x 14"):
        fed(arrays({"image": PICTURE[None]}), [step], 9, 14, 3)


def test_a_picture_that_is_too_small_is_named(file: Path) -> None:
    with pytest.raises(Failed, match=r"a\.png"):
        of_file(file, [CenterCrop(10)], 10, 10, 3)


def test_vectors_have_no_pixels() -> None:
    with pytest.raises(Failed, match="only pictures"):
        fed(arrays({"image": np.ones((2, 3))}), [Bgr()], 3)


def test_the_size_of_the_input_is_the_last_word(file: Path) -> None:
    with pytest.raises(Failed, match="E0513"):
        of_file(file, [Resize(12)], 9, 14, 3)
