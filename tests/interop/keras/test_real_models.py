"""Configs that people published, without weights: all of them are read."""

from __future__ import annotations

import pytest

from graphdsl.interop import written
from graphdsl.interop.keras import read
from tests.support.shared import DATA

CORPUS = DATA / "spec_corpus" / "keras_json"


@pytest.mark.skipif(not CORPUS.exists(), reason="the corpus is not here")
def test_every_config_of_the_corpus() -> None:
    for file in sorted(CORPUS.rglob("*.json")):
        assert "output" in written(read(file)).text, file.name
