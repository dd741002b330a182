"""Pass for machines: a convolution works out the formula whose result it reads.

Batch normalisation and relu stand between convolutions, forward and backward. As an operation of its own such a formula
writes a tensor that the next convolution reads again, from memory. A convolution reads lines; it can make them ready
just before:

    y ── formula ── x ─┬─ conv ── z                  y ── formula+conv ─┬─ x ── kernel_gradient …
                       ├─ kernel_gradient …    =>                       └─ z
                       └─ x + …

x is still written, for whoever else reads it; these wait until the convolution has run. So does all that depends on
them, and where the convolution itself does, formula and convolution stay apart:

    formula ─ x ─┬─ mean ─ factor ─┐
                 └───────────── conv+formula         the convolution needs what needs x

The convolution that comes first takes the formula. New values of weights are left alone: they are written into the
weight itself, element by element, as formulas are.

Assumes  `statistics` has run: what rides on a convolution comes along.
Gives    Ahead; the same numbers.
Leaves   formulas of other sizes than the tensor, a channel or one number; where it pays is for the machine to say.
"""

from __future__ import annotations

from graphdsl.ir import Answers, Builder, DType, Graph, Look, Operator, Role, Value, replay
from graphdsl.ops import Ahead, Conv, ConvInputGradient, Elementwise, Fused, FusedMoments, FusedSums

FAR = 100
"""Operations between a formula and a convolution from which on they are left where they are."""


def ahead(graph: Graph) -> Graph:
    """graph with formulas on the convolutions that read their results."""
    pairs = _Pairs(graph)
    return replay(graph, pairs.rule, pairs.order) if pairs.formula else graph


class _Pairs:
    """Which formula goes with which convolution.

    order        of all nodes, topological; the members of a pair are neighbours
    formula      by convolution
    convolution  by formula
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.order = list(graph)
        self.formula: dict[str, str] = {}
        self.convolution: dict[str, str] = {}
        self._position = {name: position for position, name in enumerate(self.order)}
        updates = {r.value.node for r in graph.of_role(Role.UPDATE)}
        for name, node in graph.items():
            if isinstance(node.op, Elementwise) and name not in updates and self._fits(name):
                self._pair(name)

    def _fits(self, formula: str) -> bool:
        """Whether lines of the formula's result need the same lines of some operands, and no lines of others."""
        x = self.graph.value(formula).type
        shapes = [v.type.shape for v in self.graph.operands(formula)]
        channels = {(1,) * (rank - 1) + x.shape[-1:] for rank in range(1, x.rank + 1)}
        alike = all(s == x.shape or s in channels or set(s) <= {1} for s in shapes)
        return x.dtype is DType.FLOAT32 and x.rank > 2 and alike and x.shape in shapes

    def _pair(self, formula: str) -> None:
        """Puts the formula in front of the first convolution that reads its result, if it may go there."""
        x = self.graph.value(formula)
        readers = [name for name in self.graph.users(formula) if self._is_for(name, x)]
        if not readers:
            return
        reader = min(readers, key=self._position.__getitem__)
        start, end = self._position[formula], self._position[reader]
        late = self._waiting(formula, self.order[start + 1 : end]) if end - start <= FAR else {reader}
        if late & {v.node for v in self.graph.operands(reader)} or reader in late:
            return
        between = self.order[start + 1 : end]
        early = [name for name in between if name not in late]
        self.order[start : end + 1] = [*early, formula, reader, *(name for name in between if name in late)]
        self._position |= {name: start + i for i, name in enumerate(self.order[start : end + 1])}
        self.formula[reader], self.convolution[formula] = formula, reader

    def _is_for(self, reader: str, x: Value) -> bool:
        """Whether it is a convolution of x that reads x nowhere else."""
        operands = self.graph.operands(reader)
        return operands[0] == x and operands.count(x) == 1 and _convolves(self.graph.node(reader).op)

    def _waiting(self, formula: str, between: list[str]) -> set[str]:
        """Those of the nodes between that depend on the formula; with one of a pair comes the other."""
        late: set[str] = set()
        for name in between:
            needed = {v.node for v in self.graph.operands(self.convolution.get(name, name))}
            needed |= {v.node for v in self.graph.operands(name)}
            if formula in needed or needed & late or self.formula.get(name) in late:
                late.add(name)
        return late

    def rule(self, b: Builder, name: str, look: Look) -> Answers | None:
        """The results of a formula and its convolution, where the latter stands."""
        if name in self.convolution:
            return {}
        formula = self.formula.get(name)
        if formula is None:
            return None
        op = self.graph.node(formula).op
        assert isinstance(op, Elementwise)
        operands = (*self.graph.operands(formula), *self.graph.operands(name)[1:])
        x, *made = b.emit_all(Ahead(op, self.graph.node(name).op, 0), *map(look, operands), name=name, exact=True)
        return {formula: (x,), name: tuple(made)}


def _convolves(op: Operator) -> bool:
    """Whether it is a convolution, with whatever rides on it."""
    while isinstance(op, Fused | FusedMoments | FusedSums):
        op = op.producer
    return isinstance(op, Conv | ConvInputGradient)
