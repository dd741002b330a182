"""Imported nets compute what Caffe does: its layers in NumPy are the judge, with the same .caffemodel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interop.caffe.nets import data, layer, net, run
from tests.support import caffe_layers as caffe

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(11)


def some(*shape: int) -> Array:
    return RNG.standard_normal(shape, np.float32)


def demand_close(got: Array, expected: Array) -> None:
    assert got.shape == expected.shape
    assert np.abs(got - expected).max() <= 2e-5 * max(1.0, float(np.abs(expected).max()))


def alone(folder: Path, x: Array, prototxt: str, blobs: list[Array] | None = None) -> Array:
    """The result of one layer called `y` over x."""
    made = net(folder, data(*x.shape[1:]) + prototxt, {"y": blobs} if blobs else None)
    (found,) = run(folder, made, {"data": x}).values()
    return found


@pytest.mark.parametrize(
    ("settings", "size", "how"),
    [
        ("num_output: 6 kernel_size: 3", (3, 3), {}),
        (
            "num_output: 6 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1",
            (3, 2),
            {"stride": (2, 1), "pad": (0, 1)},
        ),
        (
            "num_output: 6 kernel_size: 3 group: 2 pad: 2 dilation: 2",
            (3, 3),
            {"group": 2, "pad": (2, 2), "dilation": (2, 2)},
        ),
        ("num_output: 8 kernel_size: 3 group: 4 pad: 1", (3, 3), {"group": 4, "pad": (1, 1)}),
        ("num_output: 6 kernel_size: 2 kernel_size: 3", (2, 3), {}),
    ],
)
def test_convolution(tmp_path: Path, settings: str, size: tuple[int, int], how: dict[str, Any]) -> None:
    x = some(2, 4, 7, 8)
    filters = 8 if "8" in settings else 6
    w, b = some(filters, 4 // how.get("group", 1), *size), some(filters)
    got = alone(tmp_path, x, layer("Convolution", "y", "data", f"convolution_param {{ {settings} }}"), [w, b])
    demand_close(got, caffe.convolution(x, w, b, **how))


def test_depthwise_of_somebodys_own(tmp_path: Path) -> None:
    x, w, b = some(1, 4, 6, 6), some(4, 1, 3, 3), some(4)
    param = "convolution_param { num_output: 4 kernel_size: 3 }"
    got = alone(tmp_path, x, layer("ConvolutionDepthwise", "y", "data", param), [w, b])
    demand_close(got, caffe.convolution(x, w, b, group=4))


def test_deconvolution(tmp_path: Path) -> None:
    x, w, b = some(2, 4, 5, 3), some(4, 3, 4, 4), some(6)
    param = "convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 group: 2 }"
    got = alone(tmp_path, x, layer("Deconvolution", "y", "data", param), [w, b])
    demand_close(got, caffe.deconvolution(x, w, b, (2, 2), (1, 1), 2))


POOLS = [
    ("kernel_size: 3 stride: 2", (3, 3), (2, 2), (0, 0)),
    ("kernel_size: 2 stride: 2", (2, 2), (2, 2), (0, 0)),
    ("kernel_size: 3 stride: 2 pad: 1", (3, 3), (2, 2), (1, 1)),
    ("kernel_size: 2 stride: 2 pad: 1", (2, 2), (2, 2), (1, 1)),
    ("kernel_size: 5 stride: 3 pad: 2", (5, 5), (3, 3), (2, 2)),
    ("kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 3 pad_h: 1 pad_w: 0", (3, 2), (1, 3), (1, 0)),
]


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("sides", [(6, 7), (8, 9)])
@pytest.mark.parametrize(("settings", "size", "stride", "pad"), POOLS)
def test_pooling(
    tmp_path: Path, settings: str, size: Any, stride: Any, pad: Any, sides: tuple[int, int], mean: bool
) -> None:
    x = some(2, 3, *sides)
    param = f"pooling_param {{ pool: {'AVE' if mean else 'MAX'} {settings} }}"
    got = alone(tmp_path, x, layer("Pooling", "y", "data", param))
    demand_close(got, caffe.pooling(x, size, stride, pad, mean=mean))


@pytest.mark.parametrize("rule", ["round_mode: FLOOR", "ceil_mode: false"])
def test_pooling_that_rounds_down(tmp_path: Path, rule: str) -> None:
    x = some(1, 2, 8, 6)
    got = alone(tmp_path, x, layer("Pooling", "y", "data", f"pooling_param {{ kernel_size: 3 stride: 2 {rule} }}"))
    demand_close(got, caffe.pooling(x, (3, 3), (2, 2), (0, 0), up=False))


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize("settings", ["global_pooling: true", "kernel_size: 5", "kernel_size: 6 stride: 2"])
def test_pooling_of_everything(tmp_path: Path, pool: str, settings: str) -> None:
    x = some(2, 3, 5, 5)
    got = alone(tmp_path, x, layer("Pooling", "y", "data", f"pooling_param {{ pool: {pool} {settings} }}"))
    demand_close(got, x.mean((2, 3)) if pool == "AVE" else x.max((2, 3)))


def test_inner_product_of_a_picture(tmp_path: Path) -> None:
    """Caffe's order is channels, rows, columns, ours rows, columns, channels."""
    x, w, b = some(2, 3, 4, 5), some(7, 60), some(7)
    param = "inner_product_param { num_output: 7 }"
    demand_close(alone(tmp_path, x, layer("InnerProduct", "y", "data", param), [w, b]), caffe.inner_product(x, w, b))
    behind = layer("Flatten", "flat", "data") + layer("ReLU", "relu", "flat", top="flat")
    got = alone(tmp_path, x, behind + layer("InnerProduct", "y", "flat", param), [w, b])
    demand_close(got, caffe.inner_product(np.maximum(x, 0), w, b))
    turned = "inner_product_param { num_output: 7 transpose: true }"
    got = alone(tmp_path, x, layer("InnerProduct", "y", "data", turned), [np.ascontiguousarray(w.T), b])
    demand_close(got, caffe.inner_product(x, w, b))


