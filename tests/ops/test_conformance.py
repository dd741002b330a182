"""Every operator × sample, on the backend named on the command line: meaning, types, gradient, PyTorch, refusals.

A new operator needs no test of its own: its samples come here. Gradients are checked along one random direction, in
float64, against central differences of the reference; through the same pass that training uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import (
    LAYERS,
    LOSSES,
    OPERATORS,
    Array,
    BadSample,
    Builder,
    Call,
    DType,
    Graph,
    ModalOperator,
    Operator,
    Role,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
)
from graphdsl.ops import COUNTER, formula, sum_over
from graphdsl.passes import Mode, gradient, specialise
from tests.support.evaluate import evaluate

STEP = 1e-5
SOURCES = {"input", "weight", "constant"}
"""Fed, stored or fixed: nothing is computed."""


def _title(op: Operator) -> str:
    return getattr(op, "title", op.name)


ALL = [
    pytest.param(sample, id=f"{_title(sample.operator)}-{number}")
    for cls in OPERATORS.values()
    for number, sample in enumerate(cls.samples())
]
SAMPLES = [p for p in ALL if not isinstance(p.values[0].operator, ModalOperator)]
MODAL = [p for p in ALL if isinstance(p.values[0].operator, ModalOperator)]
BAD_SAMPLES = [
    pytest.param(bad, id=f"{_title(bad.operator)}-{number}")
    for cls in OPERATORS.values()
    for number, bad in enumerate(cls.bad_samples())
]
WITH_TORCH = [p for p in SAMPLES if p.values[0].torch is not None]


def _cast(arrays: Sequence[Array], dtype: type) -> list[Array]:
    return [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]


def _types(arrays: Sequence[Array]) -> list[TensorType]:
    return [TensorType(a.shape, DType(a.dtype.name)) for a in arrays]


def _made(op: Operator, arrays: Sequence[Array]) -> tuple[Array, ...]:
    with np.errstate(all="ignore"):
        made = op.bound({}).reference(*arrays)
    return made if isinstance(made, tuple) else (made,)


def _close(actual: Array, expected: Array, tolerance: float) -> None:
    scale = max(1.0, float(np.max(np.abs(expected), initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance * scale)


def run(sample: Sample, backend_name: str, dtype: type) -> tuple[Array, ...]:
    """The sample's results on a backend."""
    machine = backend(backend_name)
    op, operands = sample.operator.bound({}), _cast(sample.arrays, dtype)
    types = op.type(*_types(operands))
    places = [machine.view(machine.alloc(a.nbytes), 0, a.shape, DType(a.dtype.name)) for a in operands]
    for place, array in zip(places, operands, strict=True):
        machine.upload(place, array)
    ends = []
    for made in types if isinstance(types, tuple) else (types,):
        shape = made.bind({})
        ends.append(machine.view(machine.alloc(int(np.prod(shape, initial=made.dtype.size))), 0, shape, made.dtype))
    inputs, outputs = tuple(range(len(places))), tuple(range(len(places), len(places) + len(ends)))
    machine.sequence([machine.kernel(Call(op.name, op, inputs, outputs), places, ends)])()
    return tuple(machine.download(end) for end in ends)


# --- meaning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_are_of_the_type_that_was_promised(sample: Sample, dtype: type) -> None:
    operands = _cast(sample.arrays, dtype)
    types = sample.operator.type(*_types(operands))
    for made, promised in zip(
        _made(sample.operator, operands), types if isinstance(types, tuple) else (types,), strict=True
    ):
        assert made.shape == promised.bind({})
        assert made.dtype == promised.dtype.numpy


