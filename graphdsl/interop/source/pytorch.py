"""A spec as PyTorch source code: one nn.Module, and a function that fills it with exported weights."""

from __future__ import annotations

from graphdsl.interop.onnx.export_sheet import Step
from graphdsl.interop.source.listing import listed
from graphdsl.interop.source.page import Page
from graphdsl.interop.source.pytorch_words import expression, x_of
from graphdsl.interop.source.text import file_text, harmless, table_text
from graphdsl.ir import Graph, TensorType

HEAD = """import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
"""

LOAD = '''
def load(model, path):
    """Fills the model from the weights that `graphdsl export {spec} -o weights.safetensors` wrote."""
    arrays, state = load_file(path), model.state_dict()
    with torch.no_grad():
        for name, parameter, turn, gates in WEIGHTS:
            array = arrays[name].permute(turn) if turn else arrays[name]
            if gates:
                parts = array.chunk(len(gates))
                array = torch.cat([parts[i] for i in gates])
            state[parameter].copy_(array.reshape(state[parameter].shape))
    return model
'''


def pytorch(graph: Graph, name: str, spec: str) -> str:
    """The text of a Python file.

    name  of the model: what the class is called after
    spec  the file it comes from, for the head
    Raises Failed E0901 for what PyTorch cannot say, by layer.
    """
    page = Page(listed(graph, turning=True), "PyTorch", "torch.tensor({})")
    for number, step in enumerate(page.sheet.steps):
        page.enter(step)
        if step.op in ("LSTM", "GRU"):
            _recurrence(page, number, step)
        else:
            page.state(number, step, expression(page, step))
    title = "".join(part.capitalize() for part in name.replace("-", "_").split("_")) or "Model"
    made = [f"        self.{variable} = {text}" for variable, text in page.layers.items()]
    given = ", ".join(page.given)
    results = ", ".join(page.outputs.values())
    body = [
        f"class {title if title.isidentifier() else 'Model'}(nn.Module):",
        "    def __init__(self):",
        "        super().__init__()",
        *made,
        *(f"        nn.init.zeros_(self.{parameter})" for parameter in page.zeroed),
        "",
        f"    def forward(self, {given}):",
        *(f"        {line}" for line in [*page.begin(_lengths), *page.lines]),
        f"        return {results}",
    ]
    load = LOAD.format(spec=harmless(spec))
    return file_text(spec, "PyTorch", page, HEAD, "\n".join(body), table_text(page.places), load)


def _lengths(x: str, type: TensorType, axis: int) -> str:
    return f"torch.full(({x}.shape[0],), {x}.shape[{axis}])"


def _recurrence(page: Page, number: int, step: Step) -> None:
    """nn.LSTM or nn.GRU, whose weights are ours turned; a GRU's gates stand in another order."""
    x, (kernel, recurrent, *biases) = x_of(page, step), step.inputs[1:]
    features, lstm = page.shape(kernel)[0], step.op == "LSTM"
    written = [str(features), str(step.settings["units"]), *([] if biases else ["bias=False"]), "batch_first=True"]
    made = page.layer(kernel, f"nn.{step.op}({', '.join(written)})")
    gates = () if lstm else (1, 0, 2)
    page.place(kernel, f"{made}.weight_ih_l0", (1, 0), gates)
    page.place(recurrent, f"{made}.weight_hh_l0", (1, 0), gates)
    for bias, part in zip(biases, ("ih", "hh"), strict=False):
        page.place(bias, f"{made}.bias_{part}_l0", (), gates)
    if lstm and biases:
        page.zeroed[f"{made}.bias_hh_l0"] = None
    reverse = ".flip(1)" if step.settings["reverse"] else ""
    every, last = (page.variable(number, step, name) if name else "_" for name in (*step.outputs, "")[:2])
    page.write(f"{every}, {last} = self.{made}({x}{reverse})")
    if every != "_" and reverse:
        page.write(f"{every} = {every}.flip(1)")
    if last != "_":
        page.write(f"{last} = {last}{'[0]' if lstm else ''}[0]")