def test_inner_product_over_steps(tmp_path: Path) -> None:
    x, w, b = some(2, 3, 5), some(4, 5), some(4)
    param = "inner_product_param { num_output: 4 axis: 2 }"
    got = alone(tmp_path, x, layer("InnerProduct", "y", "data", param), [w, b])
    demand_close(np.moveaxis(got, 1, -1), x @ w.T + b)


@pytest.mark.parametrize("factor", [999.9823, 0.0])
@pytest.mark.parametrize("bias", [True, False])
def test_batch_norm_and_scale(tmp_path: Path, bias: bool, factor: float) -> None:
    x, gamma, beta = some(2, 3, 4, 4), some(3), some(3)
    sums = [some(3) * 100, np.abs(some(3)) * 100 + 50, np.array([factor], np.float32)]
    texts = data(3, 4, 4) + layer("BatchNorm", "bn", "data", "batch_norm_param { eps: 0.001 }", top="data")
    texts += layer("Scale", "s", "data", f"scale_param {{ bias_term: {str(bias).lower()} }}", top="data")
    made = net(tmp_path, texts, {"bn": sums, "s": [gamma, beta] if bias else [gamma]})
    assert [la.word for la in made.layers] == ["batch_norm"]
    (got,) = run(tmp_path, made, {"data": x}).values()
    by = gamma[:, None, None]
    expected = caffe.batch_norm(x, sums, 0.001) * by + (beta[:, None, None] if bias else 0)
    demand_close(got, expected)


def test_batch_norm_that_two_read(tmp_path: Path) -> None:
    """The Scale is one reader of two, so it stays a layer of its own."""
    x, gamma, beta = some(2, 3, 4, 4), some(3), some(3)
    sums = [some(3), np.abs(some(3)) + 1, np.ones(1, np.float32)]
    texts = data(3, 4, 4) + layer("BatchNorm", "bn", "data")
    texts += layer("Scale", "s", "bn", "scale_param { bias_term: true }") + layer("Eltwise", "y", "bn s")
    made = net(tmp_path, texts, {"bn": sums, "s": [gamma, beta]})
    (got,) = run(tmp_path, made, {"data": x}).values()
    plain = caffe.batch_norm(x, sums)
    demand_close(got, plain + plain * gamma[:, None, None] + beta[:, None, None])


