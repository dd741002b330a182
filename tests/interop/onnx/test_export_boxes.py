"""`nms` in ONNX files: onnxruntime keeps the same boxes, and the file comes in again as `nms`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop import written
from graphdsl.interop.onnx import export, exported, imported, load, read
from graphdsl.ir import Array
from graphdsl.model import Model
from graphdsl.report import Failed, Source
from tests.support.onnx_models import run_imported

pytest.importorskip("onnx")

SETTINGS = [
    "score=0.25, max=20",
    "score=0, iou=0.3017, max=7",
    "score=0.1, several=true",
    "score=0.1, iou=0.3017, max=5, several=true",
    "score=0.1, iou=0.3017, max=60, together=true",
    "score=0.9, max=1",
    "iou=0, max=60",
    "iou=1, max=60",
]


def made(folder: Path, settings: str, classes: int = 3, rows: int = 40) -> tuple[Model, Path]:
    text = f"input rows: float[{rows}, {5 + classes}]\noutput found = rows -> candidates -> nms({settings})"
    model = Model(Source("boxes.dag", text), backend="reference")
    return model, export(exported(model.graph, model.executor.weights), folder / "boxes.onnx")


def scenes(count: int, classes: int = 3, rows: int = 40) -> Array:
    """Boxes on a grid and scores of few digits: ties, equal boxes, none that shares just what a threshold says."""
    random = np.random.default_rng(classes)
    boxes = np.concatenate([random.integers(8, 24, (count, rows, 2)), random.integers(0, 9, (count, rows, 2)) * 2], 2)
    boxes[:, rows // 2 :: 3] = boxes[:, : len(range(rows // 2, rows, 3))]
    x = np.concatenate([boxes / 32, random.integers(0, 17, (count, rows, 1 + classes)) / 16], 2).astype(np.float32)
    x[0, :, 4] = 0
    return x


def by_runtime(path: Path, x: Array) -> Array:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"rows": x})[0])


@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_same_boxes(settings: str, classes: int, tmp_path: Path) -> None:
    model, path = made(tmp_path, settings, classes)
    x = scenes(30, classes)
    expected = model.predict(x)["found"]
    np.testing.assert_allclose(by_runtime(path, x), expected, rtol=1e-6)
    assert (expected[..., 4] > 0).sum() >= 5


def test_fewer_candidates_than_stay(tmp_path: Path) -> None:
    model, path = made(tmp_path, "score=0.1, max=100", rows=2)
    x = scenes(9, rows=2)
    np.testing.assert_allclose(by_runtime(path, x), model.predict(x)["found"], rtol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS[:5])
def test_it_comes_in_again(settings: str, tmp_path: Path) -> None:
    model, path = made(tmp_path, settings)
    back = written(read(path)).text
    assert "-> candidates -> nms(" in back
    again = Model(Source("again.dag", back), backend="reference")
    x = scenes(5)
    np.testing.assert_array_equal(again.predict(x)["found"], model.predict(x)["found"])
    np.testing.assert_array_equal(run_imported(imported(load(path)), {"rows": x})["found"], model.predict(x)["found"])


def test_soft_suppression_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0901.*soft=gaussian"):
        made(tmp_path, "soft=gaussian")


def test_places_of_boxes_are_refused(tmp_path: Path) -> None:
    """ONNX's own operator, with what to do."""
    import onnx
    from onnx import TensorProto, helper

    boxes = helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [1, 6, 4])
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2, 6])
    kept = helper.make_tensor_value_info("kept", TensorProto.INT64, [None, 3])
    node = helper.make_node("NonMaxSuppression", ["boxes", "scores"], ["kept"], "suppress")
    onnx.save(helper.make_model(helper.make_graph([node], "g", [boxes, scores], [kept])), tmp_path / "places.onnx")
    with pytest.raises(Failed, match=r"E0901.*`suppress` \(NonMaxSuppression\).*places of boxes") as failed:
        read(tmp_path / "places.onnx")
    assert "rows -> candidates -> nms" in failed.value.diagnostics[0].help
