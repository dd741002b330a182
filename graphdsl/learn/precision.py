"""What `precision` in a section means: of products of float32 numbers, or float64 for everything."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any

from graphdsl.backends import BF16, SINGLE, STRICT, TF32
from graphdsl.ir import Builder, Constant, DType, Node, Operator, TensorType, Value, fold
from graphdsl.lang import Port, Spec
from graphdsl.report import fail

DOUBLE = "float64"
CHOICES = (SINGLE, STRICT, TF32, BF16, DOUBLE)


def shared(asked: Collection[str]) -> str:
    """The one for all sections, which share their weights: float64 or strict where any of them asks for it, else the
    fastest that any of them asks for."""
    return next((precision for precision in (DOUBLE, STRICT, BF16, TF32) if precision in asked), SINGLE)


def in_use(spec: Spec) -> str:
    """What the `predict` section asks for; empty where it is that of training. Raises E0206 for a second section."""
    sections = [section for section in spec.sections if section.kind == "predict"]
    if len(sections) > 1:
        raise fail("E0206", "`predict` is given twice", sections[1].span, help="put all settings into one section")
    return str(sections[0].settings.get("precision", "")) if sections else ""


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