def test_scale_and_bias(tmp_path: Path) -> None:
    x, gamma, beta = some(2, 3, 4, 5), some(3), some(3)
    got = alone(tmp_path, x, layer("Scale", "y", "data", "scale_param { bias_term: true }"), [gamma, beta])
    demand_close(got, x * gamma[:, None, None] + beta[:, None, None])
    demand_close(alone(tmp_path, x, layer("Bias", "y", "data"), [beta]), x + beta[:, None, None])
    whole = some(3, 4, 5)
    got = alone(tmp_path, x, layer("Scale", "y", "data", "scale_param { num_axes: -1 }"), [whole])
    demand_close(got, x * whole)
    one = np.float32(1.5).reshape(())
    demand_close(alone(tmp_path, x, layer("Scale", "y", "data", "scale_param { num_axes: 0 }"), [one]), x * 1.5)


def test_products_with_a_gate(tmp_path: Path) -> None:
    """Squeeze and excitation: each channel times a number that its own mean decides about."""
    x, w, b = some(2, 3, 4, 5), some(3, 3, 1, 1), some(3)
    head = layer("Pooling", "p", "data", "pooling_param { pool: AVE global_pooling: true }")
    head += layer("Convolution", "c", "p", "convolution_param { num_output: 3 kernel_size: 1 }")
    head += layer("Sigmoid", "g", "c")
    gate = 1 / (1 + np.exp(-(x.mean((2, 3)) @ w[:, :, 0, 0].T + b)))[:, :, None, None]
    flat = layer("Reshape", "f", "g", "reshape_param { shape { dim: 0 dim: -1 } }")
    for tail, expected in (
        (flat + layer("Scale", "y", "data f", "scale_param { axis: 0 }"), x * gate),
        (layer("Scale", "y", "data g", "scale_param { axis: 0 }"), x * gate),
        (layer("Bias", "y", "data g", "bias_param { axis: 0 }"), x + gate),
        (layer("Axpy", "y", "g data data"), x * gate + x),
    ):
        made = net(tmp_path, data(3, 4, 5) + head + tail, {"c": [w, b]})
        demand_close(run(tmp_path, made, {"data": x})["y"], expected)


def test_local_response_norm(tmp_path: Path) -> None:
    x = some(2, 7, 3, 4)
    param = "lrn_param { local_size: 5 alpha: 0.9 beta: 0.6 k: 2 }"
    demand_close(alone(tmp_path, x, layer("LRN", "y", "data", param)), caffe.lrn(x, 5, 0.9, 0.6, 2))
    demand_close(alone(tmp_path, x, layer("LRN", "y", "data")), caffe.lrn(x, 5, 1, 0.75))


def test_local_response_norm_within_a_channel(tmp_path: Path) -> None:
    x = some(2, 3, 6, 5)
    param = "lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL }"
    demand_close(alone(tmp_path, x, layer("LRN", "y", "data", param)), caffe.lrn_within(x, 3, 0.5, 0.75))


@pytest.mark.parametrize("across", [True, False])
@pytest.mark.parametrize("variance", [True, False])
def test_mean_variance_norm(tmp_path: Path, across: bool, variance: bool) -> None:
    x = some(2, 3, 4, 5)
    flags = f"across_channels: {str(across).lower()} normalize_variance: {str(variance).lower()}"
    axes = (1, 2, 3) if across else (2, 3)
    expected = x - x.mean(axes, keepdims=True)
    expected = expected / (x.std(axes, keepdims=True) + 1e-9) if variance else expected
    demand_close(alone(tmp_path, x, layer("MVN", "y", "data", f"mvn_param {{ {flags} }}")), expected)


