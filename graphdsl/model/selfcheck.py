"""Do networks learn on this machine as they do on the CPU? Small ones with every kind of layer, for some steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from graphdsl.backends import Backend, Outcome
from graphdsl.ir import Array
from graphdsl.lang import elaborate
from graphdsl.learn import OPTIMIZERS
from graphdsl.model.words import VOCABULARY
from graphdsl.passes import UpdateRule, apply, training
from graphdsl.report import Source, dataclass
from graphdsl.runtime import Compiled, Executor

LENET = """
input  image: float[28, 28, 1]
target label: int(10)
output digit = image
  -> conv(6, 5) -> relu -> max_pool(2)
  -> conv(16, 5) -> relu -> max_pool(2)
  -> flatten -> dense(40) -> relu -> dropout(0.2) -> dense(10) -> softmax
train { loss = [digit, label] -> categorical_crossentropy }
"""
RESIDUAL = """
block conv_bn(c, k, stride=1, pad=0) = in -> conv(c, k, stride=stride, pad=pad, bias=false) -> batch_norm
block basic(c, stride=1) {
  body = in -> conv_bn(c, 3, stride=stride, pad=1) -> relu -> conv_bn(c, 3, pad=1)
  skip = if stride == 1 then in else in -> conv_bn(c, 1, stride=stride)
  out  = body + skip -> relu
}
input  image: float[12, 12, 3]
target label: int(4)
output class = image -> conv_bn(8, 3, pad=1) -> relu -> basic(8) -> basic(16, stride=2)
  -> global_avg_pool -> dense(4) -> softmax
train { loss = [class, label] -> categorical_crossentropy }
"""
READER = """
input  text: int(30)[T]
target label: int(3)
output class = text -> embedding(12) -> lstm(20) -> dense(3) -> softmax
train { loss = [class, label] -> categorical_crossentropy }
"""
SIZES = {"batch": 16, "T": 9}
CLOSE = 1e-4
"""How far losses may be apart, relative to them: machines round in another order, and steps build on each other."""


@dataclass(frozen=True)
class Net:
    """A spec, and how it learns."""

    text: str
    rule: UpdateRule


NETS = {
    "lenet": Net(LENET, OPTIMIZERS["sgd"].make(lr=0.05, momentum=0.9)),
    "residual": Net(RESIDUAL, OPTIMIZERS["adam"].make(lr=0.003)),
    "reader": Net(READER, OPTIMIZERS["sgd"].make(lr=0.5)),
}


@dataclass(frozen=True)
class Course:
    """How a few steps went: the loss of each, and the weights afterwards."""

    losses: tuple[float, ...]
    weights: Mapping[str, Array]

    def same_bits(self, other: Course) -> bool:
        alike = (np.array_equal(array, other.weights[name]) for name, array in self.weights.items())
        return self.losses == other.losses and all(alike)


def trained(net: Net, machine: Backend, steps: int) -> Course:
    """Some steps on random numbers, always the same."""
    graph = elaborate(Source("selfcheck", net.text), VOCABULARY).graph
    step = Compiled(apply(graph, training(net.rule)), Executor(machine), seed=3)
    losses = [float(step.run(_fed(step, number))["loss/total"]) for number in range(steps)]
    return Course(tuple(losses), step.executor.weights.snapshot())


def networks(machine: Backend, judge: Backend, steps: int = 20) -> Iterator[Outcome]:
    """Each network on machine: losses beside judge's; bits beside those of a run call by call, and of another."""
    for name, net in NETS.items():
        course, expected = trained(net, machine, steps), trained(net, judge, steps)
        apart = np.abs(np.subtract(course.losses, expected.losses)) / np.abs(expected.losses)
        yield Outcome(f"{name}, {steps} steps beside {judge.name}", 1, float(np.max(apart)), CLOSE)
        for what, other in (("call by call", machine.eagerly()), ("again", machine)):
            differs = not course.same_bits(trained(net, other, steps))
            yield Outcome(f"{name}, the same bits {what}", 1, float(differs), 0.0)


def _fed(step: Compiled, number: int) -> dict[str, Array]:
    """Random inputs of the types that the graph reads."""
    rng = np.random.default_rng(number)
    fed: dict[str, Array] = {}
    for name, type in step.inputs.items():
        shape = type.bind(SIZES)
        made = rng.standard_normal(shape) if type.dtype.is_float else rng.integers(0, 3, shape)
        fed[name] = np.asarray(made, type.dtype.numpy)
    return fed | ({"train/rate": np.asarray(0.05, np.float32)} if "train/rate" in fed else {})
