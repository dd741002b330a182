"""Groups of nodes that say one thing become one step, before anything is read. Each function looks at one node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from graphdsl.interop.onnx.fold import FOLDED, folded
from graphdsl.interop.onnx.model import Model, Step
from graphdsl.ir import Array
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Graph:
    """Who makes a tensor, how often it is read, and which are constant."""

    makers: Mapping[str, Step]
    uses: Mapping[str, int]
    constants: Mapping[str, Array]

    def made_by(self, name: str, *ops: str) -> Step | None:
        """The step that makes a tensor, if it is one of these operators and nobody else reads the tensor."""
        step = self.makers.get(name)
        return step if step is not None and step.op in ops and self.uses[name] == 1 else None

    def number(self, name: str) -> float | None:
        """A constant of one number."""
        array = self.constants.get(name)
        return float(array.ravel()[0]) if array is not None and array.size == 1 else None


Rule = Callable[[Graph, Step], Step | None]


def simplified(model: Model) -> Model:
    """The model with patterns as single steps, again and again until nothing changes."""
    model = _settled(model)
    while True:
        graph = _graph(model)
        better = [next((b for rule in RULES if (b := rule(graph, step)) is not None), step) for step in model.steps]
        if all(new is old for new, old in zip(better, model.steps, strict=True)):
            return model
        model = replace(model, steps=tuple(better))


def _settled(model: Model) -> Model:
    """The model with everything worked out that no input takes part in."""
    constants = dict(model.constants)
    left: list[Step] = []
    for step in needed(model):
        if step.op in FOLDED and all(not i or i in constants for i in step.inputs):
            made = folded(step, [constants.get(i) for i in step.inputs], model.opset)
            constants.update(zip(step.outputs, made, strict=False))
        else:
            left.append(step)
    return replace(model, constants=constants, steps=tuple(left))


def needed(model: Model) -> list[Step]:
    """The steps that reach an output, in an order in which each comes after what it reads."""
    makers = {o: s for s in model.steps for o in s.outputs if o}
    order: dict[int, Step] = {}
    waiting = [(makers[o], False) for o in reversed(model.outputs) if o in makers]
    begun: set[int] = set()
    while waiting:
        step, ready = waiting.pop()
        if id(step) in order or (not ready and id(step) in begun):
            continue
        if ready:
            order[id(step)] = step
            continue
        begun.add(id(step))
        waiting.append((step, True))
        waiting += [(makers[i], False) for i in reversed(step.inputs) if i in makers]
    return list(order.values())


def _graph(model: Model) -> Graph:
    makers = {o: s for s in model.steps for o in s.outputs if o}
    uses = Counter(i for s in needed(model) for i in s.inputs if i)
    uses.update(dict.fromkeys(model.outputs, 2))
    return Graph(makers, uses, model.constants)


def _turned(graph: Graph, step: Step, op: str) -> list[tuple[Step, str]]:
    """The inputs of a sum or product that this operator makes, each with the other input."""
    if len(step.inputs) != 2:
        return []
    pairs = ((step.inputs[0], step.inputs[1]), (step.inputs[1], step.inputs[0]))
    return [(made, other) for name, other in pairs if (made := graph.made_by(name, op)) is not None]


def bias_of_conv(graph: Graph, step: Step) -> Step | None:
    """Conv, then a constant [filters, 1, 1] added: the bias of the convolution."""
    if step.op != "Add":
        return None
    for conv, other in (*_turned(graph, step, "Conv"), *_turned(graph, step, "ConvTranspose")):
        if not conv.input(2) and _is_bias(graph.constants.get(other), graph.constants.get(conv.input(1)), conv):
            return replace(conv, inputs=(*conv.inputs[:2], other), outputs=step.outputs)
    return None


def _is_bias(array: Array | None, kernel: Array | None, conv: Step) -> bool:
    """Whether a constant that is added has one number for each filter."""
    if array is None or kernel is None:
        return False
    filters = kernel.shape[0] if conv.op == "Conv" else kernel.shape[1] * int(conv.get("group", 1))
    inner = (filters, *(1,) * (kernel.ndim - 2))
    return bool(array.size == filters and array.shape[-len(inner) :] == inner)


def bias_of_product(graph: Graph, step: Step) -> Step | None:
    """MatMul with a constant matrix, then a constant row added."""
    if step.op != "Add":
        return None
    for product, other in _turned(graph, step, "MatMul"):
        array, kernel = graph.constants.get(other), graph.constants.get(product.input(1))
        if array is None or kernel is None or product.input(2) or kernel.ndim != 2:
            continue
        if array.size == kernel.shape[1] == array.shape[-1]:
            return replace(product, inputs=(*product.inputs[:2], other), outputs=step.outputs)
    return None


def swish(graph: Graph, step: Step) -> Step | None:
    """x * Sigmoid(x) is swish, x * HardSigmoid(x) with 1/6 is hard_swish, x * Tanh(Softplus(x)) is mish."""
    if step.op != "Mul" or len(step.inputs) != 2:
        return None
    for gate, x in _turned(graph, step, "Sigmoid"):
        if gate.inputs[0] == x:
            return replace(step, op="Swish", inputs=(x,))
    for gate, x in _turned(graph, step, "HardSigmoid"):
        if gate.inputs[0] == x and abs(gate.get("alpha", 0.2) - 1 / 6) < 1e-6 and gate.get("beta", 0.5) == 0.5:
            return replace(step, op="HardSwish", inputs=(x,))
    for gate, x in _turned(graph, step, "Tanh"):
        inner = graph.made_by(gate.inputs[0], "Softplus")
        if inner is not None and inner.inputs[0] == x:
            return replace(step, op="Mish", inputs=(x,))
    return None


def gelu(graph: Graph, step: Step) -> Step | None:
    """x * (1 + Erf(x / sqrt(2))) * 0.5, in any order of the factors."""
    if step.op != "Mul":
        return None
    factors = _factors(graph, step)
    half = [f for f in factors if graph.number(f) == 0.5]
    sums = [s for f in factors if (s := graph.made_by(f, "Add")) is not None]
    rest = [f for f in factors if f not in half and graph.made_by(f, "Add") is None]
    if len(half) != 1 or len(sums) != 1 or len(rest) != 1:
        return None
    x = rest[0]
    for erf, one in _turned(graph, sums[0], "Erf"):
        scaled = graph.made_by(erf.inputs[0], "Div", "Mul")
        if graph.number(one) != 1 or scaled is None or x not in scaled.inputs:
            continue
        number = graph.number(next(i for i in scaled.inputs if i != x))
        root = np.sqrt(2.0) if scaled.op == "Div" else np.sqrt(0.5)
        if number is not None and abs(number - root) < 1e-4:
            return replace(step, op="Gelu", inputs=(x,), attributes={})
    return None


def _factors(graph: Graph, step: Step) -> list[str]:
    found: list[str] = []
    for name in step.inputs:
        inner = graph.made_by(name, "Mul")
        found += inner.inputs if inner is not None else [name]
    return found


def layer_norm(graph: Graph, step: Step) -> Step | None:
    """(x - mean) / sqrt(mean of squares + eps): a LayerNormalization without scale and shift."""
    if step.op != "Div":
        return None
    centred, root = graph.makers.get(step.inputs[0]), graph.made_by(step.inputs[1], "Sqrt", "Pow")
    if (
        centred is None
        or centred.op != "Sub"
        or root is None
        or (root.op == "Pow" and graph.number(root.input(1)) != 0.5)
    ):
        return None
    x, mean = centred.inputs[0], graph.makers.get(centred.inputs[1])
    found = _variance(graph, root.inputs[0], centred.outputs[0])
    if mean is None or mean.op != "ReduceMean" or mean.inputs[0] != x or found is None:
        return None
    eps, over = found
    axes = [_axes(graph, s) for s in (mean, over)]
    if axes[0] != axes[1] or axes[0] is None or not mean.get("keepdims", 1):
        return None
    return replace(step, op="Standardize", inputs=(x,), attributes={"axes": axes[0], "epsilon": eps})


def _variance(graph: Graph, name: str, centred: str) -> tuple[float, Step] | None:
    """eps and the ReduceMean of `mean(centred²) + eps`."""
    total = graph.made_by(name, "Add")
    if total is None:
        return None
    for over, eps in _turned(graph, total, "ReduceMean"):
        square = graph.made_by(over.inputs[0], "Pow", "Mul")
        own = square is not None and square.inputs[0] == centred
        twice = own and square is not None and (graph.number(square.inputs[1]) == 2 or square.inputs[1] == centred)
        number = graph.number(eps)
        if twice and number is not None:
            return number, over
    return None


def _axes(graph: Graph, step: Step) -> list[int] | None:
    given = step.get("axes")
    if given is not None:
        return list(given)
    array = graph.constants.get(step.input(1))
    return None if array is None else [int(a) for a in array.ravel()]


def affine(graph: Graph, step: Step) -> Step | None:
    """The constant factor and shift that follow a normalisation are its own."""
    if step.op not in ("Mul", "Add"):
        return None
    for inner, other in (*_turned(graph, step, "Standardize"), *_turned(graph, step, "GroupStandardize")):
        free = len(inner.inputs) == (1 if step.op == "Mul" else 2)
        if step.op == "Add" and len(inner.inputs) == 1:
            inner, free = replace(inner, inputs=(*inner.inputs, "")), True
        if free and other in graph.constants:
            return replace(inner, inputs=(*inner.inputs, other), outputs=step.outputs)
    return None


def filled(graph: Graph, step: Step) -> Step | None:
    """A number stretched to the shape of a tensor."""
    if step.op not in ("Expand", "ConstantOfShape"):
        return None
    shape = graph.makers.get(step.inputs[-1])
    one = graph.constants.get(step.inputs[0]) if step.op == "Expand" else np.asarray(step.get("value", np.float32(0)))
    if shape is None or shape.op != "Shape" or shape.attributes or one is None or one.size != 1:
        return None
    return replace(step, op="Filled", inputs=shape.inputs, attributes={"one": one.reshape(())})


def cropped(graph: Graph, step: Step) -> Step | None:
    """What is cut off behind a transposed convolution is its own padding. Crop's border is left, top, right, bottom."""
    painted = graph.made_by(step.input(0), "ConvTranspose") if step.op == "Crop" and not step.get("scale") else None
    if painted is None:
        return None
    left, top, right, bottom = step.get("border", [0, 0, 0, 0])
    border = [top, left, bottom, right]
    return replace(painted, outputs=step.outputs, attributes={**painted.attributes, "border": border})


