"""A second Darknet, slow and in NumPy: what its C sources compute, channel by channel, index by index.

It shares nothing with the importer, neither its reader of cfg files nor its sizes. Tensors are [channels, height,
width].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np

from graphdsl.ir import Array

Options = dict[str, str]
Forward = Callable[["Darknet", Options, Array], Array]

EPS = 1e-6


def sections(text: str) -> list[tuple[str, Options]]:
    """Heads and options; of a key given twice the first counts."""
    found: list[tuple[str, Options]] = []
    for line in ("".join(line.split()) for line in text.splitlines()):
        if line.startswith("["):
            found.append((line[1:-1], {}))
        elif line and line[0] not in "#;":
            key, _, value = line.partition("=")
            found[-1][1].setdefault(key, value)
    return found


def number(options: Options, key: str, default: int = 0) -> int:
    return int(options.get(key, default))


class Darknet:
    """Layers are run in order; `outputs` holds what each gave, `boxes` what heads said."""

    def __init__(self, cfg: str, numbers: Array) -> None:
        self.net, *self.layers = sections(cfg)
        self.numbers = numbers
        self.at = 0
        self.outputs: list[Array] = []
        self.boxes: dict[int, Array] = {}
        self.parts: dict[int, tuple[Array, list[Array], Array]] = {}
        self.index = 0

    def run(self, x: Array) -> Array:
        for index, (kind, options) in enumerate(self.layers):
            self.index = index
            x = FORWARD[kind](self, options, x)
            self.outputs.append(x)
        return x

    def read(self, *shape: int) -> Array:
        count = math.prod(shape)
        self.at += count
        return self.numbers[self.at - count : self.at].reshape(shape)

    def normal(self, count: int) -> list[Array]:
        """Scales, means, and variances, which are made positive in the numbers themselves."""
        parts = [self.read(count) for _ in range(3)]
        np.abs(parts[2], out=parts[2])
        parts[2] += 0.1
        return parts

    def layer(self, index: int) -> Array:
        return self.outputs[self.index + index if index < 0 else index]

    @property
    def size(self) -> tuple[int, int]:
        return number(self.net[1], "height"), number(self.net[1], "width")


def logistic(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def stair(x: Array) -> Array:
    n = np.floor(x)
    return np.where(n % 2 == 0, np.floor(x / 2), (x - n) + np.floor(x / 2))


ACTIVATE: dict[str, Callable[[Array], Array]] = {
    "linear": lambda x: x,
    "logistic": logistic,
    "loggy": lambda x: 2 * logistic(x) - 1,
    "relu": lambda x: x * (x > 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": lambda x: np.where(x >= 0, x, np.exp(np.minimum(x, 0)) - 1),
    "selu": lambda x: 1.0507 * np.where(x >= 0, x, 1.6732 * (np.exp(np.minimum(x, 0)) - 1)),
    "relie": lambda x: np.where(x > 0, x, 0.01 * x),
    "ramp": lambda x: x * (x > 0) + 0.1 * x,
    "leaky": lambda x: np.where(x > 0, x, 0.1 * x),
    "tanh": np.tanh,
    "gelu": lambda x: 0.5 * x * (1 + np.tanh(0.797885 * x + 0.035677 * x**3)),
    "plse": lambda x: np.select([x < -4, x > 4], [0.01 * (x + 4), 0.01 * (x - 4) + 1], 0.125 * x + 0.5),
    "stair": stair,
    "hardtan": lambda x: np.clip(x, -1, 1),
    "lhtan": lambda x: np.select([x < 0, x > 1], [0.001 * x, 0.001 * (x - 1) + 1], x),
    "swish": lambda x: x * logistic(x),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "hard_mish": lambda x: np.select([x > 0, x > -2], [x, x * x / 2 + x], 0),
}


def activate(options: Options, x: Array, default: str = "logistic") -> Array:
    return ACTIVATE[options.get("activation", default)](x)


def normalised(net: Darknet, x: Array, biases: Array, scales: Array, mean: Array, variance: Array) -> Array:
    def column(v: Array) -> Array:
        return v.reshape(-1, *(1,) * (x.ndim - 1))

    return (x - column(mean)) / np.sqrt(column(variance) + EPS) * column(scales) + column(biases)


def convolved(x: Array, weights: Array, stride: tuple[int, int], pad: int, dilation: int, groups: int) -> Array:
    n, depth, size, _ = weights.shape
    _, h, w = x.shape
    out_h, out_w = (h + 2 * pad - size) // stride[0] + 1, (w + 2 * pad - size) // stride[1] + 1
    room = np.pad(x, ((0, 0), (pad * dilation,) * 2, (pad * dilation,) * 2))
    y = np.zeros((n, out_h, out_w))
    for f, i, j in product(range(n), range(size), range(size)):
        first = f // (n // groups) * depth
        rows = slice(i * dilation, i * dilation + (out_h - 1) * stride[0] + 1, stride[0])
        columns = slice(j * dilation, j * dilation + (out_w - 1) * stride[1] + 1, stride[1])
        y[f] += np.tensordot(weights[f, :, i, j], room[first : first + depth, rows, columns], 1)
    return y


def blurred(x: Array, kind: int, stride: int) -> Array:
    """A depthwise convolution with fixed weights."""
    kernel = np.full((2, 2), 0.25) if kind == 2 else np.outer([1, 2, 1], [1, 2, 1]) / 16
    weights = np.broadcast_to(kernel, (len(x), 1, *kernel.shape))
    return convolved(x, weights, (stride, stride), 0 if kind == 2 else 1, 1, len(x))


def convolutional(net: Darknet, o: Options, x: Array) -> Array:
    n, size, groups = number(o, "filters", 1), number(o, "size", 1), number(o, "groups", 1)
    stride = number(o, "stride", 1)
    steps = number(o, "stride_y", stride), number(o, "stride_x", stride)
    pad = size // 2 if number(o, "pad") else number(o, "padding")
    blur = number(o, "antialiasing")
    share = number(o, "share_index")
    if share:
        parts = net.parts[net.index + share]
    else:
        bias = net.read(n)
        normal = net.normal(n) if number(o, "batch_normalize") else []
        parts = bias, normal, net.read(n, len(x) // groups, size, size)
        net.parts[net.index] = parts
    bias, normal, weights = parts
    dilation = number(o, "dilation", 1) if size > 1 else 1
    y = convolved(x, weights, (1, 1) if blur else steps, pad, dilation, groups)
    y = normalised(net, y, bias, *normal) if normal else y + bias[:, None, None]
    y = activate(o, y)
    return blurred(y, blur, stride) if blur else y


def deconvolutional(net: Darknet, o: Options, x: Array) -> Array:
    n, size, stride = number(o, "filters", 1), number(o, "size", 1), number(o, "stride", 1)
    pad = size // 2 if number(o, "pad") else number(o, "padding")
    bias = net.read(n)
    normal = net.normal(n) if number(o, "batch_normalize") else []
    c, h, w = x.shape
    weights = net.read(c, n, size, size)
    y = np.zeros((n, (h - 1) * stride + size, (w - 1) * stride + size))
    for i, j in product(range(h), range(w)):
        y[:, i * stride : i * stride + size, j * stride : j * stride + size] += np.tensordot(x[:, i, j], weights, 1)
    y = y[:, pad : y.shape[1] - pad, pad : y.shape[2] - pad]
    return activate(o, normalised(net, y, bias, *normal) if normal else y + bias[:, None, None])


def connected(net: Darknet, o: Options, x: Array) -> Array:
    n = number(o, "output", 1)
    bias, weights = net.read(n), net.read(n, x.size)
    y = weights @ x.ravel()
    y = normalised(net, y, bias, *net.normal(n)) if number(o, "batch_normalize") else y + bias
    return activate(o, y).reshape(n, 1, 1)


def local(net: Darknet, o: Options, x: Array) -> Array:
    n, size, stride, pad = (number(o, k, d) for k, d in (("filters", 1), ("size", 1), ("stride", 1), ("pad", 0)))
    c, h, w = x.shape
    out_h, out_w = ((s - 1 if pad else s - size) // stride + 1 for s in (h, w))
    y = net.read(n, out_h, out_w).copy()
    weights = net.read(out_h, out_w, n, c, size, size)
    room = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
    for i, j in product(range(out_h), range(out_w)):
        seen = room[:, i * stride : i * stride + size, j * stride : j * stride + size]
        y[:, i, j] += np.tensordot(weights[i, j], seen, 3)
    return activate(o, y)


def batchnorm(net: Darknet, o: Options, x: Array) -> Array:
    return normalised(net, x, net.read(len(x)), *net.normal(len(x)))


def pooled(o: Options, x: Array, mean: bool) -> Array:
    stride = number(o, "stride", 1)
    across, down = number(o, "stride_x", stride), number(o, "stride_y", stride)
    size = number(o, "size", stride)
    padding = number(o, "padding", size - 1)
    blur = number(o, "antialiasing")
    if blur:
        across = down = 1
    c, h, w = x.shape
    out_h, out_w = (h + padding - size) // down + 1, (w + padding - size) // across + 1
    y = np.zeros((c, out_h, out_w))
    for i, j in product(range(out_h), range(out_w)):
        top, left = i * down - padding // 2, j * across - padding // 2
        seen = x[:, max(top, 0) : top + size, max(left, 0) : left + size]
        y[:, i, j] = seen.mean((1, 2)) if mean else seen.max((1, 2))
    return blurred(y, blur, stride) if blur else y


def softmax(net: Darknet, o: Options, x: Array) -> Array:
    scores = x / float(o.get("temperature", 1))
    if number(o, "spatial"):
        powers = np.exp(scores - scores.max(0))
        return np.asarray(powers / powers.sum(0))
    rows = scores.reshape(number(o, "groups", 1), -1)
    powers = np.exp(rows - rows.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True)).reshape(x.shape)


def crop(net: Darknet, o: Options, x: Array) -> Array:
    h, w = number(o, "crop_height", 1), number(o, "crop_width", 1)
    top, left = (x.shape[1] - h) // 2, (x.shape[2] - w) // 2
    y = x[:, top : top + h, left : left + w]
    return y if number(o, "noadjust") else y * 2 - 1


def route(net: Darknet, o: Options, x: Array) -> Array:
    groups, part = number(o, "groups", 1), number(o, "group_id")
    xs = [net.layer(int(i)) for i in o["layers"].split(",")]
    return np.concatenate([v[part * (len(v) // groups) : (part + 1) * (len(v) // groups)] for v in xs])


def shortcut(net: Darknet, o: Options, x: Array) -> Array:
    y = x * float(o.get("alpha", 1))
    for index in o["from"].split(","):
        add = net.layer(int(index))
        stride, c = max(add.shape[2] // x.shape[2], 1), min(len(add), len(x))
        h, w = min(add.shape[1], x.shape[1]), min(add.shape[2], x.shape[2])
        for k, j, i in product(range(c), range(h), range(w)):
            y[k, j, i] += float(o.get("beta", 1)) * add[k, j * stride, i * stride]
    return activate(o, y, "linear")


def upsample(net: Darknet, o: Options, x: Array) -> Array:
    stride = number(o, "stride", 2)
    return x.repeat(stride, 1).repeat(stride, 2) * float(o.get("scale", 1))


def reorg_cpu(x: Array, out_c: int, out_h: int, out_w: int, stride: int) -> Array:
    """Darknet's function of this name, with forward = 0."""
    out, flat, in_c = np.zeros(x.size), x.ravel(), out_c // (stride * stride)
    for k, j, i in product(range(out_c), range(out_h), range(out_w)):
        c2, offset = k % in_c, k // in_c
        w2, h2 = i * stride + offset % stride, j * stride + offset // stride
        out[i + out_w * (j + out_h * k)] = flat[w2 + out_w * stride * (h2 + out_h * stride * c2)]
    return out


