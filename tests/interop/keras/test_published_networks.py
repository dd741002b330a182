"""Six networks of keras.applications with random weights: imported from archives, they give Keras' numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.keras.imported import Imported, keras_module, off_by, randomised

NETWORKS = {
    "VGG16": 138_357_544,
    "ResNet50": 25_636_712,
    "InceptionV3": 23_851_784,
    "Xception": 22_910_480,
    "DenseNet121": 8_062_504,
    "MobileNetV2": 3_538_984,
}
"""By the name that Keras has for them: their numbers of parameters, running averages included."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NETWORKS)
def test_a_published_network(name: str, tmp_path: Path) -> None:
    keras = keras_module()
    keras.backend.clear_session()
    model = randomised(getattr(keras.applications, name)(weights=None))
    model.save(tmp_path / "model.keras")
    picture = np.random.default_rng(1).standard_normal((1, *model.inputs[0].shape[1:]), np.float32)
    theirs = np.asarray(model(picture, training=False).detach())
    del model
    ours = Imported(tmp_path / "model.keras")
    assert ours.parameters == NETWORKS[name]
    (mine,) = ours(picture)
    assert off_by(mine, theirs) < 1e-4
    (tmp_path / "model.keras").unlink()
