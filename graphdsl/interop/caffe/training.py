"""Losses and metrics of a net as a train section.

Caffe's losses read scores and do their own softmax or sigmoid; here a softmax is a layer and an output, and the
compiler brings the two together again. Caffe divides a sum by the number of samples, our mean by the number of numbers
too, so weights differ by how many numbers a sample has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import prod

from graphdsl.interop.caffe.call import Call
from graphdsl.interop.caffe.elementwise import normalized
from graphdsl.interop.caffe.plan import Blob
from graphdsl.interop.caffe.steps import Step
from graphdsl.report import dataclass

LOSSES = (
    *("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss", "MultinomialLogisticLoss"),
    *("HingeLoss", "ContrastiveLoss", "InfogainLoss"),
)


@dataclass(frozen=True)
class Judged:
    """A loss or a metric of Caffe: what it reads, of which tensors, and labels by their names."""

    call: Call
    reads: tuple[Blob | str, ...]

    @property
    def step(self) -> Step:
        return self.call.step

    @property
    def weight(self) -> float:
        given = self.step.loss_weight
        return 1.0 if given is None else given


@dataclass(frozen=True)
class Term:
    """A line of a train section: `[prediction, truth] -> word`.

    truth   a target's name, or a tensor that the net makes itself
    kind    of the target: `int(10)`, `float[3]`
    weight  None for a metric
    """

    prediction: Blob
    truth: Blob | str
    word: str
    kind: str
    weight: float | None = None

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(x.tensor for x in (self.prediction, self.truth) if isinstance(x, Blob))


@dataclass(frozen=True)
class Lesson:
    """What training needs: terms that our language has words for, and remarks on those that it has none for."""

    losses: tuple[Term, ...] = ()
    metrics: tuple[Term, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def leading(self) -> tuple[Term, ...]:
        """Losses that count most; those with smaller weights are of heads that exist in training only."""
        most = max((t.weight or 0.0 for t in self.losses), default=0.0)
        return tuple(t for t in self.losses if (t.weight or 0.0) == most or t.word != self.losses[0].word)


def lesson(judged: Iterable[Judged]) -> Lesson:
    """Terms for the losses first, then for the metrics. A loss whose weight is 0 is only looked at: a metric.

    E0901  InfogainLoss, whose matrix stands in a file
    """
    losses, metrics, remarks = list[Term](), list[Term](), list[str]()
    for each in sorted(judged, key=lambda j: j.step.kind == "Accuracy"):
        term = _metric(each) if each.step.kind == "Accuracy" else _loss(each)
        if term is None:
            remarks.append(_remark(each))
        elif term.weight is None:
            metrics.append(term)
        elif each.step.loss_weight == 0:
            metrics += [replace(term, word="mse", weight=None)] if term.word == "mse" else []
        else:
            losses.append(term)
    return Lesson(tuple(losses), tuple(metrics), tuple(remarks))


def _remark(judged: Judged) -> str:
    names = ", ".join(f"`{r}`" if isinstance(r, str) else f"`{r.tensor}`" for r in judged.reads)
    return f"{judged.step.kind} `{judged.step.name}` of {names} has no word here"


def _loss(judged: Judged) -> Term | None:
    step, (x, truth, *more) = judged.step, _pair(judged)
    if step.kind == "InfogainLoss":
        raise step.refused("its matrix stands in a file", "put SoftmaxWithLoss in its place, or leave it out")
    if more or not isinstance(x, Blob):
        return None
    numbers = prod(x.shape)
    match step.kind:
        case "SoftmaxWithLoss":
            axis = step.body.message("softmax_param").count("axis", 1)
            return _classes(judged, _after(judged, x, "softmax", axis), truth)
        case "MultinomialLogisticLoss" if judged.call.plan.word_of(x.tensor) == "softmax":
            return _classes(judged, x, truth)
        case "SigmoidCrossEntropyLoss":
            y = _after(judged, x, "sigmoid")
            return Term(y, truth, "binary_crossentropy", _floats(y), judged.weight * numbers)
        case "EuclideanLoss":
            return Term(x, truth, "mse", _floats(x), judged.weight * numbers / 2)
    return None


def _metric(judged: Judged) -> Term | None:
    step, (x, truth, *more) = judged.step, _pair(judged)
    if more or not isinstance(x, Blob) or isinstance(truth, Blob):
        return None
    k = step.body.message("accuracy_param").count("top_k", 1)
    y = x if judged.call.plan.word_of(x.tensor) == "softmax" else _after(judged, x, "softmax")
    return Term(y, truth, "accuracy" if k == 1 else f"top({k})", _labels(y))


def _pair(judged: Judged) -> tuple[Blob | str, ...]:
    if len(judged.reads) < 2:
        raise judged.step.refused(f"it has {len(judged.reads)} inputs")
    return judged.reads


def _classes(judged: Judged, y: Blob, truth: Blob | str) -> Term:
    return Term(y, truth, "categorical_crossentropy", _labels(y), judged.weight)


def _labels(y: Blob) -> str:
    places = ", ".join(str(n) for n in y.sizes[:-1])
    return f"int({y.sizes[-1]})" + (f"[{places}]" if places else "")


def _floats(y: Blob) -> str:
    return f"float[{', '.join(map(str, y.sizes))}]"


def _after(judged: Judged, x: Blob, word: str, axis: int = 1) -> Blob:
    """x behind softmax or sigmoid: where the net has that already, its tensor."""
    plan = judged.call.plan
    made = plan.made(word, x.tensor)
    if made is not None:
        return x.with_tensor(made)
    name = replace(judged.step, name=f"{x.tensor}_{'prob' if word == 'softmax' else word}")
    call = replace(judged.call, step=name)
    return normalized(call, x, axis) if word == "softmax" else x.with_tensor(call.emit(word, [x]))


def section(found: Lesson, targets: Mapping[str, str], names: Mapping[str, str], more: Iterable[str] = ()) -> str:
    """The text behind the graph: targets, a train section, remarks.

    targets  Caffe's names of labels → ours
    names    tensors → the names that the text gives them
    more     further lines of the section
    """
    kinds = {t.truth: t.kind for t in (*found.metrics, *found.losses) if isinstance(t.truth, str)}
    lines = [f"target {targets[name]}: {kind}" for name, kind in kinds.items()]
    body = [_setting(title, terms, targets, names) for title, terms in _titled(found) if terms]
    body += more
    if body:
        lines += ["", "train {", *body, "}"]
    if found.remarks:
        lines += ["", *(f"# {remark}" for remark in found.remarks)]
    return "\n".join(lines)


def _titled(found: Lesson) -> list[tuple[str, tuple[Term, ...]]]:
    return [("loss", found.losses), ("metrics", found.metrics)]


def _setting(title: str, terms: tuple[Term, ...], targets: Mapping[str, str], names: Mapping[str, str]) -> str:
    written = [_term(term, targets, names) for term in terms]
    return f"  {title} = {written[0]}" if len(written) == 1 else f"  {title} = [{', '.join(written)}]"


def _term(term: Term, targets: Mapping[str, str], names: Mapping[str, str]) -> str:
    truth = targets[term.truth] if isinstance(term.truth, str) else names[term.truth.tensor]
    word = term.word if term.weight in (None, 1) else f"{term.word}(weight={term.weight:g})"
    return f"[{names[term.prediction.tensor]}, {truth}] -> {word}"
