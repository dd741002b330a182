"""Sizes that are known only at run time, as ONNX tensors of whole numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from graphdsl.interop.onnx.export_sheet import Sheet
from graphdsl.ir import Dim, Input, Symbolic

LIFT = 1 << 20
"""ONNX divides whole numbers toward 0, we downward: what is divided is lifted above 0, the quotient lowered again."""


def shape_tensor(sheet: Sheet, shape: Sequence[Dim], word: str) -> str:
    """A row of sizes, for Reshape and Expand."""
    if all(isinstance(size, int) for size in shape):
        return sheet.whole([size for size in shape if isinstance(size, int)], word)
    parts = [size_tensor(sheet, size) for size in shape]
    return sheet.write("Concat", parts, word, {"axis": 0})


def size_tensor(sheet: Sheet, size: Dim) -> str:
    """One size, as a row of one number."""
    return polynomial(sheet, size, lambda name: _measured(sheet, name))


def polynomial(sheet: Sheet, size: Dim, find: Callable[[str], str]) -> str:
    """A size worked out from tensors of int64, one a name, which find gives."""
    if isinstance(size, int):
        return sheet.whole([size], "size")
    total = ""
    for atoms, coefficient in size.terms:
        product = "" if coefficient != 1 and atoms else sheet.whole([coefficient], "size") if not atoms else ""
        for atom in atoms:
            factor = find(atom) if isinstance(atom, str) else _quotient(sheet, atom.numerator, atom.denominator, find)
            product = sheet.write("Mul", [product, factor], "size") if product else factor
        if atoms and coefficient != 1:
            product = sheet.write("Mul", [product, sheet.whole([coefficient], "factor")], "size")
        total = sheet.write("Add", [total, product], "size") if total else product
    return total


def _quotient(sheet: Sheet, numerator: Symbolic, denominator: int, find: Callable[[str], str]) -> str:
    above = polynomial(sheet, numerator + denominator * LIFT, find)
    divided = sheet.write("Div", [above, sheet.whole([denominator], "divisor")], "size")
    return sheet.write("Sub", [divided, sheet.whole([LIFT], "lift")], "size")


def _measured(sheet: Sheet, name: str) -> str:
    """The size called name, read off an input that has it."""
    for given, node in sheet.graph.items():
        sizes = [str(size) for size in node.types[0].shape] if isinstance(node.op, Input) else []
        if given in sheet.needed and name in sizes:
            tensor = sheet.tensor(sheet.graph.value(given))
            shape = sheet.write("Shape", [tensor], "shape")
            return sheet.write("Gather", [shape, sheet.store(np.array([sizes.index(name)]), "axis")], "size")
    raise sheet.refusal(f"the size {name} cannot be read off any input")
