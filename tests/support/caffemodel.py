"""Caffe's files of weights, written by protobuf itself from the message types of caffe.proto that hold weights.

The numbers of fields are those of BVLC/caffe, src/caffe/proto/caffe.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Field = descriptor_pb2.FieldDescriptorProto
LAYER, V1_LAYER, BLOB, SHAPE = (
    ".caffe.LayerParameter",
    ".caffe.V1LayerParameter",
    ".caffe.BlobProto",
    ".caffe.BlobShape",
)


def _types(packed: bool) -> dict[str, list[tuple[str, int, int, bool, str, bool]]]:
    """Fields by message: name, number, type, repeated, message, packed."""
    text, whole, single, double = Field.TYPE_STRING, Field.TYPE_INT32, Field.TYPE_FLOAT, Field.TYPE_DOUBLE
    sizes = [(name, i, whole, False, "", False) for i, name in enumerate(("num", "channels", "height", "width"), 1)]
    return {
        "BlobShape": [("dim", 1, Field.TYPE_INT64, True, "", packed)],
        "BlobProto": [
            *sizes,
            ("data", 5, single, True, "", packed),
            ("diff", 6, single, True, "", packed),
            ("shape", 7, Field.TYPE_MESSAGE, False, SHAPE, False),
            ("double_data", 8, double, True, "", packed),
        ],
        "LayerParameter": [
            ("name", 1, text, False, "", False),
            ("type", 2, text, False, "", False),
            ("bottom", 3, text, True, "", False),
            ("blobs", 7, Field.TYPE_MESSAGE, True, BLOB, False),
            ("loss_weight", 5, single, True, "", False),
        ],
        "V0LayerParameter": [
            ("name", 1, text, False, "", False),
            ("blobs", 50, Field.TYPE_MESSAGE, True, BLOB, False),
        ],
        "V1LayerParameter": [
            ("layer", 1, Field.TYPE_MESSAGE, False, ".caffe.V0LayerParameter", False),
            ("bottom", 2, text, True, "", False),
            ("top", 3, text, True, "", False),
            ("name", 4, text, False, "", False),
            ("type", 5, whole, False, "", False),
            ("blobs", 6, Field.TYPE_MESSAGE, True, BLOB, False),
        ],
        "NetParameter": [
            ("name", 1, text, False, "", False),
            ("layers", 2, Field.TYPE_MESSAGE, True, V1_LAYER, False),
            ("input_dim", 4, whole, True, "", False),
            ("layer", 100, Field.TYPE_MESSAGE, True, LAYER, False),
        ],
    }


def _net(packed: bool) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"caffe_{packed}.proto", package="caffe", syntax="proto2")
    for name, fields in _types(packed).items():
        message = file.message_type.add(name=name)
        for title, number, kind, repeated, type_name, pack in fields:
            label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
            made = message.field.add(name=title, number=number, type=kind, label=label)
            made.options.packed = pack
            if type_name:
                made.type_name = type_name
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("caffe.NetParameter"))()


def encoded(
    layers: Mapping[str, Sequence[np.ndarray]],
    *,
    generation: int = 2,
    packed: bool = True,
    shape: bool = True,
    double: bool = False,
) -> bytes:
    """A net with these layers and their blobs.

    generation  of Caffe: 0, 1 or 2
    packed      whether numbers stand in one run or each under a tag of its own
    shape       whether a blob has a `shape`, or num, channels, height and width as before there was one
    double      whether numbers are doubles
    """
    net = _net(packed)
    net.name = "made by a test"
    for name, arrays in layers.items():
        layer = net.layer.add() if generation == 2 else net.layers.add()
        if generation == 0:
            layer = layer.layer
        layer.name = name
        for array in arrays:
            _fill(layer.blobs.add(), array, shape, double)
    return bytes(net.SerializeToString())


def _fill(blob: Any, array: np.ndarray, shape: bool, double: bool) -> None:
    if shape:
        blob.shape.dim.extend(array.shape)
    else:
        sizes = (1,) * (4 - array.ndim) + array.shape
        blob.num, blob.channels, blob.height, blob.width = sizes
    (blob.double_data if double else blob.data).extend(array.ravel().tolist())


def write(path: Path, layers: Mapping[str, Sequence[np.ndarray]], **how: Any) -> Path:
    path.write_bytes(encoded(layers, **how))
    return path
