"""Operators of ours in ONNX files: functions that come in again as layers, and foreign ones that are written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.onnx import export, exported, read
from graphdsl.model import Model
from graphdsl.report import Source

onnx = pytest.importorskip("onnx")

CELLS = "s_cells(4, 3, selectivity=1.5, area=3x5, speed=20.0, pad=[0, 1, 1, 0])"


def exported_cells(folder: Path) -> Path:
    model = Model(Source("cells.dag", f"input x: float[9, 8, 2]\noutput y = x -> {CELLS}"))
    store = model.executor.weights
    store.restore({name: np.abs(np.random.default_rng(0).normal(size=store[name].shape)) for name in store})
    return export(exported(model.graph, store), folder / "cells.onnx")


def test_cells_stay_cells(tmp_path: Path) -> None:
    """How they learn too, which ONNX does not compute."""
    text = written(read(exported_cells(tmp_path))).text
    assert CELLS in text


def test_a_function_that_is_called_like_ours_is_read_as_what_it_does(tmp_path: Path) -> None:
    file = exported_cells(tmp_path)
    proto = onnx.load(file)
    last = proto.functions[0].node[-1]
    last.op_type = "Add"
    onnx.save(proto, file)
    text = written(read(file)).text
    assert "s_cells(" not in text and "relu" in text
