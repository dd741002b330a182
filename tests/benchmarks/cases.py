"""The networks that are timed: their specs, their sizes, and made-up samples for them. nets.py has them in PyTorch.

CASES["lenet"].spec           the file nets/lenet.dag
CASES["lenet"].batch(128)     arrays by the names of the spec, laid out as the spec says
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TRAIN, INFER = "train", "infer"
STILL = 1e-9
"""The learning rate of steps that are timed: the weights stay, so no unit dies and no number becomes denormal."""

PHOTO, THOUSAND = {"image": (224, 224, 3)}, {"label": 1000}


@dataclass(frozen=True)
class Head:
    """An output, what it ends in, the target that its loss compares it with, and the weight of that loss."""

    output: str
    ending: str = "softmax"
    target: str = "label"
    weight: float = 1.0


@dataclass(frozen=True)
class Case:
    """A network and how it is fed.

    numbers  inputs that are real numbers: shapes without the batch
    words    inputs that are words: how many steps, how many words there are
    classes  targets that are classes: how many
    flags    targets that are one number, 0 or 1
    heads    in the order of the spec
    settings of the spec's params, and of the PyTorch network's arguments
    train    samples in a training step; None: training is not timed
    infer    the batches of inference
    """

    name: str
    heads: tuple[Head, ...]
    numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    words: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=lambda: {"label": 10})
    flags: tuple[str, ...] = ()
    train: int | None = None
    infer: tuple[int, ...] = ()
    settings: Mapping[str, int] = field(default_factory=dict)

    @property
    def spec(self) -> Path:
        return Path(__file__).with_name("nets") / f"{self.name}.dag"

    @property
    def inputs(self) -> tuple[str, ...]:
        return (*self.numbers, *self.words)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(head.target for head in self.heads)

    @property
    def pictures(self) -> bool:
        """Whether an input has channels that PyTorch lays out first or last."""
        return any(len(shape) == 3 for shape in self.numbers.values())

    def batches(self, mode: str) -> Iterator[int]:
        """The batch sizes that are timed."""
        if mode == INFER:
            yield from self.infer
        elif self.train is not None:
            yield self.train

    def batch(self, samples: int, seed: int = 0) -> dict[str, np.ndarray]:
        """Made-up inputs and targets by name. All sequences have their full length."""
        rng = np.random.default_rng(seed)
        made: dict[str, np.ndarray] = {}
        for name, shape in self.numbers.items():
            made[name] = rng.standard_normal((samples, *shape)).astype(np.float32)
        for name, (steps, known) in self.words.items():
            made[name] = rng.integers(0, known, (samples, steps)).astype(np.int32)
        for name, count in self.classes.items():
            made[name] = rng.integers(0, count, samples).astype(np.int32)
        for name in self.flags:
            made[name] = rng.integers(0, 2, (samples, 1)).astype(np.float32)
        return made


AUTHOR = (
    Head("age_guess", "linear", "age", 0.25),
    Head("income_guess", "softmax", "income"),
    Head("gender_guess", "sigmoid", "gender", 10.0),
)
LIST = (
    Case("mlp", (Head("digit"),), {"x": (64,)}, train=32, infer=(32,)),
    Case("lenet", (Head("digit"),), {"image": (28, 28, 1)}, train=128, infer=(128,)),
    Case("lenet5", (Head("digit"),), {"image": (28, 28, 1)}, train=128, infer=(128,)),
    Case("resnet20", (Head("class"),), {"image": (32, 32, 3)}, train=128, infer=(128,)),
    Case("inception", (Head("class"),), {"image": (28, 28, 64)}, train=32, infer=(32,)),
    Case("separable", (Head("shape"),), {"image": (64, 64, 3)}, train=32, infer=(32,)),
    Case("lstm", (Head("class"),), {"steps": (100, 32)}, train=128, infer=(128,)),
    Case("author", AUTHOR, {}, {"posts": (500, 50_000)}, {"income": 10}, ("age", "gender"), train=16),
    Case(
        "qa",
        (Head("reply", target="answer"),),
        words={"text": (100, 10_000), "question": (20, 10_000)},
        classes={"answer": 500},
        train=32,
    ),
    Case("vgg16", (Head("class"),), PHOTO, classes=THOUSAND, infer=(1, 8)),
    Case("resnet50", (Head("class"),), PHOTO, classes=THOUSAND, infer=(1, 8)),
    Case("mobilenet", (Head("class"),), PHOTO, classes=THOUSAND, infer=(1,)),
)
CASES: Mapping[str, Case] = {case.name: case for case in LIST}