@pytest.mark.parametrize("sample", SAMPLES)
def test_operands_are_left_alone(sample: Sample) -> None:
    before = [a.copy() for a in sample.arrays]
    _made(sample.operator, sample.arrays)
    for array, copy in zip(sample.arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("sample", SAMPLES)
def test_backend_agrees_with_float64(sample: Sample, backend_name: str) -> None:
    exact = _made(sample.operator, _cast(sample.arrays, np.float64))
    for made, expected in zip(run(sample, backend_name, np.float32), exact, strict=True):
        _close(made, expected, 2e-5)


# --- gradient --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Probe:
    """A graph whose loss is a random weighting of the operator's results, and what to feed it."""

    graph: Graph
    feeds: dict[str, Array]
    smooth: tuple[str, ...]

    def loss(self) -> float:
        return float(evaluate(self.graph, self.feeds)["loss", "total"])

    def moved(self, directions: dict[str, Array], step: float) -> Probe:
        """The same after a step in these directions."""
        return Probe(self.graph, self.feeds | {n: self.feeds[n] + step * d for n, d in directions.items()}, self.smooth)

    def gradients(self) -> dict[str, Array]:
        """By operand; 0 where the operator says that nothing flows."""
        found = evaluate(gradient(self.graph, self.smooth), self.feeds)
        return {n: found.get(("gradient", n), np.zeros_like(self.feeds[n])) for n in self.smooth}


def _probe(sample: Sample, mode: Mode = Mode.TRAINING) -> Probe | None:
    """None where no gradient is to be checked."""
    arrays = _cast(sample.arrays, np.float64)
    asked = range(len(arrays)) if sample.smooth is None else sample.smooth
    smooth = tuple(f"x{i}" for i in asked if arrays[i].dtype.kind == "f")
    known = isinstance(sample.operator, ModalOperator) or type(sample.operator).gradient is not Operator.gradient
    if not smooth or not known:
        return None
    b = Builder()
    feeds = {f"x{i}": a for i, a in enumerate(arrays)}
    operands = [b.input(name, type) for name, type in zip(feeds, _types(arrays), strict=True)]
    feeds[COUNTER] = np.array(3)
    outputs = b.emit_all(sample.operator, *operands)
    chosen = range(len(outputs)) if sample.results is None else sample.results
    parts = [_weighted(b, outputs[i], feeds) for i in chosen if outputs[i].type.dtype.is_float]
    if not parts:
        return None
    total = formula(b, lambda *p: sum(p[1:], p[0]), *parts, title="total")
    b.result("total", Role.LOSS, total)
    return Probe(specialise(b.finish(), mode), feeds, smooth)


def _weighted(b: Builder, output: Value, feeds: dict[str, Array]) -> Value:
    name = f"c{output.port}"
    feeds[name] = np.random.default_rng(output.port).standard_normal(output.type.bind({}))
    product = formula(b, lambda y, c: y * c, output, b.input(name, output.type), title="probe")
    return sum_over(b, product, tuple(range(output.type.rank)))


@pytest.mark.parametrize("sample", SAMPLES)
def test_gradient_agrees_with_differences(sample: Sample) -> None:
    _compare_with_differences(_probe(sample))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("sample", MODAL)
def test_gradient_of_a_mode_agrees_with_differences(sample: Sample, mode: Mode) -> None:
    _compare_with_differences(_probe(sample, mode))


def _compare_with_differences(probe: Probe | None) -> None:
    if probe is None:
        pytest.skip("nothing to differentiate")
    generator = np.random.default_rng(1)
    directions = {name: generator.standard_normal(probe.feeds[name].shape) for name in probe.smooth}
    worked_out = sum(float(np.sum(d * directions[n])) for n, d in probe.gradients().items())
    measured = (probe.moved(directions, STEP).loss() - probe.moved(directions, -STEP).loss()) / (2 * STEP)
    assert worked_out == pytest.approx(measured, rel=1e-6, abs=1e-7)


# --- PyTorch ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sample", WITH_TORCH)
def test_agrees_with_torch(sample: Sample) -> None:
    torch = pytest.importorskip("torch")
    assert sample.torch is not None
    tensors = [torch.from_numpy(np.ascontiguousarray(a)) for a in _cast(sample.arrays, np.float64)]
    theirs = sample.torch(torch, *tensors)
    ours = _made(sample.operator, _cast(sample.arrays, np.float64))
    for made, expected in zip(ours, theirs if isinstance(theirs, tuple) else (theirs,), strict=False):
        _close(made, expected.numpy(), 1e-10)


@pytest.mark.parametrize("sample", WITH_TORCH)
def test_gradient_agrees_with_torch(sample: Sample) -> None:
    torch = pytest.importorskip("torch")
    probe = _probe(sample)
    if probe is None:
        pytest.skip("nothing to differentiate")
    assert sample.torch is not None
    tensors = {n: torch.from_numpy(np.array(a)) for n, a in probe.feeds.items()}
    for name in probe.smooth:
        tensors[name].requires_grad_()
    theirs = sample.torch(torch, *(t for n, t in tensors.items() if n.startswith("x")))
    parts = theirs if isinstance(theirs, tuple) else (theirs,)
    wanted = {f"c{port}": part for port, part in enumerate(parts) if f"c{port}" in tensors}
    if wanted.keys() != {n for n in tensors if n.startswith("c")}:
        pytest.skip("PyTorch gives only some of the results")
    if not any(part.requires_grad for part in wanted.values()):
        pytest.skip("PyTorch has this as a gradient, which it does not differentiate again")
    torch.stack([(part * tensors[n]).sum() for n, part in wanted.items()]).sum().backward()
    for name, ours in probe.gradients().items():
        grad = tensors[name].grad
        _close(ours, np.zeros_like(ours) if grad is None else grad.numpy(), 1e-7)


# --- refusals and completeness ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", BAD_SAMPLES)
def test_bad_operands_are_refused(bad: BadSample) -> None:
    with pytest.raises(TypeRuleError) as caught:
        bad.operator.type(*bad.types)
    assert caught.value.code == bad.code
    assert caught.value.message


@pytest.mark.parametrize("name", sorted(OPERATORS.keys() - SOURCES))
def test_operator_is_complete(name: str) -> None:
    cls = OPERATORS[name]
    assert cls.samples(), "an operator without a sample is not tested"
    assert cls.__doc__ and not cls.__doc__.startswith(f"{cls.__name__}("), "the docstring is the operator's page"


@pytest.mark.parametrize("entry", [*LAYERS.values(), *LOSSES.values()], ids=lambda e: f"{e.kind}-{e.name}")
def test_word_has_a_page(entry: object) -> None:
    assert getattr(entry, "doc", "")
