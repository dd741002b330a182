"""Heads of detectors and suppression as a spec writes them: shapes, the size of the picture, what is refused.

Numbers are compared in tests/interop/darknet, with a second Darknet and with OpenCV.
"""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import Constant, Graph
from graphdsl.ops import Nms
from tests.support.language import elaborated, fine

TWO_SCALES = """
param classes = 20
block cbl(c, k, stride=1) = in -> conv(c, k, stride=stride, pad=same, bias=false) -> batch_norm -> leaky_relu(0.1)

input image: float[64, 96, 3]

coarse = image -> cbl(8, 3, stride=2) -> cbl(8, 3, stride=2) -> cbl(8, 3, stride=2)
merged = [coarse -> upsample(2), image -> cbl(8, 3, stride=4)] -> concat
large  = coarse -> cbl(16, 3) -> detect(classes, anchors=[81x82, 135x169, 344x319])
small  = merged -> cbl(16, 3) -> detect(classes, anchors=[10x14, 23x27, 37x58])
output found = [large, small] -> nms(score=0.25, iou=0.45)
"""


def graph(text: str) -> Graph:
    return fine(text).graph


def constants(graph: Graph, name: str) -> list[np.ndarray]:
    """The constants whose node is called so."""
    found = (n.op.reference() for key, n in graph.items() if isinstance(n.op, Constant) and name in key.split("/")[-1])
    return list(found)


def test_two_scales() -> None:
    """The sketch of the language: filters, cells and the picture follow; heads go into one suppression."""
    made = graph(TWO_SCALES)
    (found,) = (r.value for r in made.results)
    assert found.type.shape[1:] == (100, 6)
    assert (found.type.kind.name, found.type.kind.classes) == ("detections", 20)
    (op,) = (n.op for _, n in made.items() if isinstance(n.op, Nms))
    assert op == Nms(0.25, 0.45, 100)
    kernels = [n.types[0].shape for key, n in made.items() if "detect" in key and key.endswith("kernel")]
    assert kernels == [(1, 1, 16, 75), (1, 1, 16, 75)]
    large, small = constants(made, "anchors")
    np.testing.assert_allclose(large * (96, 64), [[81, 82], [135, 169], [344, 319]], rtol=1e-6)
    np.testing.assert_allclose(small * (96, 64), [[10, 14], [23, 27], [37, 58]], rtol=1e-6)


def test_anchors_that_are_no_whole_numbers() -> None:
    text = "input x: float[8, 8, 7]\noutput y = x -> decode_boxes(2, [[1.5, 2.25]], picture=16x32) -> nms"
    (anchors,) = constants(graph(text), "anchors")
    np.testing.assert_allclose(anchors * (32, 16), [[1.5, 2.25]])


def test_detect_is_a_convolution_and_decode_boxes() -> None:
    head = "input x: float[8, 8, 4]\noutput y = x -> "
    one = graph(head + "detect(2, [3x4, 5x6], sizes=square, scale_xy=2.0)")
    two = graph(head + "conv(14, 1) -> decode_boxes(2, [3x4, 5x6], sizes=square, scale_xy=2.0)")
    assert [str(n.op) for _, n in one.items()] == [str(n.op) for _, n in two.items()]


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        ("E0301", "x -> decode_boxes(2, [3x4, 5x6])", "2 anchors with 7 numbers each need 14 channels"),
        ("E0301", "x -> flatten -> decode_boxes(2, [3x4])", "decode_boxes needs float[time, features]"),
        ("E0208", "x -> decode_boxes(2, [3])", "needs a width and a height above 0"),
        ("E0208", "x -> decode_boxes(2, [0x4])", "needs a width and a height above 0"),
        ("E0208", "x -> decode_boxes(2, [[1.5, 2, 3]])", "needs a width and a height above 0"),
        ("E0305", "x -> sigmoid -> decode_boxes(2, [3x4])", "sizes=exp needs numbers as they are"),
        ("E0305", "w -> decode_boxes(2, [3x4])", "the size of the picture does not follow from one input"),
        ("E0405", "large -> decode_boxes(2, [3x4])", "2000x2000 cells; at most 1,048,576 have boxes"),
        ("E0401", "free -> decode_boxes(2, [3x4])", "is known only at run time"),
        ("E0303", "x -> nms", "nms reads candidates, got float[8, 8, 7]"),
        ("E0303", "x -> decode_boxes(2, [3x4]) -> nms -> nms", "nms reads candidates, got float[100, 6]"),
        (
            "E0301",
            "[x -> decode_boxes(2, [3x4]), x -> decode_boxes(1, [3x4])] -> nms",
            "6 numbers each need 6 channels",
        ),
        (
            "E0301",
            "[x -> decode_boxes(2, [3x4]), x -> detect(1, [3x4])] -> nms",
            "heads of the same classes, got 2 and 1",
        ),
        (
            "E0208",
            "x -> decode_boxes(2, [3x4]) -> nms(iou=2)",
            "`iou` of `nms` needs a number of at least 0 and of at most 1",
        ),
        ("E0208", "x -> decode_boxes(2, [3x4]) -> nms(max=0)", "`max` of `nms` needs a whole number from 1 to 10000"),
        ("E0301", "x -> flatten -> decode_grid(2, 1, 7)", "7x7 cells of 1 boxes and 2 classes need float[343]"),
    ],
)
def test_refusals(code: str, text: str, message: str) -> None:
    inputs = {"x": "8, 8", "free": "H, W", "large": "2000, 2000"}
    head = "".join(f"input {name}: float[{size}, 7]\n" for name, size in inputs.items())
    head += "weight w: float[8, 8, 7] = zeros\n"
    _, diagnostics = elaborated(f"{head}output y = {text}")
    told = [d for d in diagnostics if d.code == code]
    assert told, [f"{d.code} {d.message}" for d in diagnostics]
    assert message in told[0].message


def test_suppression_of_nothing() -> None:
    """Samples without candidates, and candidates without enough score, give rows of 0."""
    op = Nms(0.25, 0.45, 3)
    assert (op.reference(np.zeros((2, 0, 7), np.float32)) == np.zeros((2, 3, 6))).all()
    assert (op.reference(np.full((1, 4, 7), 0.1, np.float32)) == np.zeros((1, 3, 6))).all()
    assert op.reference(np.zeros((0, 4, 7), np.float32)).shape == (0, 3, 6)


def test_suppression_by_hand() -> None:
    """Of two boxes of one class the better stays, one of another class as well; ties go to the first."""
    x = np.array(
        [
            [0.5, 0.5, 0.4, 0.4, 0.5, 1.0, 0.0],
            [0.5, 0.5, 0.4, 0.4, 1.0, 0.9, 0.3],
            [0.5, 0.52, 0.4, 0.4, 1.0, 0.2, 0.9],
            [0.1, 0.1, 0.1, 0.1, 1.0, 0.5, 0.5],
        ]
    )
    one = Nms(0.25, 0.45, 5).reference(x[None])[0]
    np.testing.assert_allclose(one[:, 4:], [[0.9, 0], [0.9, 1], [0.5, 0], [0, 0], [0, 0]])
    np.testing.assert_allclose(one[:3, :4], x[[1, 2, 3], :4])
    several = Nms(0.25, 0.45, 5, several=True).reference(x[None])[0]
    np.testing.assert_allclose(several[:, 4:], [[0.9, 0], [0.9, 1], [0.5, 0], [0.5, 1], [0, 0]])
