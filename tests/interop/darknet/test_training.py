"""What [net] says of training, as a train section or as remarks; how pictures reach the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl.interop import written
from graphdsl.interop.darknet import read
from tests.interop.darknet.test_numbers import conv, sec
from tests.support.language import fine

CLASSIFIER = conv(5) + sec("avgpool") + sec("softmax") + sec("cost", type="sse")
DETECTOR = conv(7, activation="linear") + sec("yolo", classes=2, mask=0, num=1, anchors="3,4")


def text_of(cfg: str, folder: Path, **options: object) -> str:
    """What is written of a net of 8x12 pixels, without line breaks; it must be fine as it stands."""
    (folder / "net.cfg").write_text(sec("net", height=8, width=12, channels=3, **options) + cfg)
    text = written(read(folder / "net.cfg")).text
    fine(text)
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("options", "rate"),
    [
        ({}, "0.001"),
        ({"learning_rate": 0.1, "policy": "constant"}, "0.1"),
        ({"policy": "poly", "power": 4, "max_batches": 100}, "poly(0.001, 4)"),
        ({"policy": "step", "step": 50, "scale": 0.5}, "exponential(0.001, 0.5, every=50, by=steps)"),
        ({"policy": "exp", "gamma": 0.99}, "exponential(0.001, 0.99, by=steps)"),
        ({"policy": "steps", "steps": "40,60", "scales": ".1,.1"}, "steps(0.001, at=[40, 60], factor=0.1, by=steps)"),
        ({"burn_in": 10, "power": 1}, "warmup(0.001, 10, by=steps)"),
    ],
)
def test_rates(options: dict[str, object], rate: str, tmp_path: Path) -> None:
    text = text_of(CLASSIFIER, tmp_path, **options)
    assert f"optimizer = sgd(lr={rate}, momentum=0.9, decay=0.0001)" in text
    assert "Darknet trains" not in text


@pytest.mark.parametrize(
    ("options", "remark"),
    [
        ({"batch": 64, "subdivisions": 8, "hue": ".1"}, "Darknet trains with batch=64, subdivisions=8, hue=.1."),
        ({"policy": "sgdr"}, "Darknet trains with policy=sgdr."),
        ({"policy": "steps", "steps": "4,6", "scales": ".1,10"}, "Darknet trains with scales=.1,10."),
        ({"burn_in": 10}, "a burn-in that grows with the power 4, not along a straight line."),
    ],
)
def test_what_is_not_alike_is_said(options: dict[str, object], remark: str, tmp_path: Path) -> None:
    assert remark in text_of(CLASSIFIER, tmp_path, **options)


def test_a_classifier(tmp_path: Path) -> None:
    text = text_of(CLASSIFIER, tmp_path, adam=1, max_batches=70)
    assert "target label: int(5)" in text
    assert "loss = [y, label] -> categorical_crossentropy" in text
    assert "adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-06, decay=0.0001)" in text
    assert "steps = 70" in text
    assert "preprocess = image -> resize(8x12, mode=stretch, filter=opencv)" in text


def test_a_detector(tmp_path: Path) -> None:
    """Its loss has no word here; its heads have names, and what they find is the output."""
    text = text_of(DETECTOR, tmp_path, max_batches=70)
    assert "train {" not in text
    assert "# Darknet trains with sgd(lr=0.001, momentum=0.9, decay=0.0001) for 70 steps." in text
    assert "output found = yolo_1 -> nms(score=0.3)" in text


def test_letter_box(tmp_path: Path) -> None:
    text = text_of(DETECTOR, tmp_path, letter_box=1)
    assert "preprocess = image -> resize(8x12, mode=fit, fill=127, filter=opencv)" in text