def test_normalize_of_ssd(tmp_path: Path) -> None:
    x, gamma = some(2, 3, 4, 5), some(3)
    param = "norm_param { across_spatial: false channel_shared: false }"
    expected = x / np.sqrt((x**2).sum(1, keepdims=True)) * gamma[:, None, None]
    demand_close(alone(tmp_path, x, layer("Normalize", "y", "data", param), [gamma]), expected)
    expected = x / np.sqrt((x**2).sum((1, 2, 3), keepdims=True)) * gamma[0]
    demand_close(alone(tmp_path, x, layer("Normalize", "y", "data"), [gamma[:1]]), expected)


ELEMENTWISE: list[tuple[str, str, Callable[[Array], Array]]] = [
    ("ReLU", "", lambda x: np.maximum(x, 0)),
    ("ReLU", "relu_param { negative_slope: 0.1 }", lambda x: np.where(x > 0, x, 0.1 * x)),
    ("ReLU", "relu_param { negative_slope: -0.5 }", lambda x: np.where(x > 0, x, -0.5 * x)),
    ("ELU", "elu_param { alpha: 0.5 }", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    ("Sigmoid", "", lambda x: 1 / (1 + np.exp(-x))),
    ("TanH", "", np.tanh),
    ("AbsVal", "", np.abs),
    ("BNLL", "", lambda x: np.log1p(np.exp(x))),
    ("Power", "power_param { power: 2 scale: 0.5 shift: 3 }", lambda x: (3 + 0.5 * x) ** 2),
    ("Power", "power_param { scale: -1 }", lambda x: -x),
    ("Power", "", lambda x: x),
    ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }", lambda x: 2 ** (1 + 0.5 * x)),
    ("Exp", "", np.exp),
    ("Log", "log_param { base: 10 scale: 0.1 shift: 7 }", lambda x: np.log10(7 + 0.1 * x)),
    ("Threshold", "threshold_param { threshold: 0.5 }", lambda x: (x > 0.5).astype(np.float32)),
    ("Dropout", "dropout_param { dropout_ratio: 0.3 }", lambda x: x),
    ("Softmax", "", caffe.softmax),
    ("Softmax", "softmax_param { axis: 2 }", lambda x: np.swapaxes(caffe.softmax(np.swapaxes(x, 1, 2)), 1, 2)),
    ("Reduction", "reduction_param { axis: 2 operation: SUMSQ coeff: 0.5 }", lambda x: 0.5 * (x**2).sum((2, 3))),
    ("Reduction", "reduction_param { axis: -1 operation: MEAN }", lambda x: x.mean(3)),
    ("Tile", "tile_param { axis: 2 tiles: 3 }", lambda x: np.tile(x, (1, 1, 3, 1))),
]


@pytest.mark.parametrize(("kind", "param", "formula"), ELEMENTWISE, ids=lambda v: v if isinstance(v, str) else "")
def test_one_tensor(tmp_path: Path, kind: str, param: str, formula: Callable[[Array], Array]) -> None:
    x = some(2, 3, 4, 5)
    behind = layer("ReLU", "z", "y")  # so that a result is asked for that is no input
    before = layer("TanH", "t", "data") + layer(kind, "y", "t", param)
    made = net(tmp_path, data(3, 4, 5) + before + behind)
    (got,) = run(tmp_path, made, {"data": x}).values()
    demand_close(got, np.maximum(formula(np.tanh(x)), 0))


def test_prelu(tmp_path: Path) -> None:
    x, slope = some(2, 3, 4, 5), some(3)
    expected = np.where(x > 0, x, x * slope[:, None, None])
    demand_close(alone(tmp_path, x, layer("PReLU", "y", "data"), [slope]), expected)
    got = alone(tmp_path, x, layer("PReLU", "y", "data", "prelu_param { channel_shared: true }"), [slope[:1]])
    demand_close(got, np.where(x > 0, x, x * slope[0]))


