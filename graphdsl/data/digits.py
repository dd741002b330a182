"""The handwritten digits that come with graphdsl: see DIGITS.md for where they are from and their licence."""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import Annotated

import numpy as np

from graphdsl.data.column import Dense, Labels
from graphdsl.data.dataset import INPUT, TARGET, Dataset
from graphdsl.data.files import Places
from graphdsl.data.registry import READERS, Reader
from graphdsl.ir import Choice
from graphdsl.report import dataclass

FIFTH = 5


@READERS.register("digits")
@dataclass(frozen=True)
class Digits(Reader):
    """1,797 handwritten digits, 8 x 8 grey: columns `image` float[8, 8, 1] from 0 to 1, and `label` from 0 to 9.

    part   `train` (1,438), `test` (359: every fifth row, beginning with the fifth), or `all`
    The set has no official split of its own (it is the test half of a larger one). Digits of one writer lie side by
    side, so both parts have digits of every writer.
    Source: E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, CC BY 4.0.
    """

    part: Annotated[str, Choice(("train", "test", "all"))] = "train"

    def read(self, places: Places) -> Dataset:
        packed = files("graphdsl.data").joinpath("digits.csv.gz").read_bytes()
        rows = np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), np.int64, delimiter=",")
        test = np.arange(len(rows)) % FIFTH == FIFTH - 1
        chosen = rows[{"train": ~test, "test": test, "all": slice(None)}[self.part]]
        images = (chosen[:, :64] / 16).astype(np.float32).reshape(-1, 8, 8, 1)
        columns = {"image": Dense(images), "label": Labels(chosen[:, 64])}
        return Dataset(columns, {"image": INPUT, "label": TARGET}, frozenset({"label"}), origin="digits")