def reorg(net: Darknet, o: Options, x: Array) -> Array:
    if number(o, "extra"):
        return np.concatenate([x.ravel(), np.zeros(number(o, "extra"))])[:, None, None]
    s, (c, h, w) = number(o, "stride", 1), x.shape
    return reorg_cpu(x, c, h, w, s).reshape(c * s * s, h // s, w // s)


def reorg3d(net: Darknet, o: Options, x: Array) -> Array:
    s, (c, h, w) = number(o, "stride", 1), x.shape
    size = (c * s * s, h // s, w // s)
    return reorg_cpu(x, *size, s).reshape(size)


def l2norm(net: Darknet, o: Options, x: Array) -> Array:
    return np.asarray(x / np.sqrt((x * x).sum(0)))


def multiplied(net: Darknet, o: Options, x: Array) -> Array:
    """scale_channels and sam."""
    return activate(o, net.layer(number(o, "from")) * x, "linear")


def implicit(net: Darknet, o: Options, x: Array) -> Array:
    return net.read(number(o, "filters", 128), 1, 1)


# --- heads: every box as x, y, width, height, object, classes --------------------------------------------------------


def yolo(net: Darknet, o: Options, x: Array) -> Array:
    anchors = [float(v) for v in o["anchors"].split(",")]
    mask = [int(v) for v in o.get("mask", "0").split(",")]
    scale, new = float(o.get("scale_x_y", 1)), number(o, "new_coords")
    net_h, net_w = net.size
    per, (_, h, w) = 5 + number(o, "classes"), x.shape
    rows = []
    for j, i, (n, m) in product(range(h), range(w), enumerate(mask)):
        t = x[n * per : (n + 1) * per, j, i]
        t = t if new else np.concatenate([logistic(t[:2]), t[2:4], logistic(t[4:])])
        where = t[:2] * scale - 0.5 * (scale - 1) + (i, j)
        size = t[2:4] ** 2 * 4 if new else np.exp(t[2:4])
        measure = anchors[2 * m] / net_w, anchors[2 * m + 1] / net_h
        rows.append(np.concatenate([where / (w, h), size * measure, t[4:]]))
    net.boxes[net.index] = np.array(rows)
    return x


def gaussian_yolo(net: Darknet, o: Options, x: Array) -> Array:
    per = 9 + number(o, "classes")
    unsure = [logistic(x[n * per + 1 : n * per + 8 : 2]).mean(0) for n in range(len(o["mask"].split(",")))]
    kept = [np.r_[n * per : n * per + 8 : 2, n * per + 8 : (n + 1) * per] for n in range(len(unsure))]
    yolo(net, o, x[np.concatenate(kept)])
    net.boxes[net.index][:, 4] *= 1 - np.stack(unsure, -1).ravel()
    return x


def region(net: Darknet, o: Options, x: Array) -> Array:
    anchors = [float(v) for v in o["anchors"].split(",")]
    per, (_, h, w) = 5 + number(o, "classes"), x.shape
    rows = []
    for j, i, n in product(range(h), range(w), range(number(o, "num"))):
        t = x[n * per : (n + 1) * per, j, i]
        centre = (logistic(t[:2]) + np.array([i, j])) / (w, h)
        size = np.exp(t[2:4]) * (anchors[2 * n] / w, anchors[2 * n + 1] / h)
        powers = np.exp(t[5:] - t[5:].max())
        kinds = powers / powers.sum() if number(o, "softmax") else logistic(t[5:])
        rows.append(np.concatenate([centre, size, logistic(t[4:5]), kinds]))
    net.boxes[net.index] = np.array(rows)
    return x


def detection(net: Darknet, o: Options, x: Array) -> Array:
    side, num, classes = number(o, "side"), number(o, "num"), number(o, "classes")
    flat, cells, power = x.ravel(), side * side, 2 if number(o, "sqrt") else 1
    rows = []
    for i, n in product(range(cells), range(num)):
        b = flat[cells * (classes + num) + (i * num + n) * 4 :][:4]
        kinds = flat[i * classes : (i + 1) * classes]
        centre = (b[0] + i % side) / side, (b[1] + i // side) / side
        rows.append([*centre, b[2] ** power, b[3] ** power, flat[cells * classes + i * num + n], *kinds])
    net.boxes[net.index] = np.array(rows)
    return x


FORWARD: dict[str, Forward] = {
    "convolutional": convolutional,
    "deconvolutional": deconvolutional,
    "connected": connected,
    "local": local,
    "batchnorm": batchnorm,
    "activation": lambda net, o, x: activate(o, x, "linear"),
    "maxpool": lambda net, o, x: pooled(o, x, mean=False),
    "local_avgpool": lambda net, o, x: pooled(o, x, mean=True),
    "avgpool": lambda net, o, x: x.mean((1, 2), keepdims=True),
    "dropout": lambda net, o, x: x,
    "cost": lambda net, o, x: x,
    "contrastive": lambda net, o, x: x,
    "softmax": softmax,
    "logistic": lambda net, o, x: logistic(x),
    "l2norm": l2norm,
    "crop": crop,
    "route": route,
    "shortcut": shortcut,
    "upsample": upsample,
    "reorg": reorg,
    "reorg3d": reorg3d,
    "scale_channels": multiplied,
    "sam": multiplied,
    "implicit": implicit,
    "yolo": yolo,
    "Gaussian_yolo": gaussian_yolo,
    "region": region,
    "detection": detection,
}
