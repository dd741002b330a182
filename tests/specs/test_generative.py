"""The specs of networks that make things, and of one that learns from another: they learn, and the ELBO is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.model import Model
from graphdsl.report import Source
from tests.support.shared import DATA, needs

SPECS = Path(__file__).parents[2] / "specs"
EXAMPLES = SPECS.parent / "examples"
MNIST = DATA / "mnist"


def test_the_autoencoder_copies_better_than_the_mean_picture() -> None:
    model = graphdsl.compile(SPECS / "autoencoder.dag")
    done = model.fit(epochs=10, runs=None, shown=False)
    copies = model.predict()["copy"]
    assert copies.shape == (359, 8, 8, 1)
    assert done.metrics["test"]["loss"] < 0.05, "the mean picture's is 0.07"


def vae(**changes: str) -> Model:
    text = (SPECS / "vae.dag").read_text(encoding="utf-8")
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return Model(Source("vae.dag", text))


def test_the_vae_makes_pictures_of_noise() -> None:
    model = vae()
    before = model.draw(100)["made"]
    done = model.fit(epochs=25, runs=None, shown=False)
    made = model.draw(100)["made"]
    assert done.metrics["test"]["loss"] < 28
    assert made.shape == (100, 8, 8, 1)
    real = model._supply._feed(model.plans[0].data).dataset.columns["image"].take(np.arange(500))
    # Pixels at the corners of real digits are dark, those inside are not, and what is made has learned so.
    away = [np.abs(pictures.mean(axis=0) - real.mean(axis=0)).mean() for pictures in (before, made)]
    assert away[1] < 0.05 < away[0]


def test_the_elbo_is_that_of_torch_on_the_same_weights() -> None:
    """With the sample that was drawn: what torch.distributions says of prior, code and pixels."""
    torch = pytest.importorskip("torch")
    model = vae(**{"-> sample_normal ->": "-> sample_normal(in_use=sample) ->"})
    model.fit(epochs=3, runs=None, shown=False)
    image = model._supply._feed(model.plans[0].test).dataset.columns["image"].take(np.arange(200))
    told = model.evaluate({"image": image})
    code = torch.from_numpy(model.features("sample_normal_1", {"image": image}))

    w = {name: torch.tensor(np.array(model.executor.weights[name])) for name in model.executor.weights}

    def dense(x, name):  # type: ignore[no-untyped-def]
        return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]

    pixels = torch.from_numpy(image.reshape(200, 64).astype(np.float32))
    hidden = dense(pixels, "hidden/dense_1").relu()
    mean, log_variance = dense(hidden, "mean/dense_1"), dense(hidden, "log_variance/dense_1")
    posterior = torch.distributions.Normal(mean, (log_variance / 2).exp())
    prior = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    scores = dense(dense(code, "decode/decoder_1/dense_1").relu(), "decode/decoder_1/dense_2")
    likelihood = -torch.nn.functional.binary_cross_entropy_with_logits(scores, pixels, reduction="none").sum(1)
    elbo = (likelihood - torch.distributions.kl_divergence(posterior, prior).sum(1)).mean()

    assert -told["loss"] == pytest.approx(elbo.item(), rel=1e-5)
    noise = (code - mean) / (log_variance / 2).exp()
    assert noise.std().item() == pytest.approx(1, abs=0.05)


def test_the_gan_learns_on_both_sides() -> None:
    model = graphdsl.compile(SPECS / "gan.dag")
    before = {name: np.array(model.executor.weights[name]) for name in model.executor.weights}
    done = model.fit(epochs=1, runs=None, shown=False)
    assert done.metrics["train"]["critic.loss"] < 1.4
    assert all(not np.array_equal(before[name], model.executor.weights[name]) for name in before)
    assert model.draw(3)["made"].shape == (3, 8, 8, 1)


@pytest.mark.parametrize("example", ["gan", "vae"])
def test_a_judge_looks_at_what_is_drawn(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (example, "digits"):
        graphdsl.compile(SPECS / f"{name}.dag").save(tmp_path / f"{name}.safetensors")
    judge = graphdsl.compile(EXAMPLES / example / "judge.dag")
    assert not judge.warnings
    assert judge.draw(5)["digit"].shape == (5, 10)


@needs("mnist")
def test_a_student_learns_from_its_teacher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    teacher = Model(Source("teacher.dag", few((SPECS / "distill_teacher.dag").read_text(encoding="utf-8"))))
    teacher.fit(epochs=1, runs=None, shown=False)
    teacher.save("teacher.safetensors")
    settings = {"data": str(MNIST), "limit": 1000, "hard": 0}
    student = graphdsl.compile(SPECS / "distill_student.dag", settings)
    taught = {n: np.array(w) for n, w in student.executor.weights.items() if n.startswith("teacher")}
    done = student.fit(epochs=3, runs=None, shown=False)
    assert done.metrics["test"]["digit.accuracy"] > 0.5, "without a single label"
    assert taught
    assert all(np.array_equal(w, student.executor.weights[n]) for n, w in taught.items())


def few(text: str) -> str:
    return text.replace('"mnist"', f'"{MNIST}"').replace("batch=100", "batch=50, limit=3000")
