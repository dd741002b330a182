"""What `precision` in a train section means: float32, strict (float32 without shortcuts) or float64."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from graphdsl.ir import Builder, Constant, DType, Node, Operator, TensorType, Value, fold
from graphdsl.lang import Port, Spec

SINGLE, STRICT, DOUBLE = "float32", "strict", "float64"
"""strict: float32, and every sum as it stands. Otherwise a machine may take sums by ways that round a little more."""


def in_double(spec: Spec) -> Spec:
    """The spec with float64 wherever it says float; whole numbers and truth values stay."""
    b = Builder()
    fold(b, spec.graph, _rule, spec.graph)
    for r in spec.graph.results:
        b.result(r.name, r.role, b.value(r.value.node, r.value.port))
    inputs = {name: _port(port) for name, port in spec.inputs.items()}
    targets = {name: _port(port) for name, port in spec.targets.items()}
    return replace(spec, graph=b.finish(), inputs=inputs, targets=targets)


def _rule(b: Builder, name: str, node: Node, operands: tuple[Value, ...]) -> tuple[Value, ...]:
    return b.emit_all(_operator(node.op), *operands, name=name, exact=True)


def _operator(op: Operator) -> Operator:
    """The operator with every float32 among its settings doubled; the numbers of a constant too."""
    if isinstance(op, Constant):
        return Constant.array(op.reference().astype(_doubled(op.made.dtype).numpy)) if op.made.dtype.is_float else op
    known: dict[str, Any] = {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]
    changed = {name: _doubled(value) for name, value in known.items() if isinstance(value, DType | TensorType)}
    return replace(op, **changed) if changed else op  # type: ignore[type-var]


def _doubled(value: Any) -> Any:
    if isinstance(value, TensorType):
        return value.with_dtype(_doubled(value.dtype))
    return DType.FLOAT64 if value is DType.FLOAT32 else value


def _port(port: Port) -> Port:
    return replace(port, type=_doubled(port.type))
