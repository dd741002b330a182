"""The loss `ctc` against PyTorch and against all ways of writing a text; the decoders against all texts."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import (
    BATCH,
    LAYERS,
    LOSSES,
    PROBABILITIES,
    Array,
    Builder,
    DType,
    Graph,
    Operator,
    Role,
    TensorType,
    TypeRuleError,
    Value,
    indices,
    symbol,
)
from graphdsl.ops import CtcBeam, CtcGreedy, Softmax, SoftmaxCtc
from graphdsl.passes import gradient, simplify
from tests.support.calls import made
from tests.support.evaluate import evaluate

T, L = symbol("T"), symbol("L")
TEXTS = [[1, 1, 2], [0, 3, 0], [2], [], [3, 3, 3]]
FRAMES = [9, 6, 4, 5, 7]


def arrays(seed: int = 0, *, outputs: int = 5) -> dict[str, Array]:
    """Scores and texts of five samples, padded with what must not count."""
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 2, (len(FRAMES), max(FRAMES), outputs)).astype(np.float32)
    text = np.zeros((len(TEXTS), 3), np.int32)
    for row, own in zip(text, TEXTS, strict=True):
        row[: len(own)] = own
    return {
        "x": x,
        "t": text,
        "lengths/T": np.array(FRAMES, np.int32),
        "lengths/L": np.array([len(t) for t in TEXTS], np.int32),
    }


def graph(*, outputs: int = 5, **settings: object) -> Graph:
    b = Builder()
    x = b.input("x", TensorType((BATCH, T, outputs)))
    t = b.input("t", TensorType((BATCH, L), DType.INT32, indices(outputs - 1)))
    total = LOSSES["ctc"].make(b, LAYERS["softmax"].make(b, x), t, **settings)
    assert isinstance(total, Value)
    b.result("total", Role.LOSS, total)
    return b.finish()


# --- PyTorch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blank", [0, 2, None])
@pytest.mark.parametrize("machine", ["reference", "cpu"])
def test_loss_and_gradient_are_those_of_torch(blank: int | None, machine: str) -> None:
    torch = pytest.importorskip("torch")
    fed, place = arrays(), 4 if blank is None else blank
    operands = [fed["x"], fed["t"], fed["lengths/T"], fed["lengths/L"]]
    each, slope = made(backend(machine), SoftmaxCtc(place, True, True), operands)
    x = torch.from_numpy(fed["x"]).double().requires_grad_()
    lengths = [torch.from_numpy(fed[f"lengths/{n}"]).long() for n in "TL"]
    text = torch.from_numpy(fed["t"] + (fed["t"] >= place)).long()
    logs = x.log_softmax(-1).transpose(0, 1)
    theirs = torch.nn.functional.ctc_loss(logs, text, *lengths, blank=place, reduction="none")
    theirs.sum().backward()
    np.testing.assert_allclose(each, theirs.detach(), atol=1e-5)
    np.testing.assert_allclose(slope, x.grad, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_long_texts_agree_with_torch(seed: int) -> None:
    """A hundred frames, forty classes: logarithms that float32 would not hold."""
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(seed)
    x = generator.normal(0, 5, (3, 100, 40)).astype(np.float32)
    text = generator.integers(0, 39, (3, 30)).astype(np.int32)
    text[:, 5:9] = text[:, 4:5]
    each, slope = made(backend("cpu"), SoftmaxCtc(39), [x, text])
    given = torch.from_numpy(x).double().requires_grad_()
    sizes = torch.full((3,), 100), torch.full((3,), 30)
    logs = given.log_softmax(-1).transpose(0, 1)
    theirs = torch.nn.functional.ctc_loss(logs, torch.from_numpy(text).long(), *sizes, blank=39, reduction="none")
    theirs.sum().backward()
    np.testing.assert_allclose(each, theirs.detach(), rtol=1e-6)
    np.testing.assert_allclose(slope, given.grad, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_text_that_is_too_long_is_infinitely_bad_or_counts_nothing(frames: int) -> None:
    """Two equal characters need three frames."""
    x, text = np.zeros((1, frames, 3), np.float32), np.array([[1, 1]], np.int32)
    for machine in ("reference", "cpu"):
        each, slope = made(backend(machine), SoftmaxCtc(2), [x, text])
        skipped, _ = made(backend(machine), SoftmaxCtc(2, skip=True), [x, text])
        assert np.isinf(each[0]) == (frames < 3)
        assert (skipped[0] == 0) == (frames < 3)
        assert slope.any() == (frames == 3)


# --- all ways --------------------------------------------------------------------------------------------------------


def texts_of(p: Array, blank: int) -> dict[tuple[int, ...], float]:
    """How probable each text is: every way of writing is tried."""
    found: dict[tuple[int, ...], float] = {}
    for way in product(range(p.shape[1]), repeat=len(p)):
        text = tuple(k - (k > blank) for k, _ in groupby(way) if k != blank)
        found[text] = found.get(text, 0.0) + float(np.prod([row[k] for row, k in zip(p, way, strict=True)]))
    return found


@pytest.mark.parametrize("blank", [0, 2])
def test_probabilities_of_all_texts_are_those_of_all_ways(blank: int) -> None:
    x = np.random.default_rng(blank).normal(0, 1, (1, 4, 3))
    ways = texts_of(Softmax().reference(x)[0], blank)
    for text, probability in ways.items():
        (each,) = SoftmaxCtc(blank, gives=(0,)).reference(x, np.array([text], np.int32).reshape(1, -1))
        assert np.exp(-each[0]) == pytest.approx(probability)
    assert sum(ways.values()) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(8))
def test_a_wide_beam_finds_the_most_probable_text(seed: int) -> None:
    p = Softmax().reference(np.random.default_rng(seed).normal(0, 1, (1, 5, 3)))
    ways = texts_of(p[0], 2)
    assert said(CtcBeam(2, 1000), p) == max(ways, key=ways.__getitem__)


def said(op: Operator, p: Array) -> tuple[int, ...]:
    (found,) = op.reference(p)
    return tuple(int(k) for k in found if k >= 0)


def test_the_example_of_the_decoders_page() -> None:
    """Two frames of [0.4, 0, 0.6]: the best way is two blanks (0.36), the best text is `a` (0.64)."""
    p = np.array([[[0.4, 0.0, 0.6], [0.4, 0.0, 0.6]]])
    assert said(CtcGreedy(2), p) == ()
    assert said(CtcBeam(2), p) == (0,)


def test_equal_neighbours_are_one_character_unless_a_blank_stands_between_them() -> None:
    p = np.eye(3)[None, [0, 0, 2, 0, 1, 1, 2, 2, 1]]
    for op in (CtcGreedy(2), CtcBeam(2)):
        assert said(op, p) == (0, 0, 1, 1)


@pytest.mark.parametrize("machine", ["reference", "cpu"])
def test_behind_the_end_of_a_text_stands_no_character(machine: str) -> None:
    p = np.eye(3, dtype=np.float32)[None, [1, 0, 0, 2]]
    lengths = np.array([3], np.int32)
    (found,) = made(backend(machine), CtcGreedy(0), [p, lengths])
    np.testing.assert_array_equal(found, [[0, -1, -1, -1]])


# --- the loss --------------------------------------------------------------------------------------------------------


def test_padding_changes_nothing() -> None:
    fed = arrays()
    spoilt = {**fed, "x": fed["x"].copy(), "t": fed["t"].copy()}
    for row, frames in zip(spoilt["x"], FRAMES, strict=True):
        row[frames:] = 50
    for row, text in zip(spoilt["t"], TEXTS, strict=True):
        row[len(text) :] = 3
    steps = simplify(graph())
    whole = gradient(steps, ("x",))
    one, other = evaluate(whole, fed), evaluate(whole, spoilt)
    assert one["loss", "total"] == other["loss", "total"]
    np.testing.assert_array_equal(one["gradient", "x"], other["gradient", "x"])
    assert not one["gradient", "x"][2, 4:].any()


def test_it_is_the_mean_over_samples_and_the_same_before_and_after_simplify() -> None:
    fed = arrays()
    operands = [fed["x"].astype(np.float64), fed["t"], fed["lengths/T"], fed["lengths/L"]]
    each = SoftmaxCtc(4, True, True).reference(*operands)[0]
    written, stable = graph(), simplify(graph())
    assert evaluate(written, fed)["loss", "total"] == pytest.approx(each.mean(), rel=1e-5)
    assert evaluate(stable, fed)["loss", "total"] == pytest.approx(each.mean(), rel=1e-6)
    ops = {node.op.name for _, node in stable.items()}
    assert "softmax_ctc" in ops and "softmax" not in ops


def test_certain_scores_stay_finite() -> None:
    fed = arrays()
    fed["x"] = fed["x"] * 1000
    assert np.isfinite(evaluate(simplify(graph()), fed)["loss", "total"])


# --- refusals --------------------------------------------------------------------------------------------------------

FITS = TensorType((BATCH, T, 5), kind=PROBABILITIES), TensorType((BATCH, L), DType.INT32, indices(4))


@pytest.mark.parametrize(
    ("prediction", "target", "settings", "code", "says"),
    [
        (TensorType((BATCH, T, 5)), FITS[1], {}, "E0303", "softmax"),
        (TensorType((BATCH, 5), kind=PROBABILITIES), FITS[1], {}, "E0304", "[frames, classes]"),
        (FITS[0], TensorType((BATCH, L)), {}, "E0303", "int(n)[L]"),
        (FITS[0], TensorType((BATCH,), DType.INT32, indices(4)), {}, "E0303", "int(n)[L]"),
        (FITS[0], TensorType((BATCH, L), DType.INT32, indices(5)), {}, "E0304", "5 outputs, the target 5 classes"),
        (*FITS, {"blank": 5}, "E0305", "no output 5"),
    ],
)
def test_what_does_not_suit_is_refused(
    prediction: TensorType, target: TensorType, settings: dict[str, int], code: str, says: str
) -> None:
    b = Builder()
    with pytest.raises(TypeRuleError) as caught:
        LOSSES["ctc"].make(b, b.input("x", prediction), b.input("t", target), **settings)
    assert caught.value.code == code
    assert says in caught.value.message + caught.value.help
