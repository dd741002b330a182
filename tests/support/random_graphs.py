"""Random small graphs that train: for what must hold of every graph."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np

from graphdsl.ir import (
    BATCH,
    OPERATORS,
    Array,
    Builder,
    DType,
    Graph,
    Initializer,
    Layer,
    Place,
    Role,
    TensorType,
    Value,
)
from graphdsl.ops import expression as e
from graphdsl.ops import formula, reshape, sum_over

WIDTH = 3
SAMPLES = 4

UNARY = (e.tanh, e.logistic, e.sin, lambda x: x * x * 0.5, lambda x: 0.5 - x, lambda x: e.softplus(x))
BINARY = (lambda x, y: x + y, lambda x, y: x * y, lambda x, y: x - 0.3 * y, lambda x, y: e.where(x > y, x, y))


@dataclass(frozen=True)
class Bell(Initializer):
    """Small normal numbers."""

    def sample(self, shape: tuple[int, ...], generator: np.random.Generator) -> Array:
        return generator.normal(0, 0.7, shape)


def random_graph(seed: int, size: int = 12, dtype: DType = DType.FLOAT32) -> Graph:
    """A graph from x to an output and a loss, with shared weights, diamonds, views, a tap and a running average."""
    random = Random(seed)
    b = Builder()
    made = [b.input("x", TensorType((BATCH, WIDTH), dtype))]
    for number in range(size):
        path = f"layer_{number}"
        with b.within(
            Place(path=path, weights=f"shared_{random.randrange(3)}", layer=Layer(path, "random"), reuse=True)
        ):
            made.append(_next(b, random, made, dtype))
    y = made[-1]
    for other in random.sample(made, 2):
        y = formula(b, BINARY[0], y, other, title="join")
    y = formula(b, BINARY[0], y, b.weight("head", (WIDTH,), Bell(), dtype=dtype), title="head")
    b.result("y", Role.OUTPUT, y)
    b.result("middle", Role.TAP, random.choice(made))
    total = sum_over(b, formula(b, lambda v: e.tanh(v) * 0.1, y, title="small"), (0, 1))
    b.result("loss", Role.LOSS, total)
    average = b.weight("average", (), dtype=dtype, trainable=False)
    b.update(average, formula(b, lambda a, t: 0.9 * a + 0.1 * t, average, total, title="average"))
    return b.finish()


def feeds(seed: int, dtype: DType = DType.FLOAT32, samples: int = SAMPLES) -> dict[str, Array]:
    generator = np.random.default_rng(seed)
    return {"x": generator.normal(size=(samples, WIDTH)).astype(dtype.numpy)}


def _next(b: Builder, random: Random, made: list[Value], dtype: DType) -> Value:
    x = random.choice(made[-4:])
    match random.randrange(6):
        case 0:
            kernel = b.weight("kernel", (WIDTH, WIDTH), Bell(), dtype=dtype, l2=random.choice((0.0, 0.01)))
            return b.emit(OPERATORS["matmul"](), x, kernel)
        case 1:
            return formula(b, BINARY[0], x, b.weight("bias", (WIDTH,), Bell(), dtype=dtype), title="bias")
        case 2:
            return formula(b, random.choice(UNARY), x, title="unary")
        case 3:
            flat = reshape(b, x, (BATCH * WIDTH,))
            return reshape(b, formula(b, random.choice(UNARY), flat, title="flat"), (BATCH, WIDTH))
        case 4:
            mean = sum_over(b, x, (1,), keep=True)
            return formula(b, BINARY[2], x, mean, title="centre")
        case _:
            return formula(b, random.choice(BINARY), x, random.choice(made), title="binary")
