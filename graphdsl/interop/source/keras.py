"""A spec as Keras source code: a function that builds a functional model, and one that fills it with weights."""

from __future__ import annotations

from graphdsl.interop.onnx.export_sheet import Step, graph_inputs
from graphdsl.interop.source import keras_shapes
from graphdsl.interop.source.keras_words import called, expression, x_of
from graphdsl.interop.source.listing import listed
from graphdsl.interop.source.page import LENGTHS, Page
from graphdsl.interop.source.text import file_text, harmless, table_text
from graphdsl.ir import Graph, TensorType

MORE_WORDS = (keras_shapes,)
"""Importing these fills the table of words."""

HEAD = """from operator import attrgetter

import keras
import numpy as np
from keras import layers, ops
from safetensors.numpy import load_file
"""

WEIGHT = '''
class Weight(layers.Layer):
    """A tensor that is learned by itself; called with any tensor of the model."""

    def __init__(self, shape, name):
        super().__init__(name=name)
        self.value = self.add_weight(shape=shape, name="value")

    def call(self, x):
        return ops.convert_to_tensor(self.value)

'''

LOAD = '''
def load(model, path):
    """Fills the model from the weights that `graphdsl export {spec} -o weights.safetensors` wrote."""
    arrays = load_file(path)
    for name, parameter, turn, gates in WEIGHTS:
        layer, _, part = parameter.partition(".")
        part, _, row = part.partition("#")
        variable = attrgetter(part)(model.get_layer(layer))
        array = arrays[name]
        if row:
            array = np.array(ops.convert_to_numpy(variable))
            array[int(row)] = arrays[name]
        variable.assign(array.reshape(variable.shape))
    return model
'''


def keras(graph: Graph, name: str, spec: str) -> str:
    """The text of a Python file.

    name  of the model
    spec  the file it comes from, for the head
    Raises Failed E0901 for what Keras cannot say, by layer.
    """
    page = Page(listed(graph, turning=False), "Keras", "np.array({})")
    for number, step in enumerate(page.sheet.steps):
        page.enter(step)
        if step.op in ("LSTM", "GRU"):
            _recurrence(page, number, step)
        else:
            page.state(number, step, expression(page, step))
    types = graph_inputs(page.sheet.graph)
    inputs = [_input(page, given, type) for given, type in types.items() if not given.startswith(LENGTHS)]
    results = ", ".join(page.outputs.values())
    body = [
        "def build():",
        *(f"    {line}" for line in [*inputs, *page.begin(_lengths), *page.lines]),
        f'    return keras.Model([{", ".join(page.given)}], [{results}], name="{harmless(name)}")',
    ]
    helper = WEIGHT if any(text.startswith("Weight(") for text in page.layers.values()) else ""
    load = LOAD.format(spec=harmless(spec))
    return file_text(
        spec, "Keras", page, HEAD, f"{helper.lstrip()}\n{chr(10).join(body)}".lstrip(), table_text(page.places), load
    )


def _input(page: Page, name: str, type: TensorType) -> str:
    sizes = [str(size) if isinstance(size, int) else "None" for size in type.shape[1:]]
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    dtype = "" if type.dtype.is_float else f', dtype="{type.dtype}"'
    variable = page.inputs[name]
    return f'{variable} = keras.Input({shape}{dtype}, name="{variable}")'


def _lengths(x: str, type: TensorType, axis: int) -> str:
    """How many steps each sample has, as a tensor: ones, added up."""
    one = ", ".join(":" if a in (0, axis) else "0" for a in range(type.rank))
    return f"ops.sum(ops.ones_like({x}[{one}]), axis=1)"


def _recurrence(page: Page, number: int, step: Step) -> None:
    """LSTM or GRU, whose weights are ours as they are."""
    x, (kernel, recurrent, *biases) = x_of(page, step), step.inputs[1:]
    every, last = (page.variable(number, step, name) if name else "" for name in (*step.outputs, "")[:2])
    written = [str(step.settings["units"])]
    written += [word for word, used in _flags(every, step.settings["reverse"], biases) if used]
    made = page.layer(kernel, f"layers.{step.op}({', '.join(written)}")
    page.place(kernel, f"{made}.cell.kernel")
    page.place(recurrent, f"{made}.cell.recurrent_kernel")
    for row, bias in enumerate(biases):
        page.place(bias, f"{made}.cell.bias#{row}" if step.op == "GRU" else f"{made}.cell.bias")
    page.write(f"{every or last} = {called(page, kernel, made)}({x})")
    if every and last:
        page.write(f"{last} = {every}[:, -1]")
    if every and step.settings["reverse"]:
        page.write(f"{every} = ops.flip({every}, axis=1)")


def _flags(every: str, reverse: bool, biases: list[str]) -> list[tuple[str, bool]]:
    return [("return_sequences=True", bool(every)), ("go_backwards=True", reverse), ("use_bias=False", not biases)]
