"""Every family of layers against Keras itself: random weights, saved, imported, and the same numbers out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphdsl.ir import Array
from tests.support.keras.families import FAMILIES
from tests.support.keras.imported import Imported, keras_module, off_by, random_inputs, randomised

CLOSENESS = {"group_norm": 1e-4}
"""A channel by itself that hardly varies is divided by a small number, twice: rounding grows."""

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_of_layers(name: str, tmp_path: Path) -> None:
    keras = keras_module()
    model = randomised(FAMILIES[name](keras))
    theirs: list[Array] = []
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"model{ending}")
        ours = Imported(tmp_path / f"model{ending}", backend="reference")
        inputs = random_inputs(model, ours.net)
        theirs = theirs or outputs(model, inputs)
        ordered = [channels_last(x) if name.startswith("channels_first") else x for x in inputs]
        for mine, right in zip(ours(*ordered), theirs, strict=True):
            assert off_by(mine, right) < CLOSENESS.get(name, 1e-5)


def outputs(model: Any, inputs: list[Array]) -> list[Array]:
    made = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    listed = list(made.values()) if isinstance(made, dict) else made if isinstance(made, list | tuple) else [made]
    return [x.detach().numpy() for x in listed]


def channels_last(x: Array) -> Array:
    return np.moveaxis(x, 1, -1)
