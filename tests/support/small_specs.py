"""Small specs that together use every layer, for what writes models for other tools."""

from __future__ import annotations

import numpy as np

from graphdsl.model import Model
from graphdsl.report import Source

PICTURE, ROW, STEPS, FREE = "float[9, 7, 4]", "float[6]", "float[8, 4]", "float[T, 4]"
LAYERS = [
    (PICTURE, "conv(6, 3)"),
    (PICTURE, "conv(6, 3x2, stride=2x1, pad=same, dilation=1x2, groups=2, bias=false)"),
    (PICTURE, "conv(6, 3, stride=2, pad=same) -> conv(5, 3, pad=1)"),
    (PICTURE, "depthwise_conv(3, multiplier=2)"),
    (PICTURE, "separable_conv(6, 3, pad=same)"),
    (PICTURE, "conv_transpose(6, 3, stride=2)"),
    (PICTURE, "conv_transpose(6, 3, stride=2, pad=same)"),
    (PICTURE, "conv_transpose(6, 3, stride=2, pad=1, output_pad=1, groups=2)"),
    (PICTURE, "conv_transpose(6, 2, stride=3, pad=same)"),
    (PICTURE, "max_pool(3, stride=2, pad=1)"),
    (PICTURE, "max_pool(2x3)"),
    (PICTURE, "avg_pool(3, stride=2, pad=same)"),
    (PICTURE, "avg_pool(3, stride=2, pad=1, count_padding=true)"),
    (PICTURE, "conv(6, 3) -> batch_norm -> relu"),
    (PICTURE, "batch_norm(scale=false, center=false, eps=1e-3)"),
    (PICTURE, "conv(6, 3) -> layer_norm"),
    (PICTURE, "layer_norm(scale=false)"),
    (PICTURE, "layer_norm(center=false)"),
    (PICTURE, "layer_norm(scale=false, center=false)"),
    (PICTURE, "global_avg_pool"),
    (PICTURE, "conv(6, 3) -> global_avg_pool -> dense(3)"),
    (PICTURE, "conv(6, 3) -> global_max_pool -> dense(3)"),
    (PICTURE, "conv(6, 3) -> flatten -> dense(3)"),
    (PICTURE, "upsample(2)"),
    (PICTURE, "conv(6, 3) -> upsample(2x3) -> conv(2, 1)"),
    (PICTURE, "upsample(2x3, method=\"bilinear\")"),
    (PICTURE, "upsample(1x2, method=\"bilinear\")"),
    (PICTURE, "resize(4x11, mode=linear, align=corners)"),
    (PICTURE, "conv(6, 3) -> resize(9, mode=cubic) -> resize(3)"),
    (PICTURE, "conv(6, 3) -> pad(1, mode=reflect) -> reverse -> conv(2, 1)"),
    (PICTURE, "reverse(2) -> pad([1, 0, 2, 3], value=2) -> crop(1)"),
    (PICTURE, "max_pool(3, stride=2, ceil=true) -> avg_pool(2, stride=1, dilation=2)"),
    (PICTURE, "conv(6, 3) -> group_norm(2) -> instance_norm -> layer_norm(axis=0)"),
    (PICTURE, "conv(6, 3) -> local_response_norm -> l2_normalize -> mean_variance_norm"),
    (PICTURE, "resize(6x8) -> space_to_depth(2) -> channel_shuffle(4) -> depth_to_space(2) -> local_conv(2, 3)"),
    (PICTURE, "pad(1x2, 0x1) -> conv(3, 3)"),
    (PICTURE, "conv(6, 3) -> pad(1) -> slice(1, 4, axis=0)"),
    (PICTURE, "conv(6, 3) -> softmax"),
    (PICTURE, "softmax(temperature=2)"),
    (PICTURE, "conv(6, 3) -> reshape(7x5x2x3) -> transpose([2, 0, 1, 3]) -> reshape(70x3) -> conv(4, 3)"),
    (PICTURE, "conv(6, 3) -> reduce_mean([0, 1])"),
    (PICTURE, "conv(6, 3) -> reduce_mean(-1, keep=true) -> conv(2, 1)"),
    (PICTURE, "conv(6, 3) -> reduce_sum(0)"),
    (PICTURE, "conv(6, 3) -> reduce_max([1, 2])"),
    (PICTURE, "conv(6, 3) -> prelu"),
    (PICTURE, "conv(6, 3) -> prelu(per=\"element\") -> scale(per=\"tensor\")"),
    (PICTURE, "conv(6, 3) -> log_softmax(axis=1)"),
    (PICTURE, "dropout(0.5) -> gaussian_noise(0.1) -> conv(3, 1)"),
    (ROW, "dense(5) -> tanh -> dense(3, bias=false) -> softmax"),
    (ROW, "batch_norm"),
    (ROW, "layer_norm"),
    (ROW, "reshape(2x3) -> lstm(4)"),
    (ROW, "dense(12) -> reshape(2x3x2) -> conv_transpose(3, 2)"),
    (ROW, "repeat(4) -> gru(3, sequence=true)"),
    (STEPS, "conv(6, 3, stride=2, pad=same) -> batch_norm -> relu -> max_pool(2)"),
    (STEPS, "conv(6, 3, pad=causal, dilation=2)"),
    (STEPS, "conv_transpose(6, 3, stride=2) -> avg_pool(2)"),
    (STEPS, "dense(5) -> relu -> dense(2, bias=false)"),
    (STEPS, "conv(6, 3) -> dense(5)"),
    (STEPS, "transpose -> dense(5)"),
    (STEPS, "conv(4, 3) -> lstm(5)"),
    (STEPS, "lstm(5, sequence=true, reverse=true, bias=false) -> lstm(3)"),
    (STEPS, "gru(5, sequence=true) -> gru(3, reverse=true)"),
    (STEPS, "conv(4, 3) -> upsample(2) -> global_max_pool"),
    (STEPS, "global_avg_pool"),
    (FREE, "lstm(5, sequence=true, reverse=true) -> gru(3)"),
    (STEPS, "positions -> attention(2, width=6, causal=true, bias=false)"),
    (STEPS, "positions(20, kind=sinusoidal) -> attention(2, width=4, units=3) -> layer_norm"),
    (FREE, "attention(2, width=4, causal=true) -> attention(2, width=4)"),
    (FREE, "conv(5, 3, stride=2, pad=1) -> relu -> max_pool(2) -> global_max_pool"),
    (FREE, "conv(5, 3) -> global_avg_pool"),
    (FREE, "conv(5, 3, pad=same) -> batch_norm -> max_pool(2, stride=1, pad=same) -> reduce_mean(0)"),
    (FREE, "dense(5) -> relu -> reduce_max(0)"),
    (FREE, "slice(1, axis=0) -> pad(1) -> avg_pool(3, pad=1, count_padding=true) -> reduce_sum(0)"),
    (FREE, "flatten -> softmax"),
    (FREE, "upsample(2) -> lstm(2)"),
    ("int(7)", "one_hot -> dense(3)"),
    ("int(7)[5]", "embedding(3) -> conv(4, 2)"),
    ("int(7)[T]", "embedding(3) -> gru(4)"),
]  # fmt: skip

