"""Weights of losses that change: by a schedule, or learned with the rest."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from graphdsl.ir import Array
from graphdsl.learn import SCHEDULES, Action, Callback, Memory, Moment, StepDone
from graphdsl.model import Model
from graphdsl.report import Failed, Source


@dataclass(frozen=True)
class Press(Callback):
    """Presses Ctrl+C after a step."""

    step: int

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        if event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return ()


HEADS = """
input  x: float[4]
target age: float[1]
target label: int(3)
body = x -> dense(6) -> tanh
output age_guess = body -> dense(1)
output class = body -> dense(3) -> softmax
train {
  loss = [[age_guess, age] -> mse(%s), [class, label] -> categorical_crossentropy(%s)]
  optimizer = %s
  epochs = 4
}
"""
SCHEDULED = HEADS % ("weight=linear(0, 2, lasting=2)", "weight=0.5", "sgd(lr=0.05)")
LEARNED = HEADS % ("weight=learned", "weight=learned", "sgd(lr=0.05)")


def samples(count: int = 32) -> tuple[dict[str, Array], dict[str, Array]]:
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 4)).astype(np.float32)
    return {"x": x}, {"age": 3 * x[:, :1] + 1, "label": (x[:, 1] > 0).astype(np.int64)}


def model_of(text: str) -> Model:
    return Model(Source("heads.dag", text))


def test_linear() -> None:
    rises, falls = SCHEDULES["linear"].make(0.0, 2.0, 4), SCHEDULES["linear"].make(1.0, 0.5)
    assert [rises.rate(Moment(step, 5, 100)) for step in (0, 5, 10, 20, 99)] == [0, 0.5, 1, 2, 2]
    assert [falls.rate(Moment(step, 5, 100)) for step in (0, 50, 100)] == [1, 0.75, 0.5]


def test_a_weight_follows_its_schedule_and_heads_are_told_unweighed() -> None:
    model = model_of(SCHEDULED)
    done = model.fit(*samples(), batch=32, runs=None, shown=False, epochs=1)
    train = done.metrics["train"]
    assert train["age_guess.weight"] == 0
    assert train["loss"] == pytest.approx(0.5 * train["class.loss"])
    train = model.fit(*samples(), batch=16, runs=None, shown=False, epochs=4).metrics["train"]
    assert train["age_guess.weight"] == 2
    assert train["loss"] == pytest.approx(2 * train["age_guess.loss"] + 0.5 * train["class.loss"])


def test_use_and_judgement_have_the_weight_of_the_end() -> None:
    model = model_of(SCHEDULED)
    judged = model.evaluate(*samples())
    assert judged["age_guess.weight"] == 2
    assert judged["loss"] == pytest.approx(2 * judged["age_guess.loss"] + 0.5 * judged["class.loss"])


def test_a_weight_of_nothing_changes_no_head_but_the_other() -> None:
    model = model_of(HEADS % ("weight=steps(0.5, at=[1])", "weight=linear(0, 0)", "sgd(lr=0.1)"))
    before = {name: model.executor.weights[name].copy() for name in model.executor.weights}
    model.fit(*samples(), runs=None, shown=False, epochs=1)
    after = model.executor.weights
    assert np.array_equal(before["class/dense_1/kernel"], after["class/dense_1/kernel"])
    assert not np.array_equal(before["age_guess/dense_1/kernel"], after["age_guess/dense_1/kernel"])


def test_a_resumed_run_has_the_same_weights(tmp_path: Path) -> None:
    whole = model_of(SCHEDULED)
    whole.fit(*samples(), batch=8, runs=None, shown=False)
    from_half = model_of(SCHEDULED)
    folder = _stopped(from_half, tmp_path)
    resumed = model_of(SCHEDULED)
    resumed.fit(*samples(), batch=8, resume=folder, shown=False, callbacks=[Press(99)])
    for name in ("age_guess/dense_1/kernel", "class/dense_1/bias"):
        assert np.array_equal(whole.executor.weights[name], resumed.executor.weights[name])


def _stopped(model: Model, runs: Path) -> Path:
    """The folder of a run that was interrupted in its third epoch."""
    with pytest.raises(KeyboardInterrupt):
        model.fit(*samples(), batch=8, runs=runs, shown=False, callbacks=[Press(11)])
    return next(runs.iterdir())


def test_learned_weights_are_learned_as_in_torch() -> None:
    """Ten steps of plain gradient descent on exp(-s) L + s / 2 for each head, by PyTorch from the same weights."""
    torch = pytest.importorskip("torch")
    model = model_of(LEARNED)
    theirs = {n: torch.tensor(np.array(model.executor.weights[n]), requires_grad=True) for n in model.executor.weights}
    x, t = samples()
    given = {n: torch.from_numpy(a) for n, a in {**x, **t}.items()}
    totals = [_step(torch, theirs, given) for _ in range(10)]
    done = model.fit(x, t, batch=32, runs=None, shown=False, epochs=10)
    for name, weight in theirs.items():
        np.testing.assert_allclose(model.executor.weights[name], weight.detach().numpy(), rtol=2e-4, atol=2e-5)
    train = done.metrics["train"]
    assert train["loss"] == pytest.approx(totals[-1], rel=1e-4)
    assert {"age_guess.weight", "class.weight", "age_guess.loss", "class.loss"} < set(train)
    assert float(model.executor.weights["train/mse_1/log_variance"]) > 0, "the large loss counts less and less"


def _step(torch, w, given):  # type: ignore[no-untyped-def]
    body = torch.tanh(given["x"] @ w["body/dense_1/kernel"] + w["body/dense_1/bias"])
    age = body @ w["age_guess/dense_1/kernel"] + w["age_guess/dense_1/bias"]
    scores = body @ w["class/dense_1/kernel"] + w["class/dense_1/bias"]
    losses = [((age - given["age"]) ** 2).mean(), torch.nn.functional.cross_entropy(scores, given["label"])]
    spreads = [w["train/mse_1/log_variance"], w["train/categorical_crossentropy_1/log_variance"]]
    total = sum((-s).exp() * loss + s / 2 for s, loss in zip(spreads, losses, strict=True))
    for weight in w.values():
        weight.grad = None
    total.backward()
    with torch.no_grad():
        for weight in w.values():
            weight -= 0.05 * weight.grad
    return total.item()


def test_a_learned_weight_learns_although_learn_names_others(tmp_path: Path) -> None:
    model = model_of(LEARNED.replace("epochs = 4", "epochs = 4  learn = age_guess"))
    model.fit(*samples(), runs=None, shown=False)
    assert model.executor.weights["train/mse_1/log_variance"] != 0
    saved = model.save(tmp_path / "w.safetensors")
    again = model_of(LEARNED)
    again.load(saved)
    assert again.executor.weights["train/mse_1/log_variance"] == model.executor.weights["train/mse_1/log_variance"]


def test_arithmetic_on_losses_keeps_their_weights() -> None:
    text = LEARNED.replace("%", "").replace(
        "[[age_guess, age] -> mse(weight=learned), [class, label] -> categorical_crossentropy(weight=learned)]",
        "0.5 * ([age_guess, age] -> mse(weight=linear(3, 3)))",
    )
    model = model_of(text)
    judged = model.evaluate({"x": samples()[0]["x"]}, {"age": samples()[1]["age"]})
    guess = model.predict(samples()[0])["age_guess"]
    assert judged["loss"] == pytest.approx(1.5 * ((guess - samples()[1]["age"]) ** 2).mean(), rel=1e-5)


def test_a_loss_with_a_name_is_told_by_it() -> None:
    named = "  years = [age_guess, age] -> mse(%s)\n  loss = [years, "
    text = HEADS.replace("  loss = [[age_guess, age] -> mse(%s), ", named)
    model = model_of(text % ("weight=0.5", "weight=1", "sgd"))
    assert {"years.loss", "class.loss"} < set(model.evaluate(*samples()))


def test_another_word_is_no_weight() -> None:
    with pytest.raises(Failed, match=r"E0208|E0201|E0214"):
        model_of(HEADS % ("weight=learnt", "weight=1", "sgd"))
