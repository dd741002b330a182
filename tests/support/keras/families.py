"""Small Keras models, one for each family of layers, made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

FAMILIES: dict[str, Callable[[Any], Any]] = {}
"""By name: a function of the keras module → a model."""


def family(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    FAMILIES[function.__name__] = function
    return function


def chain(keras: Any, shape: tuple[int | None, ...], *layers: Any) -> Any:
    return keras.Sequential([keras.Input(shape), *layers])


def sequences(name: str, shape: tuple[int | None, ...], make: Callable[[Any], list[Any]]) -> None:
    """A chain of layers as a family."""
    FAMILIES[name] = lambda keras: chain(keras, shape, *make(keras.layers))


sequences("dense", (7,), lambda L: [L.Dense(5, "tanh"), L.Dense(4, use_bias=False), L.Dense(3, "softmax")])
sequences("dense_over_time", (6, 4), lambda L: [L.Dense(5, "relu")])
sequences("dense_over_pixels", (6, 5, 4), lambda L: [L.Dense(5, "relu")])
sequences("conv1d", (12, 3), lambda L: [L.Conv1D(4, 3, padding="causal", dilation_rate=2), L.Conv1D(5, 3, 2, "same")])
sequences("conv2d", (11, 9, 3), lambda L: [L.Conv2D(4, 3, 2, "same"), L.Conv2D(6, (3, 2), use_bias=False)])
sequences("conv2d_groups", (11, 9, 4), lambda L: [L.Conv2D(6, 3, groups=2, dilation_rate=(1, 2))])
sequences("conv2d_transpose", (5, 4, 3), lambda L: [L.Conv2DTranspose(4, 3, 2, "same"), L.Conv2DTranspose(2, 2, 3)])
sequences("conv1d_transpose", (5, 3), lambda L: [L.Conv1DTranspose(4, 3, 2, "same"), L.Conv1DTranspose(2, 4)])
sequences("separable", (9, 8, 3), lambda L: [L.SeparableConv2D(5, 3, depth_multiplier=2, padding="same")])
sequences("separable1d", (9, 3), lambda L: [L.SeparableConv1D(5, 3, use_bias=False)])
sequences("depthwise", (9, 8, 3), lambda L: [L.DepthwiseConv2D(3, 2, "same", depth_multiplier=2)])
sequences("depthwise1d", (9, 3), lambda L: [L.DepthwiseConv1D(3, depth_multiplier=2)])
sequences("padding", (5, 4, 3), lambda L: [L.ZeroPadding2D(((1, 2), (0, 1))), L.Conv2D(2, 2)])
sequences("padding1d", (5, 3), lambda L: [L.ZeroPadding1D((1, 2)), L.Conv1D(2, 2)])
sequences("cropping", (8, 7, 3), lambda L: [L.Cropping2D(((1, 2), (0, 1)))])
sequences("cropping1d", (8, 3), lambda L: [L.Cropping1D((0, 3))])
sequences("upsampling", (4, 3, 2), lambda L: [L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear")])
sequences("volume", (6, 7, 6, 2), lambda L: [L.ZeroPadding3D(1), L.Conv3D(3, 2), L.MaxPooling3D(2), L.UpSampling3D(2)])
sequences("volume_transposed", (3, 4, 3, 2), lambda L: [L.Conv3DTranspose(3, 2, 2), L.GlobalAveragePooling3D()])
sequences("upsampling1d", (4, 3), lambda L: [L.UpSampling1D(3)])
sequences("pools", (9, 8, 3), lambda L: [L.MaxPooling2D(3, 2, "same"), L.AveragePooling2D(2, 1, "same")])
sequences("pools1d", (9, 3), lambda L: [L.MaxPooling1D(2, 1), L.AveragePooling1D(3)])
sequences("global_avg", (5, 4, 3), lambda L: [L.GlobalAveragePooling2D(), L.Dense(2)])
sequences("global_max", (5, 4, 3), lambda L: [L.GlobalMaxPooling2D(keepdims=True)])
sequences("global_1d", (5, 3), lambda L: [L.GlobalMaxPooling1D()])
sequences("batch_norm", (5, 4, 3), lambda L: [L.BatchNormalization(), L.BatchNormalization(scale=False)])
sequences("batch_norm_axis", (5, 4, 3), lambda L: [L.BatchNormalization(axis=1), L.Conv2D(2, 1)])
sequences("layer_norm", (6, 4), lambda L: [L.LayerNormalization(), L.LayerNormalization(center=False)])
sequences("shapes", (4, 6), lambda L: [L.Reshape((-1, 3)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(3)])
sequences("relus", (8,), lambda L: [L.ReLU(2.5), L.LeakyReLU(0.2), L.ELU(0.7), L.ReLU(negative_slope=0.3)])
sequences("relu_threshold", (8,), lambda L: [L.ReLU(threshold=0.4), L.ReLU(1.0, negative_slope=0.1)])
sequences("prelu", (5, 4, 3), lambda L: [L.PReLU(), L.PReLU(shared_axes=[1, 2])])
sequences("group_norm", (5, 4, 6), lambda L: [L.GroupNormalization(3), L.GroupNormalization(-1)])
sequences("layer_norm_of_all", (5, 4, 3), lambda L: [L.LayerNormalization(axis=[1, 2, 3])])
sequences("unit_norm", (5, 4), lambda L: [L.UnitNormalization()])
sequences("relu6", (8,), lambda L: [L.ReLU(6.0), L.Softmax()])
sequences("noise", (8,), lambda L: [L.Dropout(0.5), L.GaussianNoise(0.1), L.AlphaDropout(0.1), L.GaussianDropout(0.1)])
sequences("rescaling", (4, 4, 3), lambda L: [L.Rescaling(1 / 255, -0.5), L.Rescaling([1.0, 2.0, 3.0], [0.0, 1.0, 2.0])])
sequences("normalization", (4, 4, 3), lambda L: [L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])])
sequences("normalization_of_columns", (3,), lambda L: [L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])])
sequences("lstm", (6, 4), lambda L: [L.LSTM(5, return_sequences=True), L.LSTM(3)])
sequences("gru", (6, 4), lambda L: [L.GRU(5, return_sequences=True), L.GRU(3, go_backwards=True)])
sequences("backward_steps", (6, 4), lambda L: [L.GRU(5, return_sequences=True, go_backwards=True), L.LSTM(3)])
sequences("rnn", (6, 4), lambda L: [L.SimpleRNN(5, return_sequences=True), L.SimpleRNN(3, "relu", use_bias=False)])
sequences("lstm_of_hard_gates", (6, 4), lambda L: [L.LSTM(5, "softsign", "hard_sigmoid"), L.Dense(2)])
sequences(
    "gru_that_resets_before", (6, 4), lambda L: [L.GRU(5, reset_after=False, recurrent_activation="hard_sigmoid")]
)
sequences("gru_without_bias", (6, 4), lambda L: [L.GRU(5, use_bias=False)])
sequences(
    "bidirectional",
    (6, 4),
    lambda L: [L.Bidirectional(L.LSTM(5, return_sequences=True)), L.Bidirectional(L.GRU(3), "sum")],
)
sequences(
    "free_time", (None, 4), lambda L: [L.LSTM(5, return_sequences=True), L.TimeDistributed(L.Dense(2, "softmax"))]
)
sequences("free_picture", (None, None, 3), lambda L: [L.Conv2D(4, 3), L.GlobalAveragePooling2D()])
sequences(
    "time_distributed",
    (5, 4),
    lambda L: [L.TimeDistributed(L.Dense(6)), L.TimeDistributed(L.Reshape((2, 3))), L.TimeDistributed(L.Flatten())],
)
for _name in (
    "relu",
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "hard_sigmoid",
    "hard_silu",
    "softmax",
    "linear",
    "relu6",
    "leaky_relu",
    "exponential",
    "log_softmax",
):
    sequences(f"activation_{_name}", (9,), lambda L, name=_name: [L.Dense(7, name), L.Activation(name)])


@family
def embeddings(keras: Any) -> Any:
    L = keras.layers
    return chain(keras, (7,), L.Embedding(20, 4), L.Conv1D(3, 2), L.GlobalMaxPooling1D())


@family
def merges(keras: Any) -> Any:
    L = keras.layers
    a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
    made = [L.Add()([a, b, a]), L.Subtract()([a, b]), L.Multiply()([a, b]), L.Average()([a, b])]
    made += [L.Maximum()([a, b]), L.Minimum()([a, b])]
    return keras.Model(
        [a, b], [L.Concatenate()(made), L.Concatenate(axis=1)([a, b]), L.Dot(2)([a, b]), L.Dot(1)([a, b])]
    )


@family
def attention(keras: Any) -> Any:
    L = keras.layers
    a, b = keras.Input((5, 6), name="a"), keras.Input((7, 4), name="b")
    own = L.MultiHeadAttention(2, 3)(a, a, use_causal_mask=True)
    other = L.MultiHeadAttention(2, 3, value_dim=5, output_shape=7, use_bias=False)(own, b)
    wide = L.Dense(5)(b)
    return keras.Model([a, b], [L.MultiHeadAttention(3, 2, dropout=0.1)(query=other, key=b, value=wide), own])


@family
def cosine(keras: Any) -> Any:
    L = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model([a, b], L.Dot(1, normalize=True)([a, b]))


@family
def squeeze_and_excite(keras: Any) -> Any:
    L = keras.layers
    x = keras.Input((5, 4, 6))
    gate = L.Dense(6, "sigmoid")(L.Dense(2, "relu")(L.GlobalAveragePooling2D(keepdims=True)(x)))
    return keras.Model(x, L.Multiply()([x, gate]))


@family
def shared_layers(keras: Any) -> Any:
    L = keras.layers
    a, b, reader = keras.Input((5, 4), name="a"), keras.Input((5, 4), name="b"), L.LSTM(3)
    return keras.Model([a, b], L.Dense(1)(L.Concatenate()([reader(a), reader(b)])))


@family
def nested_and_shared(keras: Any) -> Any:
    L = keras.layers
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu", name="d"), L.BatchNormalization()], name="inner")
    core_in = keras.Input((4,))
    core = keras.Model(core_in, [L.Dense(2, name="d")(core_in), inner(core_in)], name="core")
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    p, q = core(a)
    r, s = core(b)
    return keras.Model([a, b], [L.Concatenate()([p, q, r, s]), L.Dense(2)(a)])


@family
def model_over_time(keras: Any) -> Any:
    L = keras.layers
    inner = keras.Sequential([keras.Input((4,)), L.Dense(3, "relu"), L.Dense(2)])
    return chain(keras, (5, 4), L.TimeDistributed(inner), L.Flatten())


@family
def channels_first(keras: Any) -> Any:
    L = keras.layers
    first = {"data_format": "channels_first"}
    return chain(
        keras,
        (3, 9, 8),
        L.Conv2D(4, 3, **first),
        L.BatchNormalization(axis=1),
        L.MaxPooling2D(2, **first),
        L.Flatten(),
        L.Dropout(0.1),
        L.Dense(5, "softmax"),
    )


@family
def channels_first_branches(keras: Any) -> Any:
    L = keras.layers
    first = {"data_format": "channels_first"}
    x = keras.Input((3, 6, 5))
    a, b = L.Conv2D(4, 3, padding="same", **first)(x), L.Conv2D(2, 1, **first)(x)
    both = L.Concatenate(axis=1)([a, b])
    return keras.Model(
        x, [L.Reshape((6, 30))(both), L.Permute((2, 3, 1))(both), L.GlobalAveragePooling2D(**first)(both)]
    )


@family
def pictures_over_time(keras: Any) -> Any:
    L = keras.layers
    inner = [L.Conv2D(4, 3, 2, "same", activation="relu"), L.BatchNormalization(), L.MaxPooling2D(2)]
    layers = [L.TimeDistributed(layer) for layer in (*inner, L.GlobalAveragePooling2D())]
    return chain(keras, (3, 9, 8, 2), *layers, L.LSTM(3))


@family
def states(keras: Any) -> Any:
    L = keras.layers
    x = keras.Input((5, 3))
    said, state, _ = L.LSTM(4, return_state=True)(x)
    steps, _ = L.GRU(4, return_state=True, return_sequences=True)(x)
    return keras.Model(x, [L.Dense(2)(L.Concatenate()([said, state])), L.Dense(2)(steps)])


@family
def functions(keras: Any) -> Any:
    L, ops = keras.layers, keras.ops
    x = keras.Input((4, 3))
    y = ops.relu(x * 2.0 + 1.0) - ops.sigmoid(x) / 3.0
    small = ops.mean(y, axis=[1], keepdims=True)
    made = [
        1.0 - y,
        ops.maximum(y, 0.5),
        ops.clip(y, 0.1, 0.9),
        y * small,
        ops.softmax(y),
        ops.concatenate([y, x], axis=1),
    ]
    return keras.Model(x, [*made, ops.max(y, axis=2), L.Multiply()([x, small])])


@family
def stretched(keras: Any) -> Any:
    L = keras.layers
    x = keras.Input((5, 4, 6))
    place = L.Conv2D(1, 1, activation="sigmoid")(x)
    return keras.Model(x, [L.Multiply()([x, place]), L.Add()([x, L.GlobalMaxPooling2D()(x)])])


@family
def several_results(keras: Any) -> Any:
    L = keras.layers
    x = keras.Input((6,))
    h = L.Dense(4, "relu")(x)
    return keras.Model(x, {"one": L.Dense(2, name="one")(h), "two": L.Dense(3, name="two")(h)})
