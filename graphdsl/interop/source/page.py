"""A Python file in the making: names of variables, layers that are made once, statements, and where weights belong."""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from graphdsl.interop.onnx.export_sheet import Sheet, Step, graph_inputs
from graphdsl.interop.refusal import cannot_say
from graphdsl.interop.source.layout import wrapped
from graphdsl.interop.source.listing import outputs_of, readers_of
from graphdsl.ir import Array, TensorType
from graphdsl.ops import BatchNorm, Elementwise, Reshape
from graphdsl.report import Failed, dataclass

PASSING = ("x", "h", "passing")
"""What a tensor is called that only the next statement reads: the first that nothing else is called."""

LENGTHS = "lengths/"
"""What the inputs are called that say how long each sample is."""

SMALLEST_BLOCK = 4
"""Steps of a block that is worth a comment."""

MOST_NUMBERS = 4096
"""Of a constant that is written out."""


@dataclass(frozen=True)
class Place:
    """Where a weight of ours belongs: the parameter, the order in which its axes are put first, and, where its first
    axis is made of gates then, the order in which these are put."""

    weight: str
    parameter: str
    turn: tuple[int, ...] = ()
    gates: tuple[int, ...] = ()


class Page:
    """One file.

    row      how an array of numbers is written, `torch.tensor({})`
    layers   how each layer is made, by the name of its variable
    places   where our weights belong
    shared   layers that stand in a variable of their own already
    zeroed   parameters that we do not have, and that must be 0
    """

    def __init__(self, sheet: Sheet, tool: str, row: str) -> None:
        self.row = row
        self.sheet = sheet
        self.tool = tool
        self.layers: dict[str, str] = {}
        self.places: dict[Place, None] = {}
        self.shared: set[str] = set()
        self._locals: dict[str, str] = {}
        self._block = ""
        self._sizes = Counter(b for step in sheet.steps for b in self._blocks(step))
        self.zeroed: dict[str, None] = {}
        self.lines: list[str] = []
        self._variables: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._readers = readers_of(sheet)
        self._taken: set[str] = set()
        self._attributes: set[str] = set()
        self.inputs = {name: self._named(name) for name in graph_inputs(sheet.graph)}
        self.outputs = {name: self._named(name) for name in outputs_of(sheet)}
        self._passing = next(name for name in PASSING if name not in self._taken)
        self._taken.add(self._passing)

    # --- what is known of tensors

    def is_weight(self, name: str) -> bool:
        """Whether a stored tensor is a weight of ours, in whatever order of axes."""
        return self.origin(name) in self.sheet.weights

    def origin(self, name: str) -> str:
        """Our name of a stored tensor."""
        return self.sheet.origins[name][0] if name in self.sheet.origins else ""

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a stored tensor."""
        return tuple(self.sheet.stored[name].shape)

    def own_shape(self, name: str) -> tuple[int, ...]:
        """Of the weight that a stored tensor is, in our order of axes."""
        return tuple(self.sheet.weights[self.origin(name)].shape)

    def numbers(self, name: str) -> Array:
        """A stored tensor that is no weight. Raises Failed E0901 for one that is computed."""
        if name not in self.sheet.stored or self.is_weight(name):
            raise self.refusal(name, "constant", "a size or place is computed")
        return self.sheet.stored[name]

    def whole(self, name: str) -> list[int]:
        """The same as whole numbers."""
        return [int(n) for n in self.numbers(name).ravel()]

    def momentum(self, step: Step) -> float:
        """How much of its running averages a batch normalisation keeps."""
        op = self.sheet.graph.node(step.node).op
        return op.momentum if isinstance(op, BatchNorm) else 0.9

    def uses(self, name: str) -> int:
        """How many steps read a tensor."""
        return len(self._readers.get(name, ()))

    def local(self, layer: str) -> str:
        """The variable of a layer that is used several times."""
        if layer not in self._locals:
            self._locals[layer] = self._named(layer)
        return self._locals[layer]

    def input_type(self, step: Step) -> TensorType:
        """Of what a step reads, as it is in our graph: that of the operation before biases and reshapes."""
        name = step.node
        while isinstance(self.sheet.graph.node(name).op, Elementwise | Reshape):
            name = self.sheet.graph.operands(name)[0].node
        return self.sheet.graph.operands(name)[0].type

    def type(self, step: Step) -> TensorType:
        """Of what it makes."""
        return self.sheet.graph.node(step.node).types[0]

    @property
    def given(self) -> list[str]:
        """The variables of what is fed."""
        return [variable for name, variable in self.inputs.items() if not name.startswith(LENGTHS)]

    def rank(self, step: Step) -> int:
        """How many axes its first operand has."""
        return self.sheet.ranks[step.inputs[0]]

    def begin(self, full: Callable[[str, TensorType, int], str]) -> list[str]:
        """Statements at the head of the function: lengths, which are not given but taken from the tensors.

        full: (variable, type, axis) → an expression for how many steps each sample has along the axis.
        """
        return [self._full(name, full) for name in self.inputs if name.startswith(LENGTHS) and name in self._readers]

    def _full(self, name: str, full: Callable[[str, TensorType, int], str]) -> str:
        size = name.removeprefix(LENGTHS)
        for given, type in graph_inputs(self.sheet.graph).items():
            places = [i for i, s in enumerate(type.shape) if str(s) == size]
            if places:
                return f"{self.inputs[name]} = {full(self.inputs[given], type, places[0])}"
        raise self.refusal(name, "input", f"no input has the length {size}")

    def refusal(self, layer: str, kind: str, why: str) -> Failed:
        """E0901 at a layer."""
        return cannot_say(layer, kind, f"{self.tool} has no such thing: {why}")

    # --- what is written

    def argument(self, name: str) -> str:
        """A tensor as an expression: a variable, or a number."""
        if name in self.inputs:
            return self.inputs[name]
        if name in self._variables:
            return self._variables[name]
        array = self.numbers(name)
        if array.size > MOST_NUMBERS:
            raise self.refusal(name, "constant", f"{array.size} numbers that are no weights")
        return number(array.item()) if not array.ndim else self.row.format(listed_numbers(array.tolist()))

    def is_whole(self, name: str) -> bool:
        """Whether a tensor is whole numbers, known now."""
        return name in self.sheet.stored and self.sheet.stored[name].dtype == np.int64

    def is_row(self, name: str) -> bool:
        """Whether a tensor is an array of numbers, known now."""
        return name in self.sheet.stored and not self.is_weight(name) and bool(self.sheet.stored[name].ndim)

    def is_number(self, name: str) -> bool:
        """Whether a tensor is a single number, known now."""
        return name in self.sheet.stored and not self.is_weight(name) and not self.sheet.stored[name].ndim

    def layer(self, weight: str, made: str) -> str:
        """The variable of the layer whose weight this is, made once however often it is used."""
        path, _, part = self.origin(weight).rpartition("/")
        word = (
            path if part in ("kernel", "table", "gamma", "mean", "slope") else f"{path}_{part.removesuffix('_kernel')}"
        )
        name = next((known for known, text in self.layers.items() if text == made and self._owners[known] == word), "")
        name = name or _fresh(word or part, self._attributes)
        self.layers[name] = made
        self._owners[name] = word
        return name

    def place(self, weight: str, parameter: str, turn: Sequence[int] = (), gates: Sequence[int] = ()) -> None:
        """Where a stored weight belongs."""
        self.places[Place(self.origin(weight), parameter, tuple(turn), tuple(gates))] = None

    def state(self, number: int, step: Step, expression: str) -> None:
        """The statement of a step with one result."""
        self.write(f"{self.variable(number, step, step.outputs[0])} = {expression}")

    def write(self, line: str) -> None:
        """One statement."""
        self.lines.extend(wrapped(line))

    def enter(self, step: Step) -> None:
        """A comment where another block begins, or none."""
        block = self._block_of(step)
        if block != self._block:
            self.lines.append(f"# {block}" if block else "")
        self._block = block

    def _title(self, number: int, step: Step) -> str:
        """What a result is called after: the block where it is what the block gives, else the layer."""
        block, after = self._block_of(step), self.sheet.steps[number + 1 : number + 2]
        return block if block and not any(block in self._blocks(s) for s in after) else step.name

    def _block_of(self, step: Step) -> str:
        """The innermost block around a step that is worth a comment."""
        return next((b for b in reversed(self._blocks(step)) if self._sizes[b] >= SMALLEST_BLOCK), "")

    def _blocks(self, step: Step) -> tuple[str, ...]:
        layer = self.sheet.graph.node(step.node).layer if step.node else None
        return () if layer is None else layer.blocks

    def variable(self, number: int, step: Step, name: str) -> str:
        """What a result of a step is called."""
        if name not in self._variables:
            passing = name not in self.outputs and self._readers.get(name) == [number + 1]
            free = self._passing if passing else ""
            self._variables[name] = self.outputs.get(name) or free or self._named(self._title(number, step))
        return self._variables[name]

    def _named(self, name: str) -> str:
        return _fresh(name, self._taken)


def _fresh(name: str, taken: set[str]) -> str:
    """A name as close to this one as Python allows, and that nothing else has."""
    plain = re.sub(r"\W", "_", name)
    plain = f"_{plain}" if plain[:1].isdigit() else f"{plain}_" if keyword.iskeyword(plain) else plain
    found, count = plain, 1
    while found in taken:
        count += 1
        found = f"{plain}_{count}"
    taken.add(found)
    return found


def number(value: object) -> str:
    """As short as float32 allows."""
    if isinstance(value, float):
        return repr(float(str(np.float32(value))))
    return repr(value)


def listed_numbers(values: object) -> str:
    """A list of lists of numbers, as short as float32 allows."""
    return f"[{', '.join(map(listed_numbers, values))}]" if isinstance(values, list) else number(values)


def one_or_all(sizes: Sequence[int]) -> str:
    """`3` where all sizes are 3, else `(3, 1)`."""
    return str(sizes[0]) if len(set(sizes)) == 1 else str(tuple(sizes))
