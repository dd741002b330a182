"""Writes plates/train and plates/test: of the plates in a folder, named by what they say, every fifth for tests.

python examples/number_plates/make_data.py LPRNet_Pytorch/data/test
"""

import shutil
import sys
from pathlib import Path

TARGET = Path("plates")
EVERY = 2
"""Every second picture by name is taken: those that the figures in README.md were measured on. 1: all."""


def main(source: Path, target: Path = TARGET, every: int = EVERY) -> None:
    for number, picture in enumerate(sorted(source.glob("*.jpg"))[::every]):
        part = target / ("train" if number % 5 else "test")
        part.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, part)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
