"""Losses on likeness against loops over triplets and pairs."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, LOSSES, Array, Builder, DType, Role, TensorType, TypeRuleError, indices
from graphdsl.ops.triplets import Triplets
from graphdsl.passes import gradient, simplify
from tests.support.evaluate import evaluate

RANDOM = np.random.default_rng(7)
LABEL = np.array([0, 0, 1, 1, 1, 2, 2, 3, 0, 4], np.int32)
X = RANDOM.normal(size=(len(LABEL), 5))


def apart(i: int, j: int) -> float:
    return float(((X[i] - X[j]) ** 2).sum())


def by_hand(mining: str, margin: float) -> float:
    many = range(len(LABEL))
    chosen = []
    for a in many:
        near = [p for p in many if p != a and LABEL[p] == LABEL[a]]
        far = [n for n in many if LABEL[n] != LABEL[a]]
        if mining == "all":
            chosen += [(a, p, n) for p in near for n in far]
        elif mining == "hard" and near:
            chosen.append((a, max(near, key=lambda p: apart(a, p)), min(far, key=lambda n: apart(a, n))))
        elif mining == "semi_hard":
            for p in near:
                beyond = [n for n in far if apart(a, n) > apart(a, p)]
                chosen.append(
                    (a, p, min(beyond, key=lambda n: apart(a, n)) if beyond else max(far, key=lambda n: apart(a, n)))
                )
    losses = [max(margin + apart(a, p) - apart(a, n), 0) for a, p, n in chosen]
    return sum(losses) / (sum(x > 0 for x in losses) if mining == "all" else len(losses))


@pytest.mark.parametrize("mining", ["all", "hard", "semi_hard"])
@pytest.mark.parametrize("margin", [0.2, 3.0])
def test_mining_against_a_loop(mining: str, margin: float) -> None:
    found, _ = Triplets(mining, margin).reference(X, LABEL)
    assert found == pytest.approx(by_hand(mining, margin), rel=1e-12)


def test_random_triplets_are_triplets_and_all_come_up() -> None:
    op, seen = Triplets("random", 0.2), set()
    same: Array = np.equal.outer(LABEL, LABEL)
    for _ in range(300):
        distances = ((X[:, None] - X[None]) ** 2).sum(-1)
        made = op._chosen(distances, same, RANDOM.random((len(LABEL), 2)))
        for a, p, n in zip(*made, strict=True):
            assert a != p and LABEL[a] == LABEL[p] and LABEL[a] != LABEL[n]
            seen.add((int(a), int(p), int(n)))
    assert len(seen) == int((same & ~np.eye(len(X), dtype=bool)).sum(1) @ (~same).sum(1))


def test_a_batch_without_triplets() -> None:
    for mining in ("all", "hard", "semi_hard"):
        found, slope = Triplets(mining, 1.0).reference(X[:3], np.array([1, 1, 1], np.int32))
        assert found == 0 and not slope.any()
    assert Triplets("random", 1.0).reference(X[:2], np.array([1, 2], np.int32), np.zeros((2, 2)))[0] == 0


def compared(same: Array) -> tuple[float, Array]:
    b = Builder()
    first, second = (b.input(n, TensorType((BATCH, 5), DType.FLOAT64)) for n in ("first", "second"))
    answer = b.input("same", TensorType((BATCH, 1), DType.FLOAT64))
    b.result("total", Role.LOSS, LOSSES["contrastive"].make(b, first, second, answer, margin=2.5))
    made = evaluate(gradient(simplify(b.finish()), ["first"]), {"first": X[:5], "second": X[5:], "same": same})
    return float(made["loss", "total"]), made["gradient", "first"]


def test_contrastive_against_torch() -> None:
    torch = pytest.importorskip("torch")
    same = np.array([[1.0], [0], [0], [1], [0]])
    first = torch.from_numpy(X[:5].copy()).requires_grad_()
    far = ((first - torch.from_numpy(X[5:])) ** 2).sum(1).sqrt()
    answer = torch.from_numpy(same[:, 0])
    wanted = (answer * far**2 + (1 - answer) * torch.clamp(2.5 - far, min=0) ** 2).mean()
    wanted.backward()
    value, slope = compared(same)
    assert value == pytest.approx(wanted.item(), rel=1e-9)
    np.testing.assert_allclose(slope, first.grad.numpy(), rtol=1e-7, atol=1e-12)


def test_what_does_not_fit() -> None:
    b = Builder()
    x = b.input("x", TensorType((BATCH, 5), DType.FLOAT64))
    label = b.input("label", TensorType((BATCH,), DType.INT32, indices(5)))
    number = b.input("number", TensorType((BATCH, 2), DType.FLOAT64))
    with pytest.raises(TypeRuleError, match="each with a class"):
        LOSSES["triplet"].make(b, x, number)
    with pytest.raises(TypeRuleError, match="contrastive compares two vectors"):
        LOSSES["contrastive"].make(b, x, x, label)
