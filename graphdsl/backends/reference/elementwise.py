"""Formulas, block by block: what a formula needs between its operands and its result stays in the cache.

A formula of ten operations over a million elements would read and write ten arrays of a million. Instead it is worked
out for a few thousand elements after another, in registers: small arrays that are made once and used for every block
and every step. The last operation writes into the result itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import partial
from math import prod
from typing import Any

import numpy as np

from graphdsl.ir import Array
from graphdsl.ops import Elementwise, expression
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass

BLOCK = 16_384
"""Elements of a block: a few registers of them fit the second-level cache."""
MOST_BLOCKS = 256

Instruction = tuple[Callable[..., Any], tuple[Any, ...]]


def blocked(op: Elementwise, inputs: Sequence[Array], output: Array) -> Callable[[], None]:
    """op, ready to fill output from inputs. output may be one of the inputs."""
    arrays, target = coalesced(inputs, output)
    rows = len(target)
    height = max(BLOCK // max(prod(target.shape[1:]), 1), -(-rows // MOST_BLOCKS), 1)
    registers = _Registers()
    code: list[Instruction] = []
    for start in range(0, rows, height):
        part = slice(start, start + height)
        moved = [a[part] if a.ndim == target.ndim and len(a) == rows > 1 else a for a in arrays]
        code += _compile(op, moved, target[part], registers)

    def run() -> None:
        for function, arguments in code:
            function(*arguments)

    return run


def coalesced(inputs: Sequence[Array], output: Array) -> tuple[list[Array], Array]:
    """The same arrays with as few axes as possible: neighbours that every input has, or lacks, together become one
    axis.

    [32, 28, 28, 8] + [8] is a matter of two axes, [25088, 8] + [8]; equal shapes are one.
    """
    whole = output.shape
    padded = [(1,) * (len(whole) - a.ndim) + a.shape for a in inputs]
    present = [tuple(p[axis] != 1 for p in padded) for axis in range(len(whole))]
    groups: list[list[int]] = []
    for axis, size in enumerate(whole):
        if size == 1:
            continue
        if groups and present[groups[-1][-1]] == present[axis]:
            groups[-1].append(axis)
        else:
            groups.append([axis])
    if not groups:
        return [a.reshape(()) for a in inputs], output.reshape(1)
    shapes = [tuple(prod(p[axis] for axis in group) for group in groups) for p in padded]
    merged = [a.reshape(s if max(s) > 1 or a.size != 1 else ()) for a, s in zip(inputs, shapes, strict=True)]
    return merged, output.reshape([prod(whole[axis] for axis in group) for group in groups])


@dataclass
class _Registers:
    """Scratch arrays, free ones by shape and dtype. Blocks run one after another, so they share them."""

    free: dict[tuple[tuple[int, ...], np.dtype[Any]], list[Array]] = field(default_factory=dict)

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        free = self.free.setdefault((shape, dtype), [])
        return free.pop() if free else np.empty(shape, dtype)

    def give(self, array: Array) -> None:
        self.free[array.shape, array.dtype].append(array)


def _compile(op: Elementwise, arrays: Sequence[Array], target: Array, registers: _Registers) -> list[Instruction]:
    """The instructions that fill one block."""
    if isinstance(op.tree, Operand):
        return [(np.copyto, (target, arrays[op.tree.index]))]
    if isinstance(op.tree, Literal):
        return [(target.fill, (op.tree.value,))]
    parts = [p for p in expression.parts(op.tree) if isinstance(p, Apply)]
    last = {argument: index for index, part in enumerate(parts) for argument in part.arguments}
    kinds = _dtypes(op, [a.dtype for a in arrays])
    known: dict[Expression, Any] = {Operand(i): a for i, a in enumerate(arrays)}
    shared = any(np.may_share_memory(a, target) for a in arrays)
    code: list[Instruction] = []
    for index, part in enumerate(parts):
        values = [known[a] if not isinstance(a, Literal) else a.value for a in part.arguments]
        direct = part is parts[-1] and kinds[part] == target.dtype and not (shared and part.function in _MULTIPASS)
        shape = np.broadcast_shapes(*(np.shape(v) for v in values))
        known[part] = target if direct and shape == target.shape else registers.take(shape, kinds[part])
        code.append(_instruction(part.function, values, known[part]))
        for dead in {a for a in part.arguments if isinstance(a, Apply) and last[a] == index}:
            registers.give(known[dead])
    if known[op.tree] is not target:
        code.append((_store, (target, known[op.tree])))
        registers.give(known[op.tree])
    return code


def _dtypes(op: Elementwise, given: Sequence[np.dtype[Any]]) -> dict[Expression, np.dtype[Any]]:
    """What each part of the formula is: tried out on single elements, floats as wide as the operands' widest."""
    floats = [d for d in given if d.kind == "f"]
    known: dict[Expression, Any] = {}
    with np.errstate(all="ignore"):
        for part in expression.parts(op.tree):
            match part:
                case Operand(index):
                    known[part] = np.ones(1, given[index])
                case Literal(value):
                    known[part] = value
                case Apply(function, arguments):
                    known[part] = expression.FUNCTIONS[function].numpy(*(known[a] for a in arguments))
    found = {p: np.asarray(v).dtype for p, v in known.items()}
    widest = max(floats, key=lambda d: d.itemsize, default=None)
    return {p: widest if widest is not None and d.kind == "f" else d for p, d in found.items()}


def _instruction(function: str, values: Sequence[Any], out: Array) -> Instruction:
    compute = expression.FUNCTIONS[function].numpy
    if function == "where":
        return _where, (*values, out)
    if isinstance(compute, np.ufunc):
        return partial(compute, out=out), tuple(values)
    return _general, (compute, values, out)


def _where(condition: Any, yes: Any, no: Any, out: Array) -> None:
    """Chooses; a single truth value chooses once for all."""
    if np.size(condition) == 1:
        np.copyto(out, yes if condition else no, casting="unsafe")
        return
    np.copyto(out, no, casting="unsafe")
    np.copyto(out, yes, where=condition, casting="unsafe")


def _general(compute: Callable[..., Any], values: Sequence[Any], out: Array) -> None:
    np.copyto(out, compute(*values), casting="unsafe")


def _store(target: Array, value: Array) -> None:
    np.copyto(target, value, casting="unsafe")


_MULTIPASS = {"where"}
"""Functions that write the result before they have read all operands."""
