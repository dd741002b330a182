"""Every section against a second Darknet: shapes and numbers of what each gives, with random weights."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from graphdsl.interop import Net, written
from graphdsl.interop.darknet.reader import assembled
from graphdsl.ir import Array
from graphdsl.model import compile
from graphdsl.runtime import save_weights
from tests.interop.darknet.oracle import ACTIVATE, Darknet

MOST = 200_000


def sec(kind: str, **options: object) -> str:
    """A section; `from_` is `from`, which Python keeps for itself."""
    return f"[{kind}]\n" + "".join(f"{key.rstrip('_')}={value}\n" for key, value in options.items())


def conv(filters: int, **options: object) -> str:
    """A convolution of 3x3, padded and leaky unless said otherwise."""
    return sec("convolutional", filters=filters, **{"size": 3, "pad": 1, "activation": "leaky", **options})


CASES = {
    "normalised": (conv(6, batch_normalize=1, stride=2)),
    "strides": (conv(4, stride_x=2, stride_y=1)),
    "even": (conv(4, size=2, stride=2) + conv(4, size=4, pad=0, padding=2)),
    "groups": (conv(6, size=1) + conv(6, groups=3) + conv(12, groups=6, batch_normalize=1, stride=2)),
    "dilated": (conv(4, dilation=2) + conv(4, size=1, dilation=3)),
    "shared": (conv(6, batch_normalize=1) + conv(6, batch_normalize=1) + conv(6, batch_normalize=1, share_index=-1)),
    "blur": (conv(4, stride=2, antialiasing=1) + sec("maxpool", size=2, stride=2, antialiasing=2)),
    "deconvolutional": (
        conv(4, stride=2) + sec("deconvolutional", filters=3, size=4, stride=2, padding=1, activation="relu")
    ),
    "deconvolutional-normalised": (
        sec("deconvolutional", filters=3, size=3, stride=2, batch_normalize=1, activation="tanh")
    ),
    "connected": (
        conv(4)
        + sec("connected", output=7, activation="relu")
        + sec("connected", output=5, batch_normalize=1, activation="ramp")
    ),
    "local": (
        conv(4, stride=2)
        + sec("local", filters=3, size=3, stride=1, pad=1, activation="leaky")
        + sec("local", filters=2, size=2, stride=2, pad=0, activation="linear")
    ),
    "batchnorm": (conv(4) + sec("batchnorm") + sec("activation", activation="mish")),
    "pools": (
        sec("maxpool", size=2, stride=2)
        + sec("maxpool", size=3, stride=2)
        + sec("maxpool", size=2, stride=1)
        + sec("maxpool", size=3, stride=1)
    ),
    "pools-padded": (
        sec("maxpool", size=3, stride=2, padding=1)
        + sec("maxpool", size=2, stride=2, padding=0)
        + sec("maxpool", size=4, stride=1)
    ),
    "pools-strides": (
        sec("maxpool", size=3, stride_x=1, stride_y=2, stride=2)
        + sec("local_avgpool", size=3, stride=2)
        + sec("local_avgpool", size=2, stride=1)
    ),
    "classifier": (
        conv(5)
        + sec("avgpool")
        + sec("dropout", probability=".5")
        + sec("softmax", temperature=2)
        + sec("cost", type="sse")
    ),
    "softmaxes": (conv(4) + sec("softmax", spatial=1) + sec("softmax", groups=4)),
    "crop": (
        sec("crop", crop_height=7, crop_width=6, flip=1)
        + conv(4)
        + sec("crop", crop_height=4, crop_width=4, noadjust=1)
    ),
    "routes": (
        conv(4)
        + conv(6)
        + sec("route", layers=-1)
        + sec("route", layers="-1,0")
        + sec("route", layers=1, groups=2, group_id=1)
        + sec("route", layers="-1,-2,0", groups=1)
        + conv(2)
    ),
    "shortcut": (
        conv(4) + conv(4) + sec("shortcut", from_=-2, activation="leaky") + conv(4) + sec("shortcut", from_="-2,-3,0")
    ),
    "shortcut-fewer": (conv(6) + conv(4) + sec("shortcut", from_=-2, activation="linear")),
    "shortcut-more": (conv(4) + conv(6) + sec("shortcut", from_=-2, alpha=2, beta=3, activation="relu")),
    "shortcut-smaller": (conv(4) + conv(6, stride=2) + sec("shortcut", from_=-2, activation="relu")),
    "upsample": (conv(4, stride=2) + sec("upsample", stride=2, scale=".5") + sec("route", layers=-1) + conv(2)),
    "reorg": (conv(8) + sec("reorg", stride=2) + conv(2)),
    "reorg3d": (conv(3) + sec("reorg3d", stride=2) + conv(2)),
    "extra": (conv(2) + sec("reorg", extra=1, stride=1) + sec("softmax")),
    "squeeze": (
        conv(4) + sec("avgpool") + conv(4, size=1, activation="logistic") + sec("scale_channels", from_=-3) + conv(4)
    ),
    "attention": (conv(4) + conv(4, activation="logistic") + sec("sam", from_=-2, activation="linear")),
    "contrastive": conv(4) + sec("contrastive", classes=2) + conv(2),
    "l2norm": (conv(4) + sec("l2norm") + sec("logistic")),
    "vector-to-picture": (conv(4) + sec("softmax") + sec("upsample", stride=2)),
    "yolo": (
        conv(21, activation="linear", stride=2)
        + sec("yolo", classes=2, mask="0,2,1", num=3, anchors="3,4, 5.5,6, 7,9", scale_x_y=1.1)
        + sec("route", layers=-2)
        + conv(7, activation="linear")
        + sec("yolo", classes=2, mask=2, num=3, anchors="3,4, 5.5,6, 7,9")
    ),
    "yolo-square": (
        conv(14, activation="logistic")
        + sec("yolo", classes=2, mask="0,1", num=2, anchors="3,4, 5,6", scale_x_y=2.0, new_coords=1)
    ),
    "gaussian": (
        conv(22, activation="linear")
        + sec("Gaussian_yolo", classes=2, mask="0,1", num=2, anchors="3,4, 5,6", scale_x_y=1.05)
    ),
    "region": (
        conv(16, activation="linear")
        + sec("region", classes=3, coords=4, num=2, softmax=1, anchors="1.08,1.19, 3.42,4.41")
    ),
    "region-plain": (conv(8, activation="linear") + sec("region", classes=3, coords=4, num=1, anchors="1.08,1.19")),
    "detection": (
        sec("connected", output=117, activation="linear") + sec("detection", classes=3, coords=4, side=3, num=2, sqrt=1)
    ),
}
CASES |= {name: conv(4, activation=name) for name in ACTIVATE}


@pytest.mark.parametrize("height", [10, 8])
@pytest.mark.parametrize("name", CASES)
def test_section(name: str, height: int, tmp_path: Path) -> None:
    """Channels-last results equal Darknet's, section by section; heads' boxes as well."""
    cfg = f"[net]\nheight={height}\nwidth=12\nchannels=3\n{CASES[name]}"
    generator = np.random.default_rng(len(name))
    x = generator.normal(size=(3, height, 12)).astype(np.float32)
    numbers = generator.normal(0, 0.5, MOST).astype(np.float32)
    oracle = Darknet(cfg, numbers)
    oracle.run(x.astype(np.float64))
    ours, boxes = imported(cfg, numbers[: oracle.at], x.transpose(1, 2, 0), tmp_path)
    assert len(ours) == len(oracle.outputs)
    for mine, wanted in zip(ours, oracle.outputs, strict=True):
        arranged = mine.transpose(2, 0, 1) if mine.ndim == 3 else mine.reshape(wanted.shape)
        np.testing.assert_allclose(arranged, wanted, rtol=2e-4, atol=2e-4)
    assert len(boxes) == len(oracle.boxes)
    for mine, wanted in zip(boxes, oracle.boxes.values(), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=2e-4, atol=2e-4)


def imported(cfg: str, numbers: Array, x: Array, folder: Path) -> tuple[list[Array], list[Array]]:
    """What each section gives, and what each head says."""
    (folder / "net.cfg").write_text(cfg)
    (folder / "net.weights").write_bytes(struct.pack("<3iq", 0, 2, 0, 0) + numbers.tobytes())
    a = assembled(folder / "net.cfg", folder / "net.weights")
    tensors = [*(made.tensor for made in a.made), *a.heads]
    outputs = tuple((f"result_{i}", tensor) for i, tensor in enumerate(tensors))
    made = written(Net("", (a.port,), tuple(a.layers), outputs))
    (folder / "net.dag").write_text(made.text)
    model = compile(folder / "net.dag")
    if made.weights:
        save_weights(made.weights, folder / "net.safetensors")
        model.load(folder / "net.safetensors")
    found = model.predict({"image": x[None]})
    arrays = [found[name][0] for name, _ in outputs]
    return arrays[: len(a.made)], arrays[len(a.made) :]
