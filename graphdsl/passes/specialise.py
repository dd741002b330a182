"""Pass: decide between training and use.

Dropout and batch normalisation are two operators in one: which of them is meant is known only when somebody asks for a
graph to train or a graph to use. Until then they stand in the graph as one ModalOperator; here each gives way to what
it says of itself.

    x -> dropout(0.5) -> y       training:   x -> random mask -> multiply -> y
                                 inference:  x -> y
    x -> batch_norm -> y         training:   x -> mean, variance of the batch -> ... -> y
                                             running mean' = 0.99 * running mean + 0.01 * mean    (an update)
                                 inference:  x -> the running mean and variance -> ... -> y

Assumes  nothing; a graph without modal operators stays as it is.
Gives    a graph without modal operators. Training adds the updates they record; inference has no updates but those that
         the operators' inference form records itself.
Leaves   updates of learned weights to `update`, what the expansion makes superfluous to `simplify`.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from graphdsl.ir import Builder, Graph, ModalOperator, Node, Role, Value, Weight, rebuild


class Mode(StrEnum):
    TRAINING = "training"
    INFERENCE = "inference"


def specialise(graph: Graph, mode: Mode, frozen: Collection[str] = ()) -> Graph:
    """graph for one of its two lives. frozen: names of weights; who reads only such serves in training too."""
    kept = [r for r in graph.results if mode is Mode.TRAINING or r.role is not Role.UPDATE]

    def rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not isinstance(node.op, ModalOperator):
            return None
        weights = {v.node for v in operands if isinstance(b.operation(v), Weight)}
        serves = mode is Mode.INFERENCE or (weights and weights <= {*frozen})
        return node.op.inference(b, operands) if serves else node.op.training(b, operands)

    return rebuild(graph, rule, results=kept)


def needs_no_loss(graph: Graph, frozen: Collection[str] = ()) -> bool:
    """Whether some layer learns in training by a rule of its own. frozen: names of weights that nothing changes."""
    learners = [n for n, node in graph.items() if isinstance(node.op, ModalOperator) and node.op.learns]
    read = [{v.node for v in graph.operands(n) if isinstance(graph.node(v.node).op, Weight)} for n in learners]
    return any(not weights <= {*frozen} for weights in read)
