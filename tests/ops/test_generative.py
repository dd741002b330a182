"""Losses of networks that make things and of networks that learn from another one, against PyTorch and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, LOSSES, Array, Builder, DType, Role, TensorType, TypeRuleError, indices
from graphdsl.passes import gradient, simplify
from tests.support.evaluate import evaluate

RANDOM = np.random.default_rng(5)
SCORES, OTHER = RANDOM.normal(size=(6, 4)) * 3, RANDOM.normal(size=(6, 4)) * 3
LABEL = np.array([0, 3, 2, 2, 1, 0], np.int32)


def valued(word: str, arrays: dict[str, Array], ending: str = "", **settings: Any) -> tuple[float, Array]:
    """The loss of these operands, and the gradient of the first, as simplified; which is the loss as written."""
    b = Builder()
    made = []
    for name, array in arrays.items():
        kind = {"dtype": DType.INT32, "kind": indices(4)} if array.dtype.kind == "i" else {"dtype": DType.FLOAT64}
        made.append(b.input(name, TensorType((BATCH, *array.shape[1:]), **kind)))
    flowing = [LAYERS[ending].make(b, made[0]), *made[1:]] if ending else made
    b.result("total", Role.LOSS, LOSSES[word].make(b, *flowing, **settings))
    graph = b.finish()
    value = float(evaluate(graph, arrays)["loss", "total"])
    simple = evaluate(gradient(simplify(graph), [next(iter(arrays))]), arrays)
    assert float(simple["loss", "total"]) == pytest.approx(value, rel=1e-6, abs=2e-7)
    return value, simple["gradient", next(iter(arrays))]


def same(word: str, arrays: dict[str, Array], theirs: Any, **settings: Any) -> None:
    """The loss and its gradient by the first operand, against theirs(torch, functional, *tensors)."""
    torch = pytest.importorskip("torch")
    tensors = [torch.from_numpy(a.astype(np.int64) if a.dtype.kind == "i" else a) for a in arrays.values()]
    tensors[0].requires_grad_()
    wanted = theirs(torch, torch.nn.functional, *tensors)
    wanted.backward()
    value, slope = valued(word, arrays, **settings)
    assert value == pytest.approx(wanted.item(), rel=1e-9)
    np.testing.assert_allclose(slope, tensors[0].grad.numpy(), rtol=1e-7, atol=1e-12)


def test_kl_normal() -> None:
    def theirs(torch: Any, functional: Any, mean: Any, log_variance: Any) -> Any:
        ours = torch.distributions.Normal(mean, (log_variance / 2).exp())
        return torch.distributions.kl_divergence(ours, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()

    same("kl_normal", {"mean": SCORES, "log_variance": OTHER / 2}, theirs)


def test_kl_normal_is_a_sum_over_all_elements_of_a_sample() -> None:
    mean, none = np.full((2, 3, 5), 2.0), np.zeros((2, 3, 5))
    assert valued("kl_normal", {"mean": mean, "log_variance": none})[0] == pytest.approx(15 * 2)


@pytest.mark.parametrize(("goal", "smoothing", "truth"), [("real", 0.0, 1.0), ("real", 0.1, 0.9), ("fake", 0.1, 0.0)])
def test_adversarial_log(goal: str, smoothing: float, truth: float) -> None:
    def theirs(torch: Any, functional: Any, x: Any) -> Any:
        return functional.binary_cross_entropy_with_logits(x, torch.full_like(x, truth))

    same("adversarial", {"x": SCORES}, theirs, ending="sigmoid", goal=goal, label_smoothing=smoothing)


@pytest.mark.parametrize(("goal", "truth"), [("real", 1.0), ("fake", 0.0)])
def test_adversarial_least_squares(goal: str, truth: float) -> None:
    def theirs(torch: Any, functional: Any, x: Any) -> Any:
        return ((x - truth) ** 2).mean()

    same("adversarial", {"x": SCORES}, theirs, goal=goal, form="least_squares")


def test_a_critic_that_is_sure_does_not_overflow() -> None:
    value, slope = valued("adversarial", {"x": np.full((2, 1), -1000.0)}, ending="sigmoid", goal="fake")
    assert value == pytest.approx(0, abs=2e-7)
    assert np.isfinite(slope).all()


@pytest.mark.parametrize(("temperature", "hard"), [(1.0, 0.5), (4.0, 0.1), (4.0, 0.0), (20.0, 1.0)])
def test_distillation(temperature: float, hard: float) -> None:
    def theirs(torch: Any, functional: Any, student: Any, teacher: Any, label: Any) -> Any:
        soft = functional.cross_entropy(student / temperature, (teacher / temperature).softmax(1))
        return hard * functional.cross_entropy(student, label) + (1 - hard) * temperature**2 * soft

    arrays = {"student": SCORES, "teacher": OTHER, "label": LABEL}
    same("distillation", arrays, theirs, temperature=temperature, hard=hard)


def test_soft_targets_are_distillation_without_the_truth() -> None:
    arrays = {"student": SCORES, "teacher": OTHER}
    alone = valued("soft_targets", arrays, temperature=3.0)
    whole = valued("distillation", {**arrays, "label": LABEL}, temperature=3.0, hard=0.0)
    assert alone[0] == pytest.approx(whole[0])
    np.testing.assert_allclose(alone[1], whole[1])


def test_logits_matching_does_not_see_what_all_scores_share() -> None:
    def theirs(torch: Any, functional: Any, student: Any, teacher: Any) -> Any:
        return functional.mse_loss(student - student.mean(1, keepdim=True), teacher - teacher.mean(1, keepdim=True))

    same("logits_matching", {"student": SCORES, "teacher": OTHER}, theirs)
    assert valued("logits_matching", {"student": SCORES, "teacher": SCORES + 5})[0] == pytest.approx(0, abs=1e-20)


def test_soft_targets_come_to_logits_matching_at_high_temperatures() -> None:
    """Hinton et al. 2015, section 2.1: the gradients are the same, but for a factor."""
    arrays = {"student": SCORES, "teacher": OTHER}
    _, soft = valued("soft_targets", arrays, temperature=1e4)
    _, matched = valued("logits_matching", arrays)
    np.testing.assert_allclose(soft, matched / 2, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("word", ["soft_targets", "logits_matching"])
def test_probabilities_are_no_scores(word: str) -> None:
    with pytest.raises(TypeRuleError, match="needs scores"):
        valued(word, {"student": SCORES, "teacher": OTHER}, ending="softmax")


def test_a_critic_gives_probabilities() -> None:
    with pytest.raises(TypeRuleError, match="probabilities"):
        valued("adversarial", {"x": SCORES}, goal="real")
