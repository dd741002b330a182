"""Training from a spec's text to weights: what is reported, and that it can stop and go on."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.library import available
from graphdsl.ir import Array
from graphdsl.learn import (
    CALLBACKS,
    WEIGHTS,
    Action,
    Callback,
    EpochDone,
    Memory,
    StepDone,
    Stop,
    load_callbacks,
    new_folder,
    newest_weights,
    shared,
)
from graphdsl.model import Model
from graphdsl.report import Failed

CLASSIFY = """
input  x: float[4]
target label: int(3)
output class = x -> dense(8) -> relu -> dropout(0.2) -> dense(3) -> softmax
train {
  loss      = [class, label] -> categorical_crossentropy
  metrics   = [class, label] -> accuracy
  optimizer = adam(lr=cosine(0.05), clip_norm=1)
  epochs    = 4
  %s
}
"""

HEADS = """
input  x: float[4]
target age: float[1]
target label: int(3)
body = x -> dense(6, l2=0.01) -> tanh
output age_guess = body -> dense(1)
output class = body -> dense(3) -> softmax
train {
  loss = [[age_guess, age] -> mse(weight=0.25), [class, label] -> categorical_crossentropy(weight=10)]
  metrics = [[age_guess, age] -> mae, [class, label] -> accuracy]
  optimizer = sgd(lr=0.01)
  epochs = 1
}
"""


def compiled(text: str, folder: Path, backend: str = "reference") -> Model:
    path = folder / "small.dag"
    path.write_text(text)
    model: Model = graphdsl.compile(str(path), backend=backend)
    return model


@pytest.mark.triggers("E0602")
def test_the_largest_weight_is_to_blame(tmp_path: Path) -> None:
    model = compiled("input x: float[4]\noutput y = x -> dense(3000000)\n  -> dense(3000000) -> dense(2)\n", tmp_path)
    with pytest.raises(Failed, match=r"small\.dag:3:6: .*E0602.*`y/dense_2/kernel` \[3000000, 3000000\], 33527\.6 GiB"):
        model.predict(np.zeros((1, 4)))


def samples(count: int = 70) -> tuple[Array, Array]:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(count, 4)).astype(np.float32)
    return x, x[:, :3].argmax(axis=1)


def weights(model: Model) -> dict[str, Array]:
    return {n: a for n, a in model.executor.weights.items() if not n.startswith("optimizer/")}


def same(a: dict[str, Array], b: dict[str, Array]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n]) for n in a)


def fit(model: Model, folder: Path, **options: Any) -> Any:
    return model.fit(*samples(), batch=16, valid=0.3, runs=folder / "runs", shown=False, **options)


def test_it_learns_and_leaves_a_whole_folder(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    done = fit(model, tmp_path, epochs=30)
    assert done.metrics["valid"]["class.accuracy"] > 0.8
    assert done.folder == tmp_path / "runs" / "small-1"
    left = {p.name for p in done.folder.iterdir()}
    assert left >= {"spec.dag", "metrics.csv", "curves.svg", "weights.safetensors", "summary.txt"}
    assert not {n for n in left if n.startswith((".", "checkpoint"))}
    rows = list(csv.DictReader((done.folder / "metrics.csv").read_text().splitlines()))
    assert len(rows) == 30
    assert float(rows[-1]["valid.loss"]) == done.metrics["valid"]["loss"]


def test_weights_come_back(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    done = fit(model, tmp_path)
    other = compiled(CLASSIFY % "seed = 9", tmp_path)
    other.load(done.folder / "weights.safetensors")
    assert same(weights(model), weights(other))
    assert model.evaluate(*samples()) == other.evaluate(*samples())
    np.testing.assert_array_equal(model.predict(samples()[0])["class"], other.predict(samples()[0])["class"])


def test_the_same_seed_gives_the_same_bits(tmp_path: Path) -> None:
    models = [compiled(CLASSIFY % f"seed = {seed}", tmp_path) for seed in (5, 5, 6)]
    for model in models:
        fit(model, tmp_path)
    assert same(weights(models[0]), weights(models[1]))
    files = [(tmp_path / "runs" / f"small-{n}" / "weights.safetensors").read_bytes() for n in (1, 2)]
    assert files[0] == files[1]
    assert not same(weights(models[0]), weights(models[2]))


def test_nothing_is_written_when_nobody_wants_it(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    done = model.fit(*samples(), runs=None, shown=False)
    assert done.folder is None
    assert [p.name for p in tmp_path.iterdir()] == ["small.dag"]


def test_heads_are_told_one_by_one_and_summed(tmp_path: Path) -> None:
    model = compiled(HEADS, tmp_path)
    x, label = samples(32)
    done = model.fit({"x": x}, {"age": x[:, :1], "label": label}, batch=32, runs=None, shown=False)
    train = done.metrics["train"]
    assert set(train) == {"loss", "age_guess.loss", "class.loss", "age_guess.mae", "class.accuracy"}
    kernel = compiled(HEADS, tmp_path).executor.weights["body/dense_1/kernel"].astype(np.float64)
    total = 0.25 * train["age_guess.loss"] + 10 * train["class.loss"] + 0.01 * np.square(kernel).sum()
    assert train["loss"] == pytest.approx(total, rel=1e-5)


def test_losses_of_heads_are_told_before_they_are_weighed(tmp_path: Path) -> None:
    model = compiled(HEADS, tmp_path)
    x, label = samples(32)
    numbers = model.evaluate({"x": x}, {"age": x[:, :1], "label": label})
    guess = model.predict({"x": x})
    age = np.square(guess["age_guess"] - x[:, :1]).mean()
    entropy = -np.log(guess["class"][np.arange(32), label]).mean()
    penalty = 0.01 * np.square(weights(model)["body/dense_1/kernel"]).sum()
    assert numbers["age_guess.loss"] == pytest.approx(age, rel=1e-5)
    assert numbers["class.loss"] == pytest.approx(entropy, rel=1e-5)
    assert numbers["loss"] == pytest.approx(0.25 * age + 10 * entropy + penalty, rel=1e-5)


def test_the_last_smaller_batch_counts_as_much_as_it_holds(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    x, label = samples(33)
    model.fit(x, label, batch=16, runs=None, shown=False)
    guess = model.predict(x)["class"]
    numbers = model.evaluate(x, label)
    assert numbers["class.accuracy"] == pytest.approx((guess.argmax(axis=1) == label).mean())
    assert numbers["loss"] == pytest.approx(-np.log(guess[np.arange(33), label]).mean(), rel=1e-5)


def test_double_precision(tmp_path: Path) -> None:
    text = CLASSIFY.replace("dense(8)", "dense(8) -> batch_norm") % "precision = float64"
    model = compiled(text, tmp_path)
    done = fit(model, tmp_path)
    assert {a.dtype for a in weights(model).values()} == {np.dtype(np.float64)}
    assert model.predict(samples()[0])["class"].dtype == np.float64
    assert done.metrics["valid"]["loss"] < 1.1


@pytest.mark.skipif(not available(), reason="no compiled kernels")
@pytest.mark.parametrize(("said", "fast"), [("", True), ("precision = float32", True), ("precision = strict", False)])
def test_strict_precision(tmp_path: Path, said: str, fast: bool) -> None:
    """Training, evaluation and prediction are all by one machine; results are float32 either way."""
    model = compiled(CLASSIFY % said, tmp_path, backend="cpu")
    machine = model.executor.backend
    assert isinstance(machine, CpuBackend)
    assert machine.machine.fast is fast
    fit(model, tmp_path)
    assert model.predict(samples()[0])["class"].dtype == np.float32


@pytest.mark.parametrize("said", ["tf32", "bf16"])
def test_precision_of_products_for_gpus(tmp_path: Path, said: str) -> None:
    """Elsewhere it means float32."""
    model = compiled(CLASSIFY % f"precision = {said}", tmp_path)
    assert {a.dtype for a in weights(model).values()} == {np.dtype(np.float32)}
    assert fit(model, tmp_path).metrics["valid"]["loss"] < 1.1


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((), "float32"),
        (("float32", "float32"), "float32"),
        (("float32", "tf32"), "tf32"),
        (("bf16", "tf32"), "bf16"),
        (("bf16", "strict"), "strict"),
        (("strict", "float64", "bf16"), "float64"),
    ],
)
def test_sections_share_a_precision(asked: tuple[str, ...], found: str) -> None:
    assert shared(asked) == found


def test_what_is_learned_may_be_the_picture_itself(tmp_path: Path) -> None:
    """No data: the graph reads nothing, and steps say how long."""
    text = """
    weight canvas: float[2, 3]
    weight wanted: float[2, 3]
    train { loss = [canvas * canvas, canvas + 6] -> mse  learn = canvas  optimizer = adam(lr=0.1)  steps = 95 }
    """
    done = fit_alone(compiled(text, tmp_path), tmp_path)
    rows = _rows(done.folder / "metrics.csv")
    assert [int(r["step"]) for r in rows] == [10, 20, 30, 40, 50, 60, 70, 80, 90, 95]
    assert float(rows[-1]["loss"]) < 0.1


def fit_alone(model: Model, folder: Path) -> Any:
    return model.fit(runs=folder / "runs", shown=False)


# --- callbacks


@dataclass(frozen=True)
class Press(Callback):
    """Presses Ctrl+C after a step."""

    step: int

    def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
        if event.step == self.step:
            os.kill(os.getpid(), signal.SIGINT)
        return ()


@dataclass(frozen=True)
class Watch(Callback):
    """Stops after an epoch."""

    epoch: int

    def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
        memory["seen"] = memory.get("seen", 0) + 1
        if event.number == self.epoch:
            yield Stop(f"seen {memory['seen']}")


def test_early_stop_puts_the_best_weights_back(tmp_path: Path) -> None:
    text = CLASSIFY.replace("cosine(0.05)", "3") % 'callbacks = [early_stop(2), checkpoint("best")]'
    model = compiled(text, tmp_path)
    done = fit(model, tmp_path, epochs=40)
    rows = list(csv.DictReader((done.folder / "metrics.csv").read_text().splitlines()))
    losses = [float(r["valid.loss"]) for r in rows]
    assert len(rows) == losses.index(min(losses)) + 3 < 40
    assert done.metrics["valid"]["loss"] == min(losses)
    best = compiled(text, tmp_path)
    best.load(done.folder / "best.safetensors")
    assert same(weights(model), weights(best))


@pytest.mark.parametrize("step", [1, 5, 8, 12])
def test_a_resumed_run_is_one_that_never_stopped(tmp_path: Path, step: int) -> None:
    """Four steps an epoch: inside an epoch and at its end."""
    text = CLASSIFY % "callbacks = [early_stop(50), reduce_on_plateau(patience=1)]"
    whole = compiled(text, tmp_path)
    done = fit(whole, tmp_path)
    stopped = compiled(text, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, tmp_path, callbacks=[Press(step)])
    resumed = compiled(text, tmp_path)
    again = fit(resumed, tmp_path, callbacks=[Press(0)], resume=tmp_path / "runs" / "small-2")
    assert same(weights(whole), weights(resumed))
    assert again.metrics == done.metrics
    first, second = (tmp_path / "runs" / f"small-{n}" / "metrics.csv" for n in (1, 2))
    assert [_without_time(r) for r in _rows(first)] == [_without_time(r) for r in _rows(second)]
    assert not (tmp_path / "runs" / "small-2" / "checkpoint.safetensors").exists()


def _rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def _without_time(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if name != "seconds"}


def test_ctrl_c_in_the_last_step_is_too_late(tmp_path: Path) -> None:
    done = fit(compiled(CLASSIFY % "", tmp_path), tmp_path, callbacks=[Press(16)])
    assert (done.folder / "weights.safetensors").exists()


def test_going_on_with_other_callbacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(CLASSIFY % "", tmp_path), tmp_path, callbacks=[Press(2)])
    with pytest.raises(Failed, match=r"E0614.*other callbacks"):
        fit(compiled(CLASSIFY % "", tmp_path), tmp_path, resume=tmp_path / "runs" / "small-1")


def test_load_says_what_it_took(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = compiled(CLASSIFY % "", tmp_path)
    path = first.save(tmp_path / "first.safetensors")
    again = compiled(CLASSIFY.replace("0.05", "1e-9") % f'seed = 4 load = "{path}"', tmp_path)
    again.fit(*samples(), runs=None)
    assert f"loaded {path}: 4 weights by name" in capsys.readouterr().out
    assert all(np.allclose(weights(first)[n], w, atol=1e-6) for n, w in weights(again).items())


def test_a_spec_is_kept_as_it_was_run(tmp_path: Path) -> None:
    path = tmp_path / "small.dag"
    path.write_text("param width = 8" + (CLASSIFY % "").replace("dense(8)", "dense(width)"))
    done = fit(graphdsl.compile(path, {"width": "5"}), tmp_path)
    assert (done.folder / "spec.dag").read_text() == path.read_text()
    assert "width = 5" in (done.folder / "summary.txt").read_text()


def test_runs_are_numbered_and_the_newest_is_found(tmp_path: Path) -> None:
    for name in ("small-2", "small-10", "small-x", "other-11"):
        (tmp_path / name).mkdir()
    (tmp_path / "small-2" / WEIGHTS).touch()
    assert new_folder(tmp_path, "small") == tmp_path / "small-11"
    assert newest_weights(tmp_path, "small") == tmp_path / "small-2" / WEIGHTS
    assert newest_weights(tmp_path / "none", "small") is None


def test_inputs_that_share_a_length_must_have_it(tmp_path: Path) -> None:
    text = """
    input a, b: float[T, 2]
    target y: float[1]
    shared reader = lstm(3)
    output g = [a -> reader, b -> reader] -> concat -> dense(1)
    train { loss = [g, y] -> mse  metrics = [g, y] -> mae  epochs = 1 }
    """
    short, long = ([np.ones((n, 2)) for n in sizes] for sizes in ((2, 3, 5), (2, 4, 5)))
    truth = {"y": np.ones((3, 1))}
    compiled(text, tmp_path).fit({"a": short, "b": short}, truth, runs=None, shown=False)
    with pytest.raises(Failed, match=r"E0513.*`T`"):
        compiled(text, tmp_path).fit({"a": short, "b": long}, truth, runs=None, shown=False)


def test_sections_run_in_order_and_stop_between(tmp_path: Path) -> None:
    """The second section freezes the first layer and begins with an optimizer of its own."""
    loss = "loss = [class, label] -> categorical_crossentropy"
    more = f"train finetune {{ {loss} freeze = hidden optimizer = adam epochs = 2 }}"
    text = CLASSIFY.replace("output class = x -> dense(8)", "hidden = x -> dense(8)\noutput class = hidden") % "" + more
    whole = compiled(text, tmp_path)
    done = fit(whole, tmp_path)
    assert [r["section"] for r in _rows(done.folder / "metrics.csv")] == ["train"] * 4 + ["finetune"] * 2
    stopped, resumed = compiled(text, tmp_path), compiled(text, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, tmp_path, callbacks=[Press(16)])
    fit(resumed, tmp_path, callbacks=[Press(0)], resume=tmp_path / "runs" / "small-2")
    assert same(weights(whole), weights(resumed))
    first = compiled(text, tmp_path)
    first.load(_epoch_before(tmp_path, text))
    assert np.array_equal(weights(first)["hidden/dense_1/kernel"], weights(whole)["hidden/dense_1/kernel"])
    assert not np.array_equal(weights(first)["class/dense_1/kernel"], weights(whole)["class/dense_1/kernel"])


def _epoch_before(folder: Path, text: str) -> Path:
    """The weights after the first section alone."""
    alone = compiled(text[: text.index("train finetune")], folder)
    fit(alone, folder)
    return alone.save(folder / "first.safetensors")


GAN = """
input  x: float[4]
target label: int(3)
generator = x -> dense(4)
critic    = generator -> dense(3) -> softmax
output class = critic
train {
  epochs = 3
  step critic    { loss = [class, label] -> categorical_crossentropy  learn = critic  optimizer = adam }
  step generator { loss = [class, label] -> categorical_crossentropy(weight=2)  learn = generator  optimizer = adam
                   metrics = [class, label] -> accuracy }
}
"""


def test_steps_take_turns_with_optimizers_of_their_own(tmp_path: Path) -> None:
    model = compiled(GAN, tmp_path)
    begun = weights(model)
    seen: dict[str, Array] = {}

    @dataclass(frozen=True)
    class Look(Callback):
        def on_epoch(self, event: EpochDone, memory: Memory) -> Iterable[Action]:
            seen.update(model.executor.weights)
            return ()

    done = fit(model, tmp_path, callbacks=[Look()])
    train = done.metrics["train"]
    assert set(train) == {"loss", "critic.loss", "generator.loss", "class.accuracy"}
    assert train["loss"] == pytest.approx(train["critic.loss"] + train["generator.loss"])
    assert seen["optimizer/critic/steps"] == seen["optimizer/generator/steps"] == 12
    after = weights(model)
    assert not any(np.array_equal(begun[n], after[n]) for n in begun)


def test_interrupting_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(*samples(), runs=tmp_path, callbacks=[Press(2)])
    said = capsys.readouterr().out
    assert f"graphdsl run {tmp_path / 'small.dag'} --resume {tmp_path / 'small-1'}" in said


def test_a_callback_of_ones_own(tmp_path: Path) -> None:
    done = fit(compiled(CLASSIFY % "", tmp_path), tmp_path, callbacks=[Watch(2)])
    assert len(_rows(done.folder / "metrics.csv")) == 2


def test_a_file_of_callbacks_gives_the_spec_new_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CALLBACKS, "_entries", dict(CALLBACKS._entries))  # other tests must not meet the new word
    own = tmp_path / "mine.py"
    own.write_text(
        "from dataclasses import dataclass\n"
        "from graphdsl.learn import CALLBACKS, Callback, Stop\n"
        "@CALLBACKS.register('stop_at')\n"
        "@dataclass(frozen=True)\n"
        "class StopAt(Callback):\n"
        "    epoch: int = 1\n"
        "    def on_epoch(self, event, memory):\n"
        "        if event.number == self.epoch:\n"
        "            yield Stop('enough')\n"
    )
    assert load_callbacks(own) == ("stop_at",)
    done = fit(compiled(CLASSIFY % "callbacks = stop_at(3)", tmp_path), tmp_path)
    assert len(_rows(done.folder / "metrics.csv")) == 3


@pytest.mark.triggers("E0617")
def test_a_file_of_callbacks_that_fails(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("\nraise ValueError('half done')\n")
    with pytest.raises(Failed, match=r"E0617.*ValueError: half done at .*mine\.py:2"):
        load_callbacks(own)
    with pytest.raises(Failed, match="E0617"):
        load_callbacks(tmp_path / "none.py")


# --- mistakes


@pytest.mark.triggers("E0614")
def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="E0614"):
        fit(compiled(CLASSIFY % "", tmp_path), tmp_path, resume=tmp_path)


def test_a_spec_that_has_changed_cannot_go_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fit(compiled(CLASSIFY % "", tmp_path), tmp_path, callbacks=[Press(3)])
    with pytest.raises(Failed, match="E0614"):
        fit(compiled(CLASSIFY % "seed = 2", tmp_path), tmp_path, resume=tmp_path / "runs" / "small-1")


@pytest.mark.triggers("E0615")
def test_no_data(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    for call in (model.fit, model.evaluate, model.predict):
        with pytest.raises(Failed, match="E0615"):
            call()
    assert [p.name for p in tmp_path.iterdir()] == ["small.dag"]


@pytest.mark.triggers("E0616")
def test_no_weights_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Failed, match="E0616"):
        compiled(CLASSIFY % "", tmp_path).load()


@pytest.mark.triggers("E0601")
def test_a_loss_that_is_no_number_stops_at_once_and_names_the_layer(tmp_path: Path) -> None:
    text = HEADS.replace("-> tanh", "-> dense(6) -> dense(6)").replace("lr=0.01", "lr=1e30")
    model = compiled(text, tmp_path)
    x, label = samples()
    with pytest.raises(Failed, match=r"E0601.*dense_") as caught:
        model.fit({"x": x}, {"age": x[:, :1], "label": label}, runs=None, shown=False)
    assert caught.value.diagnostics[0].span is not None
    assert all(np.isfinite(array).all() for array in weights(model).values())


def test_after_a_failure_training_begins_afresh(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Fail(Callback):
        def on_step(self, event: StepDone, memory: Memory) -> Iterable[Action]:
            raise ValueError("mine")

    begun, other = compiled(CLASSIFY % "", tmp_path), compiled(CLASSIFY % "", tmp_path)
    with pytest.raises(Failed, match=r"E0617.*mine at .*test_training\.py"):
        begun.fit(*samples(), runs=None, shown=False, callbacks=[Fail()])
    other.executor.weights.restore(weights(begun))
    for model in (begun, other):
        model.fit(*samples(), runs=None, shown=False)
    assert same(weights(begun), weights(other))


@pytest.mark.triggers("E0804")
@pytest.mark.triggers("E0805")
def test_names_that_are_not_there(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    with pytest.raises(Failed, match=r"E0804.*did you mean `fuse`"):
        model.stage("fusee")
    with pytest.raises(Failed, match="E0805"):
        model.filters("class/dense_7")
    with pytest.raises(Failed, match="E0805"):
        model.features("class/dense_7", samples()[0])


def test_looking_inside(tmp_path: Path) -> None:
    model = compiled(CLASSIFY % "", tmp_path)
    assert model.filters("class/dense_1").shape == (4, 8)
    assert model.filters("dense_1").shape == (4, 8)
    assert model.features("class/dense_1", samples()[0]).shape == (70, 8)
    assert model.features("class", samples()[0]).shape == (70, 3)
    assert "update/class/dense_1/kernel" in model.stage("update")


def test_the_rate_has_the_precision_of_all_else(tmp_path: Path) -> None:
    train = "loss = [y, t] -> mse precision = float64 optimizer = sgd(lr=0.1) epochs = 1"
    text = f"input x: float[1]\ntarget t: float[1]\noutput y = x -> dense(1, bias=false)\ntrain {{ {train} }}"
    model = compiled(text, tmp_path)
    (before,) = weights(model).values()
    model.fit(np.ones((1, 1)), np.zeros((1, 1)), runs=None, shown=False)
    (after,) = weights(model).values()
    np.testing.assert_allclose(after, before - 0.1 * 2 * before, rtol=1e-14)


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize(("norm", "optimizer"), [("batch_norm(momentum=0)", "sgd"), ("relu", "adam(beta1=0)")])
def test_states_that_forget_at_once(norm: str, optimizer: str, steps: bool, tmp_path: Path) -> None:
    """Their new value does not depend on the old one, and they are written all the same."""
    rules = f"loss = [y, t] -> mse optimizer = {optimizer}"
    rules = f"step one {{ {rules} }} step two {{ {rules} }}" if steps else rules
    text = f"input x: float[2]\ntarget t: float[1]\noutput y = x -> dense(3) -> {norm} -> dense(1)"
    model = compiled(f"{text}\ntrain {{ {rules} epochs = 2 }}", tmp_path)
    x = np.arange(8.0).reshape(4, 2)
    done = model.fit(x, x[:, :1], runs=None, shown=False)
    assert np.isfinite(done.metrics["train"]["loss"])


def test_what_is_frozen_keeps_its_running_averages(tmp_path: Path) -> None:
    net = "input x: float[2]\ntarget t: float[1]\nbody = x -> dense(3) -> batch_norm\noutput y = body -> dense(1)"
    model = compiled(f"{net}\ntrain {{ loss = [y, t] -> mse freeze = body epochs = 2 }}", tmp_path)
    before = weights(model)
    x = np.arange(8.0).reshape(4, 2)
    model.fit(x, x[:, :1], runs=None, shown=False)
    changed = {name for name, array in weights(model).items() if not np.array_equal(array, before[name])}
    assert changed == {"y/dense_1/kernel", "y/dense_1/bias"}


RATED = """input x: float[3]
target y: float[1]
body = x -> dense(4)
mid  = body -> dense(4)
output z = mid -> dense(1)
train {
  loss = [z, y] -> mse
  optimizer = %s
  rates = %s
  steps = 1
}
"""


def moved(text: str, folder: Path) -> dict[str, Array]:
    """How far each weight goes in the one step."""
    model = compiled(text, folder)
    before = weights(model)
    chance = np.random.default_rng(2)
    model.fit(chance.normal(size=(8, 3)), chance.normal(size=(8, 1)), batch=8, runs=None, shown=False)
    return {name: after - before[name] for name, after in weights(model).items()}


@pytest.mark.parametrize("optimizer", ["sgd(lr=0.1)", "sgd(lr=0.1, momentum=0.9)", "adam(lr=0.1)", "adamw(lr=0.1)"])
def test_parts_may_learn_more_slowly(tmp_path: Path, optimizer: str) -> None:
    plain = moved(RATED % (optimizer, "[z, 1]"), tmp_path)
    rated = moved(RATED % (optimizer, "[[body, mid, 0.5], [mid, 0.1]]"), tmp_path)
    for name, far in plain.items():
        factor = {"body": 0.5, "mid": 0.1}.get(name.partition("/")[0], 1.0)
        assert np.allclose(rated[name], factor * far, rtol=1e-4, atol=1e-7), name
    assert all(np.abs(far).max() > 0 for name, far in plain.items() if name.endswith("kernel"))


def test_a_step_has_rates_of_its_own(tmp_path: Path) -> None:
    text = RATED.replace("  loss = [z, y] -> mse\n", "").replace(
        "train {", "train {\n  step a { loss = [z, y] -> mse }"
    )
    rated = moved(text % ("sgd(lr=0.1)", "[body, 0.5]"), tmp_path)
    own = moved(text.replace("-> mse }", "-> mse rates = [body, 0] }") % ("sgd(lr=0.1)", "[body, 0.5]"), tmp_path)
    assert np.abs(rated["body/dense_1/kernel"]).max() > 0
    assert (own["body/dense_1/kernel"] == 0).all()


@pytest.mark.triggers("E0218")
def test_rates_of_what_does_not_learn(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"E0218.*nothing there learns"):
        compiled((RATED % ("adam", "[body, 0.1]")).replace("steps", "freeze = body\n  steps"), tmp_path)


def test_what_a_model_inside_took_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = "input x: float[3]\nfeatures = x -> dense(4)\noutput y = features -> dense(2)\n"
    (tmp_path / "inner.dag").write_text(inner)
    graphdsl.compile(tmp_path / "inner.dag").save(tmp_path / "inner.safetensors")
    text = RATED.replace("x -> dense(4)", 'x -> model("inner.dag", weights="inner.safetensors", upto=features)', 1)
    model = compiled(text % ("sgd(lr=0.1)", "[body, 0]"), tmp_path)
    model.fit(np.ones((2, 3)), np.ones((2, 1)), runs=None)
    said = capsys.readouterr().out
    assert "loaded inner.safetensors: 2 weights by name; not in the model: `y/dense_1/kernel`, `y/dense_1/bias`" in said
