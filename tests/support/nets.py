"""Networks of the literature as an importer would give them: without blocks, a layer at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphdsl.interop import Layer, Net, Port


class Steps:
    """Layers one after the other; every weight is drawn, so that no two are alike."""

    def __init__(self, channels: int = 3) -> None:
        self.layers: list[Layer] = []
        self._random = np.random.default_rng(len(self.layers))
        self._features = {"data": channels}

    def __call__(self, word: str, *inputs: str, name: str = "", **settings: Any) -> str:
        name = name or f"{word}_{len(self.layers) + 1}"
        before = [self._features[x] for x in inputs]
        self._features[name] = settings.get("filters") or settings.get("units") or before[0]
        if word == "concat":
            self._features[name] = sum(before)
        weights = self._weights(word, before[0], settings)
        self.layers.append(Layer(name, word, inputs, (name,), settings, weights))
        return name

    def _weights(self, word: str, before: int, settings: dict[str, Any]) -> dict[str, Any]:
        shapes: dict[str, tuple[int, ...]] = {}
        if word == "conv":
            size = settings["size"]
            shapes = {"kernel": (size, size, before, settings["filters"])}
            shapes |= {"bias": (settings["filters"],)} if settings.get("bias", True) else {}
        elif word == "dense":
            shapes = {"kernel": (before, settings["units"]), "bias": (settings["units"],)}
        elif word == "batch_norm":
            shapes = dict.fromkeys(("gamma", "beta", "mean", "variance"), (before,))
        elif word == "depthwise_conv":
            shapes = {"kernel": (3, 3, 1, before)}
        return {part: self._random.uniform(0.5, 1.0, shape) / 8 for part, shape in shapes.items()}

    def conv_bn(self, x: str, filters: int, size: int, activation: str = "", **settings: Any) -> str:
        x = self("batch_norm", self("conv", x, filters=filters, size=size, bias=False, **settings))
        return self(activation, x) if activation else x

    def conv_relu(self, x: str, filters: int, size: int, name: str = "", **settings: Any) -> str:
        x = self("conv", x, filters=filters, size=size, name=name, **settings)
        return self("relu", x, name=name and f"{name}_relu")

    def net(self, side: int, *outputs: tuple[str, str]) -> Net:
        return Net("A network", (Port("data", f"float[{side}, {side}, 3]"),), tuple(self.layers), outputs)


def vgg(width: int) -> Net:
    b, x = Steps(), "data"
    for filters, times in ((width, 2), (2 * width, 2), (4 * width, 3)):
        for _ in range(times):
            x = b.conv_relu(x, filters, 3, pad=1)
        x = b("max_pool", x, size=2)
    x = b("dense", b("global_avg_pool", x), units=10)
    return b.net(16, ("prob", b("softmax", x)))


def resnet(width: int) -> Net:
    b = Steps()
    x = b("max_pool", b.conv_bn("data", width, 7, "relu", stride=2, pad=3), size=3, stride=2, pad=1)
    for stage, times in enumerate((3, 3, 3)):
        filters = width * 2**stage
        for i in range(times):
            stride = {"stride": 2} if stage and not i else {}
            y = b.conv_bn(b.conv_bn(x, filters, 1, "relu"), filters, 3, "relu", pad=1, **stride)
            y = b.conv_bn(y, 4 * filters, 1)
            x = b("relu", b("+", y, x if i else b.conv_bn(x, 4 * filters, 1, **stride)))
    return b.net(32, ("prob", b("softmax", b("dense", b("global_avg_pool", x), units=10))))


def densenet(growth: int) -> Net:
    b = Steps()
    x = b.conv_bn("data", 2 * growth, 3, "relu", pad=1)
    for block in range(3):
        for _ in range(4):
            y = b("conv", b("relu", b("batch_norm", x)), filters=4 * growth, size=1, bias=False)
            y = b("conv", b("relu", b("batch_norm", y)), filters=growth, size=3, pad=1, bias=False)
            x = b("concat", x, y)
        if block < 2:
            x = b("avg_pool", b("conv", b("relu", b("batch_norm", x)), filters=2 * growth, size=1, bias=False), size=2)
    return b.net(16, ("prob", b("softmax", b("dense", b("global_avg_pool", x), units=10))))


def googlenet(scale: int) -> Net:
    b = Steps()

    def inception(at: str, x: str, *f: int) -> str:
        f, name = tuple(n // scale for n in f), f"inception_{at}/"
        three = b.conv_relu(b.conv_relu(x, f[1], 1, f"{name}3x3_reduce"), f[2], 3, f"{name}3x3", pad=1)
        five = b.conv_relu(b.conv_relu(x, f[3], 1, f"{name}5x5_reduce"), f[4], 5, f"{name}5x5", pad=2)
        pool = b("max_pool", x, size=3, stride=1, pad=1, name=f"{name}pool")
        one = b.conv_relu(x, f[0], 1, f"{name}1x1")
        return b("concat", one, three, five, b.conv_relu(pool, f[5], 1, f"{name}pool_proj"), name=f"{name}output")

    x = b.conv_relu("data", 64 // scale, 7, stride=2, pad=3)
    x = inception("3a", x, 64, 96, 128, 16, 32, 32)
    x = b("max_pool", inception("3b", x, 128, 128, 192, 32, 96, 64), size=3, stride=2, pad=1)
    x = early = inception("4a", x, 192, 96, 208, 16, 48, 64)
    side = b("softmax", b("dense", b("global_avg_pool", early), units=10, name="loss1/fc"))
    x = inception("4b", x, 160, 112, 224, 32, 64, 64)
    x = b("dense", b("dropout", b("global_avg_pool", x), rate=0.4), units=10)
    return b.net(16, ("prob", b("softmax", x)), ("side", side))


def mobilenet(width: int) -> Net:
    b = Steps()
    x = b.conv_bn("data", width, 3, "relu6", stride=2, pad=1)
    for filters, stride in ((2, 1), (4, 2), (4, 1), (8, 2), (8, 1), (8, 1), (8, 1)):
        x = b("batch_norm", b("depthwise_conv", x, size=3, stride=stride, pad=1, bias=False))
        x = b.conv_bn(b("relu6", x), filters * width, 1, "relu6")
    return b.net(16, ("prob", b("softmax", b("dense", b("global_avg_pool", x), units=10))))


NETS = {
    "vgg": vgg(4),
    "resnet": resnet(4),
    "densenet": densenet(4),
    "googlenet": googlenet(8),
    "mobilenet": mobilenet(4),
}