def test_eltwise(tmp_path: Path) -> None:
    a, b, c = (some(2, 3, 4, 4) for _ in range(3))
    inputs = {"a": a, "b": b, "c": c}
    heads = "".join(data(3, 4, 4, name=name) for name in inputs)
    texts = heads + layer("Eltwise", "s", "a b c", "eltwise_param { operation: SUM coeff: 1 coeff: -2 coeff: 0.5 }")
    texts += layer("Eltwise", "p", "a b", "eltwise_param { operation: PROD }")
    texts += layer("Eltwise", "m", "a b c", "eltwise_param { operation: MAX }")
    texts += layer("Eltwise", "d", "a b", "eltwise_param { coeff: 1 coeff: -1 }")
    found = run(tmp_path, net(tmp_path, texts), inputs)
    for name, expected in (
        ("s", a - 2 * b + 0.5 * c),
        ("p", a * b),
        ("m", np.maximum(np.maximum(a, b), c)),
        ("d", a - b),
    ):
        demand_close(found[name], expected)


def test_concat_and_slice(tmp_path: Path) -> None:
    a, b = some(2, 3, 4, 5), some(2, 2, 4, 5)
    texts = data(3, 4, 5, name="a") + data(2, 4, 5, name="b") + layer("Concat", "cat", "a b")
    texts += layer("Slice", "cut", "cat", "slice_param { axis: 1 slice_point: 1 slice_point: 3 }", top="p q r")
    texts += layer("Slice", "rows", "q", "slice_param { axis: 2 }", top="u v")
    texts += layer("Concat", "tall", "u v u", "concat_param { axis: 2 }")
    found = run(tmp_path, net(tmp_path, texts), {"a": a, "b": b})
    whole = np.concatenate([a, b], 1)
    demand_close(found["p"], whole[:, :1])
    demand_close(found["r"], whole[:, 3:])
    q = whole[:, 1:3]
    demand_close(found["tall"], np.concatenate([q, q[:, :, :2]], 2))


def test_crop(tmp_path: Path) -> None:
    x, to = some(2, 3, 7, 8), some(2, 5, 4, 5)
    texts = data(3, 7, 8) + data(5, 4, 5, name="to") + layer("TanH", "other", "to")
    texts += layer("Crop", "y", "data to", "crop_param { axis: 2 offset: 1 offset: 2 }")
    demand_close(run(tmp_path, net(tmp_path, texts), {"data": x, "to": to})["y"], x[:, :, 1:5, 2:7])


@pytest.mark.parametrize(
    ("settings", "sides"),
    [("height: 7 width: 9", (7, 9)), ("zoom_factor: 2", (7, 9)), ("shrink_factor: 2 zoom_factor: 3", (4, 7))],
)
def test_interpolation(tmp_path: Path, settings: str, sides: tuple[int, int]) -> None:
    """interp_layer: the first and the last place stay where they are."""
    x = some(2, 3, 4, 5)
    got = alone(tmp_path, x, layer("Interp", "y", "data", f"interp_param {{ {settings} }}"))
    rows, columns = np.linspace(0, 3, sides[0]), np.linspace(0, 4, sides[1])
    tall = np.apply_along_axis(lambda line: np.interp(rows, np.arange(4), line), 2, x)
    demand_close(got, np.apply_along_axis(lambda line: np.interp(columns, np.arange(5), line), 3, tall))


def test_orders_of_numbers_in_flat_tensors(tmp_path: Path) -> None:
    """Two maps of two sizes are made flat and joined, as detectors do: in Caffe's order, with Permute and without."""
    a, b = some(2, 3, 4, 5), some(2, 2, 2, 2)
    order = "permute_param { order: 0 order: 2 order: 3 order: 1 }"
    texts = data(3, 4, 5, name="a") + data(2, 2, 2, name="b")
    texts += layer("Flatten", "fa", "a") + layer("Flatten", "fb", "b") + layer("Concat", "plain", "fa fb")
    texts += layer("Permute", "pa", "a", order) + layer("Flatten", "ga", "pa")
    texts += layer("Permute", "pb", "b", order) + layer("Flatten", "gb", "pb") + layer("Concat", "turned", "ga gb")
    made = net(tmp_path, texts)
    found = run(tmp_path, made, {"a": a, "b": b})
    demand_close(found["plain"], np.concatenate([a.reshape(2, -1), b.reshape(2, -1)], 1))
    flat = [x.transpose(0, 2, 3, 1).reshape(2, -1) for x in (a, b)]
    demand_close(found["turned"], np.concatenate(flat, 1))
    assert sum(la.word == "transpose" for la in made.layers) == 2