TEXTS = {
    "arithmetic": "input a, b: float[4, 5, 3]\noutput y = (1 - a) * b / 2 + a ** 2 - 3 / (b * b + 1)",
    "means": "input a, b, c: float[4]\noutput y = [a, b, c] -> average\noutput z = [[a, b, c] -> add, a, b] -> maximum",
    "least": "input a, b, c: float[4]\noutput y = [a, [b, c] -> subtract, c] -> minimum",
    "dots": "input a, b: float[4]\noutput y = [a, b] -> dot\noutput z = [a, b] -> dot(normalize=true)",
    "attention": "input a, b: float[5, 4]\noutput y = [a -> dense(3), b -> dense(3)] -> dot -> softmax",
    "memory": "input a: float[5, 4]\ninput b: float[7, 3]\noutput y = [a, b] -> attention(2)",
    "wide values": "input a: float[5, 4]\noutput y = a -> attention(2, width=4, value_width=6)",
    "free positions": "input a: float[T, 4]\noutput y = a -> positions(20) -> attention(2, causal=true)",
    "weights": "input a: float[4, 5, 3]\nweight w: float[4, 5, 3] = normal(0, 1)\n"
    "weight v: float[3] = normal(0, 1)\noutput y = (a -> conv(3, 1)) * w\noutput z = (a -> global_avg_pool) + v\n"
    "output u = [w, a] -> concat -> conv(2, 1)",
    "excite": "input a: float[4, 5, 6]\nx = a -> conv(6, 1)\n"
    "s = x -> global_avg_pool -> dense(2) -> relu -> dense(6) -> sigmoid -> reshape(1x1x6) -> upsample(4x5)\n"
    "output y = x * s -> conv(2, 1)",
    "places": "input a: float[4, 5, 6]\nx = a -> conv(6, 1)\nv, p = x -> max_pool_places(2)\n"
    "output y = [v, p] -> max_unpool(4x5)",
    "running": "input a: float[4, 5, 6]\nx = a -> conv(6, 1)\noutput z = x -> cumsum(axis=0, reverse=true)\n"
    "output w = x -> cumsum(axis=1, exclusive=true)\noutput u = x -> argmax -> one_hot -> reduce_sum([0, 1])",
    "split": "input a: float[4, 5, 6]\np, q = a -> conv(6, 1) -> split(2)\n"
    "output y = [p, q -> relu, a] -> concat -> conv(2, 1)",
    "itself": "input a: float[4]\noutput y = a\noutput z = a -> linear",
    "twice": "input a: float[4]\nb = a -> dense(3)\noutput y = b\noutput z = b\noutput u = b -> relu",
    "shared": "input a, b: float[6, 5, 3]\nshared c = conv(4, 3)\n"
    "output y = [a -> c, b -> c] -> subtract -> global_avg_pool",
    "used as it is, too": "input a: float[5, 4]\nweight k: float[5, 4] = normal(0, 1)\n"
    "output y = [a, k] -> multiply\noutput z = [a -> conv(4, 2), a -> conv(4, 2)] -> add",
}


def model_of(text: str) -> Model:
    """The model of a text, with weights of which none is 0 or 1 by rule."""
    model = Model(Source("spec.dag", text))
    generator = np.random.default_rng(1)
    weights = model.executor.weights
    for name in list(weights):
        array = weights[name]
        noise = 0.1 * generator.standard_normal(array.shape)
        weights[name] = (array + np.abs(noise) if name.endswith("variance") else array + noise).astype(array.dtype)
    return model
