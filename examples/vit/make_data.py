"""CIFAR-10 as one file, cifar10.npz: image_train, label_train, image_test, label_test.

python make_data.py cifar-10-batches-bin cifar10.npz

The first argument is the folder that https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz holds. A folder of sheets
does as well: train_00.webp, test_00.webp … of 25 rows of 40 pictures, each with a .txt of the same name that begins
line i with the class of picture i.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 32
ROWS, COLUMNS = 25, 40


def records(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and classes of a file of the original data: a byte of class, then red, green and blue planes."""
    rows = np.fromfile(file, np.uint8).reshape(-1, 1 + 3 * SIZE * SIZE)
    return rows[:, 1:].reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), rows[:, 0].astype(np.int32)


def sheet(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The same of a sheet."""
    with Image.open(file) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    images = pixels.reshape(ROWS, SIZE, COLUMNS, SIZE, 3).swapaxes(1, 2).reshape(-1, SIZE, SIZE, 3)
    labels = [int(line.split()[0]) for line in file.with_suffix(".txt").read_text().splitlines()]
    return images, np.array(labels, np.int32)


def part(source: Path, binary: str, sheets: str) -> tuple[np.ndarray, np.ndarray]:
    """All pictures and classes of one part. Raises SystemExit where there are none."""
    found = [records(f) for f in sorted(source.glob(binary))] or [sheet(f) for f in sorted(source.glob(sheets))]
    if not found:
        sys.exit(f"{source} holds neither {binary} nor {sheets}")
    images, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return images, labels


def main(source: Path, target: Path) -> None:
    """Writes target from the files in source."""
    image_train, label_train = part(source, "data_batch_*.bin", "train_*.webp")
    image_test, label_test = part(source, "test_batch.bin", "test_*.webp")
    np.savez_compressed(
        target, image_train=image_train, label_train=label_train, image_test=image_test, label_test=label_test
    )
    print(f"{target}: {len(image_train):,} pictures to learn from, {len(image_test):,} to test")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