def group_norm(graph: Graph, step: Step) -> Step | None:
    """A reshape to [batch, groups, rest], an instance norm without factors, and a reshape back."""
    inner = graph.made_by(step.input(0), "InstanceNormalization") if step.op == "Reshape" else None
    cut = graph.made_by(inner.input(0), "Reshape") if inner is not None else None
    if inner is None or cut is None:
        return None
    shape, gamma, beta = (graph.constants.get(n) for n in (cut.input(1), inner.input(1), inner.input(2)))
    if shape is None or gamma is None or beta is None or shape.size != 3 or int(shape[2]) != -1:
        return None
    if not ((gamma == 1).all() and (beta == 0).all() and gamma.size == int(shape[1])):
        return None
    attributes = {"num_groups": gamma.size, "epsilon": inner.get("epsilon", 1e-5)}
    return replace(step, op="GroupStandardize", inputs=(cut.inputs[0],), attributes=attributes)


def channel_shuffle(graph: Graph, step: Step) -> Step | None:
    """A reshape to [batch, groups, channels / groups, …], an exchange of these two axes, and a reshape back."""
    turned = graph.made_by(step.input(0), "Transpose") if step.op == "Reshape" else None
    cut = graph.made_by(turned.input(0), "Reshape") if turned is not None else None
    if turned is None or cut is None:
        return None
    shape, back = graph.constants.get(cut.input(1)), graph.constants.get(step.input(1))
    perm = list(turned.get("perm", ()))
    if shape is None or back is None or len(perm) < 4 or perm != [0, 2, 1, *range(3, len(perm))]:
        return None
    if back.size != shape.size - 1 or int(back[1]) not in (-1, int(shape[1]) * int(shape[2])) or min(shape[1:3]) < 1:
        return None
    if list(back[2:]) != list(shape[3:]) or back[0] != shape[0]:
        return None
    return replace(step, op="ChannelShuffle", inputs=(cut.inputs[0],), attributes={"groups": int(shape[1])})


RULES: tuple[Rule, ...] = (
    *(bias_of_conv, bias_of_product, swish, gelu, layer_norm, group_norm, affine, filled, cropped, channel_shuffle),
)
