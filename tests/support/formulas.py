"""Which formulas networks compute: `PYTHONPATH=. python tests/support/formulas.py` writes kernels/formulas.txt.

All specs, examples and benchmarks, used and trained with every kind of optimizer, as the CPU backend has them; and
every activation, alone, after a bias and backwards. `python -m graphdsl.backends.cpu.generate` then makes the loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphdsl.backends.axes import Lying, coalesced
from graphdsl.backends.cpu.backend import CpuBackend
from graphdsl.backends.cpu.formula import letters
from graphdsl.backends.cpu.generate import FORMULAS as LIST
from graphdsl.backends.cpu.reduce import layout_of
from graphdsl.backends.formula_text import RESULTS, SUMS, canonical
from graphdsl.ir import BATCH, Array, Graph, Operator, Program, Role, names_of
from graphdsl.lang import elaborate
from graphdsl.learn import OPTIMIZERS
from graphdsl.ops import FORMULAS, Ahead, Elementwise, Formulas, Fused, Reduced
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Operand
from graphdsl.passes import apply, for_machine, inference, learned, lower, training
from graphdsl.report import Reporter, Source
from tests.support.language import VOCABULARY

ROOT = Path(__file__).parents[2]
LONG = 8192
"""Every free length: enough for the pools of any of the specs."""
OPTIMIZED: list[tuple[str, dict[str, Any]]] = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True, "decay": 1e-4}),
    ("sgd", {"momentum": 0.9, "decay": 1e-4}),
    ("adam", {}),
    ("adam", {"decay": 1e-4, "clip_norm": 1.0}),
    ("adamw", {}),
    ("rmsprop", {}),
    ("rmsprop", {"momentum": 0.9, "decay": 1e-4}),
    ("adagrad", {}),
]
LARGE = ("googlenet", "densenet", "resnet50", "vgg", "alexnet", "squeezenet", "mobilenet")
"""Networks that go through two optimizers only, to save time."""


def graphs() -> Iterator[Graph]:
    """Every network as one makes it from its spec."""
    for pattern in ("specs/*.dag", "specs/zoo/*.dag", "tests/benchmarks/nets/*.dag", "examples/*/*.dag"):
        for path in sorted(ROOT.glob(pattern)):

            def load(name: str, folder: Path = path.parent) -> Source:
                return Source(str(folder / name), (folder / name).read_text())

            graph = elaborate(Source(str(path), path.read_text()), VOCABULARY, {}, Reporter(), load).graph
            yield apply(graph, inference())
            if graph.of_role(Role.LOSS) and learned(graph):
                for name, settings in OPTIMIZED[1:5:3] if path.stem.startswith(LARGE) else OPTIMIZED:
                    yield apply(graph, training(OPTIMIZERS[name].make(**settings)))


def programs() -> Iterator[Program]:
    for graph in graphs():
        for passes in {CpuBackend.passes, ("reduced", "epilogue"), ("reduced", "epilogue", "together")}:
            made = apply(graph, for_machine(passes))
            free = {name for _, node in made.items() for t in node.types for d in t.shape for name in names_of(d)}
            yield lower(made, {name: LONG for name in free} | {str(BATCH): 32})


def texts_of(program: Program) -> Iterator[str]:
    for call in program.calls:
        inputs = [_stand_in(program, i) for i in call.inputs]
        outputs = [_stand_in(program, i) for i in call.outputs]
        yield from _texts(call.op, inputs, outputs)


def _texts(op: Operator, inputs: Sequence[Array], outputs: Sequence[Array]) -> Iterator[str]:
    output = outputs[0]
    match op:
        case Ahead(formula=formula, consumer=consumer):
            first, others = op.split(inputs)
            yield text(formula.tree, first, output)
            yield from _texts(consumer, op.placed(output, others), outputs[1:])
        case Elementwise(tree=tree):
            yield text(tree, inputs, output)
        case Formulas(trees=trees):
            yield text(Apply(RESULTS, trees), inputs, output)
        case Fused(formula=formula):
            yield text(formula.tree, op.placed(output, op.split(inputs)[1]), output)
        case Reduced(axes=axes, formulas=formulas):
            yield sums_text(formulas, axes, inputs)


def _stand_in(program: Program, index: int) -> Array:
    """An array of the buffer's shape that takes no memory."""
    buffer = program.buffers[index]
    return np.broadcast_to(np.zeros((), buffer.dtype.numpy), buffer.shape)


def text(tree: Expression, arrays: Sequence[Array], output: Array) -> str:
    axes = coalesced([*arrays, output], output.shape)
    lying = [Lying(s[-2], s[-1]) for s in axes.strides[:-1]]
    found = letters(arrays, lying, axes.shape[-1])
    several = isinstance(tree, Apply) and tree.function == RESULTS
    return canonical(tree, found + ("w" if several else "b" if output.dtype == np.bool_ else "v")).text


def sums_text(formulas: Sequence[Expression], axes: Sequence[int], arrays: Sequence[Array]) -> str:
    layout = layout_of(arrays, np.broadcast_shapes(*(a.shape for a in arrays)), axes)
    lying = [layout.lying(i) for i in range(len(arrays))]
    found = letters(arrays, lying, layout.columns, spread=False)
    return canonical(Apply(SUMS, tuple(formulas)), found + ("c" if layout.by_column else "r")).text


def activations() -> Iterator[str]:
    x, bias, dy = (Operand(i) for i in range(3))
    for formula in FORMULAS.values():
        if formula.arity != 1:
            continue
        tree = formula.operator(**next(iter(formula.examples), {})).tree
        yield canonical(tree, "vv").text
        yield canonical(e.substitute(tree, [x + bias]), "vvv").text
        slope = e.derivative(tree, 0)
        through = e.replaced(slope, tree, bias)
        shorter = len(e.operands_of(through)) <= len(e.operands_of(slope))
        if e.operands_of(slope):
            yield canonical((through if shorter else slope) * dy, "vvvv").text


def plain() -> Iterator[str]:
    """What any network may need next: operations of two, shifts and scales, one number a row or a column."""
    x, y, z = (Operand(i) for i in range(3))
    for tree in (x + y, x - y, y - x, x * y, x / y, e.maximum(x, y), e.minimum(x, y), e.sqrt(x), e.exp(x), e.log(x)):
        yield from (canonical(tree, letters).text for letters in ("vvv", "vsv"))
    for tree in ((x - y) * z, x * y + z, (x - y) * (1 / e.sqrt(z + 1e-5)), x + y + z):
        yield from (canonical(tree, letters).text for letters in ("vvvv", "vssv"))


def plain_sums() -> Iterator[str]:
    x, y, mean = (Operand(i) for i in range(3))
    table = np.broadcast_to(np.zeros((), np.float32), (400, 40))
    for axis in (0, 1):
        for tree, arity in ((x, 1), (x * x, 1), (x * y, 2), (abs(x), 1)):
            yield sums_text((tree,), (axis,), [table] * arity)
    yield sums_text((x, x * (y - mean)), (0,), [table, table, table[:1]])


def main() -> None:
    found = {text for program in programs() for text in texts_of(program)} | {*activations(), *plain(), *plain_sums()}
    kept = [t for t in found if _is_worth_a_loop(t)]
    LIST.write_text("\n".join(sorted(kept, key=lambda t: (SUMS in t, RESULTS in t, len(t), t))) + "\n")


def _is_worth_a_loop(text: str) -> bool:
    """Not single numbers alone."""
    words = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    return any(w[0] in "vib" for w in words if w[1:].isdigit())


if __name__ == "__main__":
    main()