def test_reshape(tmp_path: Path) -> None:
    x, w, b = some(2, 6, 4, 5), some(3, 12, 2, 5), some(3)
    texts = data(6, 4, 5) + layer("Reshape", "r", "data", "reshape_param { shape { dim: 0 dim: 12 dim: -1 dim: 5 } }")
    texts += layer("Convolution", "y", "r", "convolution_param { num_output: 3 kernel_h: 2 kernel_w: 5 }")
    found = run(tmp_path, net(tmp_path, texts, {"y": [w, b]}), {"data": x})["y"]
    demand_close(found, caffe.convolution(x.reshape(2, 12, 2, 5), w, b))


def test_convolution_of_one_place_is_dense(tmp_path: Path) -> None:
    x, w, b, v = some(2, 3, 4, 4), some(5, 3, 1, 1), some(5), some(3, 5, 1, 1)
    texts = data(3, 4, 4) + layer("Pooling", "p", "data", "pooling_param { pool: AVE global_pooling: true }")
    texts += layer("Convolution", "a", "p", "convolution_param { num_output: 5 kernel_size: 1 }")
    texts += layer("Convolution", "y", "a", "convolution_param { num_output: 3 kernel_size: 1 bias_term: false }")
    made = net(tmp_path, texts, {"a": [w, b], "y": [v]})
    assert [la.word for la in made.layers] == ["global_avg_pool", "dense", "dense"]
    expected = (x.mean((2, 3)) @ w[:, :, 0, 0].T + b) @ v[:, :, 0, 0].T
    demand_close(run(tmp_path, made, {"data": x})["y"], expected)


def test_embed(tmp_path: Path) -> None:
    words, table, bias = np.array([[1, 4, 0], [2, 2, 3]], np.int32), some(5, 4), some(4)
    texts = data(3) + layer("Embed", "y", "data", "embed_param { num_output: 4 input_dim: 5 }")
    made = net(tmp_path, texts, {"y": [table, bias]})
    assert made.inputs[0].type == "int(5)[3]"
    found = run(tmp_path, made, {"data": words})["y"]
    demand_close(np.moveaxis(found, 1, -1), table[words] + bias)


def test_spatial_pyramid(tmp_path: Path) -> None:
    x = some(2, 3, 7, 6)
    got = alone(tmp_path, x, layer("SPP", "y", "data", "spp_param { pyramid_height: 3 pool: MAX }"))
    parts = []
    for bins in (1, 2, 4):
        size = -(-7 // bins), -(-6 // bins)
        pad = (size[0] * bins - 7 + 1) // 2, (size[1] * bins - 6 + 1) // 2
        parts.append(caffe.pooling(x, size, size, pad).reshape(2, -1))
    demand_close(got, np.concatenate(parts, 1))


def test_shared_weights_are_one_layer(tmp_path: Path) -> None:
    a, b, w, bias = some(2, 3, 4, 4), some(2, 3, 4, 4), some(5, 3, 3, 3), some(5)
    param = 'param { name: "w" } param { name: "b" } convolution_param { num_output: 5 kernel_size: 3 }'
    texts = data(3, 4, 4, name="a") + data(3, 4, 4, name="b")
    texts += layer("Convolution", "first", "a", param) + layer("Convolution", "second", "b", param)
    texts += layer("TanH", "u", "first") + layer("TanH", "v", "second")
    made = net(tmp_path, texts, {"first": [w, bias], "second": [w, bias]})
    assert made.layers[1].shares == "first"
    found = run(tmp_path, made, {"a": a, "b": b})
    demand_close(found["u"], np.tanh(caffe.convolution(a, w, bias)))
    demand_close(found["v"], np.tanh(caffe.convolution(b, w, bias)))
