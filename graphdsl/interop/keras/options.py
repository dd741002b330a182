"""What a layer's config says, read by name and type; the words of Keras 1 are translated first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphdsl.report import Failed, dataclass, fail

CLASSES = {
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "AtrousConv1D": "Conv1D",
    "AtrousConv2D": "Conv2D",
    "Deconvolution2D": "Conv2DTranspose",
    "Deconvolution3D": "Conv3DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "SpatialDropout1d": "SpatialDropout1D",
    "TimeDistributedDense": "Dense",
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV1": "LSTM",
    "LSTMV2": "LSTM",
    "GRUV1": "GRU",
    "GRUV2": "GRU",
    "Swish": "Activation",
    "Functional": "Model",
}
"""Other names of a class, in this or another generation of Keras."""

RENAMED = {
    "nb_filter": "filters",
    "filter_length": "kernel_size",
    "subsample": "strides",
    "subsample_length": "strides",
    "stride": "strides",
    "border_mode": "padding",
    "atrous_rate": "dilation_rate",
    "pool_length": "pool_size",
    "init": "kernel_initializer",
    "inner_init": "recurrent_initializer",
    "inner_activation": "recurrent_activation",
    "bias": "use_bias",
    "W_regularizer": "kernel_regularizer",
    "U_regularizer": "recurrent_regularizer",
    "b_regularizer": "bias_regularizer",
    "W_constraint": "kernel_constraint",
    "b_constraint": "bias_constraint",
    "p": "rate",
    "sigma": "stddev",
    "concat_axis": "axis",
}
UNITS = {"Dense", "LSTM", "GRU", "SimpleRNN", "Highway", "MaxoutDense"}
MOST = (1 << 31) - 1
LARGEST = 1 << 16
"""Of windows and steps."""

FARTHEST = 1e38
ORDERINGS = {"th": "channels_first", "tf": "channels_last"}
KERNEL_PARTS = (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3"))


def class_of(name: str) -> str:
    """The name of a class in Keras 2 and 3: `Conv2D` for `Convolution2D`."""
    return CLASSES.get(name, name)


def modern(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a layer in the words of Keras 2 and 3. What has its new name already is left as it is."""
    found = dict(config)
    for old, new in RENAMED.items():
        if old in found:
            found.setdefault(new, found[old])
    for parts in KERNEL_PARTS:
        if all(part in found for part in parts):
            found.setdefault("kernel_size", [found[part] for part in parts])
    if kind in UNITS and "output_dim" in found:
        found.setdefault("units", found["output_dim"])
    if "dim_ordering" in found:
        found.setdefault("data_format", ORDERINGS.get(str(found["dim_ordering"]), found["dim_ordering"]))
    if "length" in found and kind.startswith("UpSampling"):
        found.setdefault("size", found["length"])
    return found


@dataclass(frozen=True)
class Options:
    """The config of one layer. where names it in messages: "`conv1` (Conv2D)"."""

    where: str
    data: Mapping[str, Any]

    def raw(self, key: str, default: Any = None) -> Any:
        """The value as it stands."""
        return self.data.get(key, default)

    def integer(self, key: str, default: int | None = None) -> int:
        """A whole number; a list of one counts as its element. Raises E0902 for anything else."""
        value = self._needed(key, default)
        if isinstance(value, list | tuple) and len(value) == 1:
            value = value[0]
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MOST:
            raise self.wrong(key, f"a whole number of at most {MOST:,}")
        return value

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number of at least 1. Raises E0902."""
        value = self.integer(key, default)
        if value < 1:
            raise self.wrong(key, "a whole number of at least 1")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """A number. Raises E0902 for anything else."""
        value = self._needed(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            value = scalar(value)
        if value is None or not -FARTHEST < value < FARTHEST:
            raise self.wrong(key, "a number")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false. Raises E0902 for anything else."""
        value = self._needed(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, "true or false")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        """A text. Raises E0902 for anything else."""
        value = self._needed(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, "a text")
        return value

    def sizes(self, key: str, axes: int, default: int | None = None) -> tuple[int, ...]:
        """So many whole numbers of at least 1, of which one stands for all. Raises E0902."""
        value = self._needed(key, default)
        given = [value] * axes if isinstance(value, int) else value
        if isinstance(given, list | tuple) and len(given) == 1:
            given = list(given) * axes
        if not is_whole(given) or len(given) != axes or min(given) < 1 or max(given) > LARGEST:
            raise self.wrong(key, f"{axes} whole numbers of at least 1" if axes > 1 else "a whole number of at least 1")
        return tuple(given)

    def wrong(self, key: str, wanted: str) -> Failed:
        """The complaint about a value of another type."""
        shown = repr(self.data.get(key))
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        return fail("E0902", f"{self.where}: `{key}` must be {wanted}, got {shown}")

    def _needed(self, key: str, default: Any) -> Any:
        value = self.data.get(key)
        if value is not None:
            return value
        if default is None:
            raise fail("E0902", f"{self.where}: `{key}` is missing")
        return default


def scalar(value: Any) -> float | None:
    """A number that Keras wrote in a wrapping of its own, or None."""
    if isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
        value = value["config"].get("value")
    if isinstance(value, Mapping):
        value = value.get("value")
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_whole(value: Any) -> bool:
    """Whether this is a list of whole numbers."""
    return isinstance(value, list | tuple) and bool(value) and all(type(v) is int for v in value)
