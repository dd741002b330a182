"""Whether two graphs are the same network: operators, sizes and operands in order, whatever things are called.

Both are brought to the form in which a network is used, and formulas are taken apart into scalar functions: `a + b + c`
may be one formula or two. Then every node is written as a line that names its operands by the number of their lines,
in the order in which a walk from the outputs meets them. Graphs with ordered operands are isomorphic if and only if
these lines are equal. Weights and inputs are lines of their own: two kernels of one shape are not one kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from graphdsl.ir import PLAIN, Constant, Graph, Input, Operator, Role, Value, Weight
from graphdsl.ops import Elementwise
from graphdsl.ops.expression import Apply, Expression, Literal, Operand, parts
from graphdsl.passes import apply, inference

Key = tuple[Any, ...]


def canonical(graph: Graph) -> tuple[str, ...]:
    """The lines of a graph's outputs."""
    used = graph.with_results(graph.of_role(Role.OUTPUT))
    plain = apply(used, [stage for stage in inference() if stage.name in ("specialise", "simplify")])
    table = _Table()
    for name in plain:
        table.add(plain, name)
    return table.lines([table.found[result.value] for result in plain.results])


class _Table:
    """Nodes by number. Equal pure nodes are one."""

    def __init__(self) -> None:
        self.found: dict[Value, int] = {}
        self.keys: list[Key] = []
        self._numbers: dict[Key, int] = {}

    def add(self, graph: Graph, name: str) -> None:
        node, operands = graph.node(name), [self.found[v] for v in graph.operands(name)]
        if isinstance(node.op, Elementwise):
            self.found[graph.value(name)] = self._formula(node.op.tree, operands)
            return
        own = len(self.keys) if isinstance(node.op, Input | Weight) else -1
        number = self._number((own, *_said(node.op), *(f"%{n}" for n in operands)))
        for port, value in enumerate(graph.values(name)):
            self.found[value] = number if len(node.types) == 1 else self._number((-1, "result", port, f"%{number}"))

    def lines(self, outputs: list[int]) -> tuple[str, ...]:
        """One a node that outputs need, numbered in the order of the walk."""
        order: dict[int, int] = {}
        waiting = [(n, False) for n in reversed(outputs)]
        while waiting:
            number, ready = waiting.pop()
            if number in order:
                continue
            if ready:
                order[number] = len(order)
                continue
            waiting.append((number, True))
            waiting.extend((n, False) for n in reversed(list(_operands(self.keys[number]))))
        named = {f"%{old}": f"%{new}" for old, new in order.items()}
        made = (" ".join(str(named.get(part, part)) for part in self.keys[number][1:]) for number in order)
        return (*made, " ".join(["outputs", *(named[f"%{n}"] for n in outputs)]))

    def _formula(self, tree: Expression, operands: list[int]) -> int:
        made: dict[Expression, int] = {}
        for part in parts(tree):
            match part:
                case Operand(index):
                    made[part] = operands[index]
                case Literal(value):
                    made[part] = self._number((-1, "number", float(np.float32(value))))
                case Apply(function, arguments):
                    made[part] = self._number((-1, function, *(f"%{made[a]}" for a in arguments)))
        return made[tree]

    def _number(self, key: Key) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return self._numbers[key]


def _operands(key: Key) -> Iterator[int]:
    return (int(part[1:]) for part in key[1:] if isinstance(part, str) and part.startswith("%"))


def _said(op: Operator) -> Key:
    """The operator with its settings, without what does not change what it computes."""
    if isinstance(op, Input | Weight):
        return (op.name, str(op.made.with_kind(PLAIN)))
    if isinstance(op, Constant):
        return (op.name, str(op.made), op.data.hex())
    return (op.name, *(f"{f.name}={_rounded(getattr(op, f.name))}" for f in fields(op) if f.compare))  # type: ignore[arg-type]


def _rounded(setting: object) -> object:
    """Attributes of other formats are float32."""
    return float(np.float32(setting)) if isinstance(setting, float) else setting
