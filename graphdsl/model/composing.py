"""Sound that a model makes: from numbers of `mu_law` to amplitudes."""

from __future__ import annotations

import numpy as np

from graphdsl.data import NO_STEPS, MuLaw
from graphdsl.ir import Array
from graphdsl.learn import Sampling, Writer, heads
from graphdsl.model.writing import Writing
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Composer:
    """A model that makes sound, sample by sample.

    law  what the numbers that it reads and writes stand for
    """

    writer: Writer
    law: MuLaw

    def sound(self, sampling: Sampling, temperature: float) -> Array:
        """float32 [sampling.length], after silence."""
        drawn = self.writer.numbers([self.law.levels // 2], sampling.draw(temperature), sampling.seed, [])
        return self.law.amplitudes(np.array([next(drawn) for _ in range(sampling.length)]))

    @property
    def how(self) -> str:
        """How it reads what it made, in words."""
        return self.writer.how


def composer(writing: Writing, sampling: Sampling) -> Composer | None:
    """None where the numbers that the model reads are not those of `mu_law`. Raises E0409, E0619."""
    head = heads(writing.spec, sampling.says, sampling.span)
    steps = writing.supply.preprocess.get(head.reads, NO_STEPS).steps
    if not steps or not isinstance(steps[-1], MuLaw):
        return None
    return Composer(Writer(writing.spec, writing.executor(), head), steps[-1])
