"""examples/vit: both forms of the data become the same columns."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
RED = 200


@pytest.fixture
def script() -> Any:
    return SimpleNamespace(**runpy.run_path(str(ROOT / "examples" / "vit" / "make_data.py")))


def records(file: Path, labels: list[int]) -> None:
    """Pictures whose red is RED at the upper left and nowhere else, in the original form."""
    pictures = np.zeros((len(labels), 3, 32, 32), np.uint8)
    pictures[:, 0, 0, 0] = RED
    file.write_bytes(b"".join(bytes([n]) + p.tobytes() for n, p in zip(labels, pictures, strict=True)))


def test_the_original_files(script: Any, tmp_path: Path) -> None:
    records(tmp_path / "data_batch_1.bin", [3, 1])
    records(tmp_path / "data_batch_2.bin", [9])
    records(tmp_path / "test_batch.bin", [7])
    script.main(tmp_path, tmp_path / "cifar10.npz")
    with np.load(tmp_path / "cifar10.npz") as made:
        assert made["label_train"].tolist() == [3, 1, 9] and made["label_test"].tolist() == [7]
        assert made["image_train"].shape == (3, 32, 32, 3)
        assert made["image_train"][2, 0, 0].tolist() == [RED, 0, 0] and made["image_train"].sum() == 3 * RED


def test_sheets(script: Any, tmp_path: Path) -> None:
    pixels = np.zeros((800, 1280, 3), np.uint8)
    pixels[32:64, 64:96] = RED
    for name in ("train_00", "test_00"):
        Image.fromarray(pixels).save(tmp_path / f"{name}.webp", lossless=True)
        (tmp_path / f"{name}.txt").write_text("".join(f"{n % 10} {n}.png\n" for n in range(1000)))
    script.main(tmp_path, tmp_path / "cifar10.npz")
    with np.load(tmp_path / "cifar10.npz") as made:
        bright = np.flatnonzero(made["image_train"].any(axis=(1, 2, 3)))
        assert bright.tolist() == [42] and made["label_train"][42] == 2


def test_a_folder_without_either_says_so(script: Any, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds neither"):
        script.main(tmp_path, tmp_path / "cifar10.npz")
