"""Two objectives over different weights that take turns: what each changes, when, and what is told of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.learn import Action, Callback, Memory, StepDone
from graphdsl.model import Model
from graphdsl.report import Source

GAN = """
input image: float[8, 8, 1]
block makes = in -> dense(16) -> batch_norm -> relu -> dense(64) -> reshape(8x8x1) -> sigmoid
block judges = in -> conv(4, 3, stride=2) -> batch_norm -> leaky_relu(0.2) -> flatten -> dense(1) -> sigmoid
shared generator = makes
shared critic    = judges
output made = random_normal(6) -> generator
seen = image -> critic
fake = made -> critic
train {
  data = digits(batch=16, limit=64)
  step critic    { loss = [seen -> adversarial(real), fake -> adversarial(fake)]  learn = critic  optimizer = adam }
  step generator { loss = fake -> adversarial(real)  learn = generator  optimizer = sgd(lr=0.5)  EVERY }
  epochs = 2
}
"""


AVERAGES = ("/mean", "/variance")


@dataclass(frozen=True)
class Look(Callback):
    """Keeps all weights after every step."""

    model: Model
    seen: list[dict[str, Array]] = field(default_factory=list)

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        weights = self.model.executor.weights
        self.seen.append({name: np.array(weights[name]) for name in weights})
        return ()


@dataclass(frozen=True)
class Press(Callback):
    """Presses Ctrl+C after a step."""

    step: int

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        if event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return ()


def looked(every: str = "") -> tuple[list[dict[str, Array]], dict[str, float]]:
    """The weights before the first and after every step, and the numbers of the last epoch."""
    model = Model(Source("gan.dag", GAN.replace("EVERY", every)))
    weights = model.executor.weights
    look = Look(model, [{name: np.array(weights[name]) for name in weights}])
    done = model.fit(runs=None, shown=False, callbacks=[look])
    return look.seen, done.metrics["train"]


def changed(before: dict[str, Array], after: dict[str, Array]) -> set[str]:
    """The owners, `critic` or `generator`, of trainable weights that differ."""
    names = [n for n in before if not n.endswith(AVERAGES) and not n.startswith("optimizer")]
    return {name.partition("/")[0] for name in names if not np.array_equal(before[name], after[name])}


def test_a_step_changes_what_it_learns_and_both_move_on_every_batch() -> None:
    seen, numbers = looked()
    assert len(seen) == 1 + 8
    assert all(changed(a, b) == {"critic", "generator"} for a, b in pairwise(seen))
    assert {"loss", "critic.loss", "generator.loss", "critic.seen.loss", "critic.fake.loss"} == set(numbers)
    assert numbers["critic.loss"] == pytest.approx(numbers["critic.seen.loss"] + numbers["critic.fake.loss"])
    assert seen[-1]["optimizer/critic/steps"] == 8


def test_a_step_waits_for_its_batch() -> None:
    seen, numbers = looked("every = 3")
    moved = [changed(a, b) for a, b in pairwise(seen)]
    assert moved == [{"critic"}, {"critic"}, {"critic", "generator"}] * 2 + [{"critic"}] * 2
    assert np.isfinite(numbers["generator.loss"])


def test_a_resumed_run_draws_the_same_noise_and_ends_in_the_same_bits(tmp_path: Path) -> None:
    text = GAN.replace("EVERY", "every = 3")
    whole, stopped, resumed = (Model(Source("gan.dag", text)) for _ in range(3))
    whole.fit(runs=None, shown=False)
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(runs=tmp_path, shown=False, callbacks=[Press(5)])
    resumed.fit(shown=False, resume=next(tmp_path.iterdir()), callbacks=[Press(99)])
    ends = [{n: np.array(m.executor.weights[n]) for n in m.executor.weights} for m in (whole, resumed)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_running_averages_follow_in_training_and_serve_in_use() -> None:
    seen, _ = looked()
    averages = [name for name in seen[0] if name.endswith(AVERAGES)]
    assert {name.partition("/")[0] for name in averages} == {"critic", "generator"}
    assert all(not np.array_equal(seen[0][name], seen[1][name]) for name in averages)


def test_the_first_step_of_the_critic_is_that_of_torch() -> None:
    """Without noise of its own: batch norm in the mode of training, over real and made pictures apart."""
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    text = """
input real: float[3]
input z: float[2]
block judges = in -> dense(1)
shared critic = judges
made = z -> dense(3) -> batch_norm -> tanh
seen = real -> critic -> sigmoid
fake = made -> critic -> sigmoid
output out = fake
train {
  step critic    { loss = [seen -> adversarial(real), fake -> adversarial(fake)]  learn = critic  optimizer = sgd }
  step generator { loss = fake -> adversarial(real)  learn = made  optimizer = sgd(lr=0.2) }
  epochs = 1
}
"""
    model = Model(Source("gan.dag", text))
    w = {n: torch.tensor(np.array(model.executor.weights[n]), requires_grad=True) for n in model.executor.weights}
    random = np.random.default_rng(0)
    real, z = (random.normal(size=(8, n)).astype(np.float32) for n in (3, 2))
    model.fit({"real": real, "z": z}, runs=None, shown=False, batch=8)

    def judged(x):  # type: ignore[no-untyped-def]
        return x @ w["critic/judges_1/dense_1/kernel"] + w["critic/judges_1/dense_1/bias"]

    def made():  # type: ignore[no-untyped-def]
        x = torch.from_numpy(z) @ w["made/dense_1/kernel"] + w["made/dense_1/bias"]
        scale, shift = (w[f"made/batch_norm_1/{n}"] for n in ("gamma", "beta"))
        return torch.tanh(functional.batch_norm(x, None, None, scale, shift, training=True, eps=1e-5))

    def step(loss, names, rate):  # type: ignore[no-untyped-def]
        slopes = torch.autograd.grad(loss, [w[n] for n in names])
        with torch.no_grad():
            for name, slope in zip(names, slopes, strict=True):
                w[name] -= rate * slope

    entropy = functional.binary_cross_entropy_with_logits
    yes, no = torch.ones(8, 1), torch.zeros(8, 1)
    loss = entropy(judged(torch.from_numpy(real)), yes) + entropy(judged(made()), no)
    step(loss, ["critic/judges_1/dense_1/kernel", "critic/judges_1/dense_1/bias"], 0.01)
    owned = [n for n in w if n.startswith("made") and not n.endswith(AVERAGES)]
    step(entropy(judged(made()), yes), owned, 0.2)
    for name in ("critic/judges_1/dense_1/kernel", "critic/judges_1/dense_1/bias", *owned):
        np.testing.assert_allclose(model.executor.weights[name], w[name].detach().numpy(), rtol=2e-4, atol=2e-6)
