"""Formulas as code for the interpreter in formula.c.

    where(x0 > 0, x1 * 0.1 + x0, 0)        greater VS        r0 <- x0 > k0
                                           multiply_add VSV  r1 <- x1 * k1 + x0
                                           where VVS         y  <- r0 ? r1 : k0

Slots are numbered: the operands, the result, the literals, the registers. V is a vector, S a single number that holds
for the whole row; a part that has only single arguments is worked out once a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import lru_cache

from graphdsl.backends.formula_text import COMMUTATIVE, RESULTS
from graphdsl.ops import expression as e
from graphdsl.ops.expression import Apply, Expression, Literal, Operand
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Code:
    """What the interpreter runs.

    words      instruction, result, three arguments for each
    registers  blocks of scratch that it needs
    """

    words: tuple[int, ...]
    literals: tuple[float, ...]
    registers: int


@lru_cache(maxsize=4096)
def coded(tree: Expression, vectors: tuple[bool, ...], names: tuple[str, ...]) -> Code:
    """The code for a tree, or for several results: all are known before one is written.

    vectors  for each operand whether it changes along a row
    names    of the instructions, in their order
    """
    coder = _Coder(vectors, {name: number for number, name in enumerate(names)})
    coder.run(contracted(tree))
    return Code(tuple(coder.words), tuple(coder.literals), coder.made)


def contracted(tree: Expression) -> Expression:
    """The tree with products that are only added or subtracted as one instruction, and maxima of a number as such."""
    users: dict[Expression, int] = {}
    for part in e.parts(tree):
        for argument in part.arguments if isinstance(part, Apply) else ():
            users[argument] = users.get(argument, 0) + 1
    new: dict[Expression, Expression] = {}
    for part in e.parts(tree):
        new[part] = part
        if isinstance(part, Apply):
            once = [isinstance(a, Apply) and a.function == "multiply" and users[a] == 1 for a in part.arguments]
            new[part] = _contracted(part.function, tuple(new[a] for a in part.arguments), once)
    return new[tree]


def _contracted(function: str, arguments: tuple[Expression, ...], product: list[bool]) -> Expression:
    match function, arguments, product:
        case "add", (Apply(arguments=ab), c), [True, _]:
            return Apply("multiply_add", (*ab, c))
        case "add", (c, Apply(arguments=ab)), [_, True]:
            return Apply("multiply_add", (*ab, c))
        case "subtract", (Apply(arguments=ab), c), [True, _]:
            return Apply("multiply_subtract", (*ab, c))
        case "subtract", (c, Apply(arguments=ab)), [_, True]:
            return Apply("subtract_multiply", (*ab, c))
        case (("maximum" | "minimum"), ((x, Literal(value)) | (Literal(value), x)), _) if value == value:
            return Apply("at_least" if function == "maximum" else "at_most", (x, Literal(value)))
        case _:
            return Apply(function, arguments)


@dataclass
class _Coder:
    """Turns one tree into code.

    slot    where each part lies
    single  the parts that are one number a row
    free    registers that nobody reads any more
    """

    vectors: tuple[bool, ...]
    numbers: Mapping[str, int]
    words: list[int] = field(default_factory=list)
    literals: list[float] = field(default_factory=list)
    slot: dict[Expression, int] = field(default_factory=dict)
    single: set[Expression] = field(default_factory=set)
    free: list[int] = field(default_factory=list)
    made: int = 0
    first_literal: int = 0

    @property
    def results(self) -> int:
        """The slot of the first result."""
        return len(self.vectors)

    def run(self, tree: Expression) -> None:
        several = isinstance(tree, Apply) and tree.function == RESULTS
        roots = tree.arguments if several and isinstance(tree, Apply) else (tree,)
        self.first_literal = self.results + len(roots)
        order = tuple(p for p in e.parts(tree) if not (several and p == tree))
        self.literals = list(dict.fromkeys(p.value for p in order if isinstance(p, Literal)))
        last = {a: p for p in order if isinstance(p, Apply) for a in p.arguments} | dict.fromkeys(roots)
        for part in order:
            match part:
                case Operand(index):
                    self._lies(part, index, not self.vectors[index])
                case Literal(value):
                    self._lies(part, self.first_literal + self.literals.index(value), True)
                case Apply(arguments=arguments):
                    single = all(a in self.single for a in arguments)
                    dead: list[Expression] = [
                        a for a in dict.fromkeys(arguments) if isinstance(a, Apply) and last[a] is part
                    ]
                    self._apply(part, dead, self.results if part == tree and not single else None)
        if several:
            self._save([r for r in roots if isinstance(r, Operand) and r not in self.single])
        for slot, root in enumerate(roots, self.results):
            if self.slot[root] != slot:
                self._emit("spread S" if root in self.single else "copy V", slot, [self.slot[root]])

    def _save(self, operands: Sequence[Expression]) -> None:
        """Copies operands that are results: another result may lie where they lie."""
        for operand in dict.fromkeys(operands):
            register = self._register()
            self._emit("copy V", register, [self.slot[operand]])
            self.slot[operand] = register

    def _lies(self, part: Expression, slot: int, single: bool) -> None:
        self.slot[part] = slot
        if single:
            self.single.add(part)

    def _apply(self, part: Apply, dead: list[Expression], target: int | None) -> None:
        """One instruction; target: the slot of its result, None: a register. dead: arguments read for the last time."""
        spread: list[int] = []
        arguments = [(self.slot[a], a in self.single) for a in part.arguments]
        single = all(s for _, s in arguments)
        if single:
            form = "V" * len(arguments)
        else:
            arguments = self._in_form(part.function, arguments, spread)
            form = "".join("S" if s else "V" for _, s in arguments)
        self.free += [self.slot[a] for a in dead] + spread
        slot = self._register() if target is None else target
        self._lies(part, slot, single)
        self._emit(f"{part.function} {form}", ~slot if single else slot, [s for s, _ in arguments])

    def _in_form(self, function: str, arguments: list[tuple[int, bool]], spread: list[int]) -> list[tuple[int, bool]]:
        """The arguments in an order and form that there is an instruction for; spread: registers taken for that."""
        swaps = function in COMMUTATIVE or function.startswith(("multiply_", "subtract_"))
        if swaps and arguments[0][1] and not arguments[1][1]:
            arguments = [arguments[1], arguments[0], *arguments[2:]]
        if f"{function} {''.join('S' if s else 'V' for _, s in arguments)}" in self.numbers:
            return arguments
        spread.append(self._register())
        self._emit("spread S", spread[0], [arguments[0][0]])
        return [(spread[0], False), *arguments[1:]]

    def _register(self) -> int:
        if self.free:
            return self.free.pop()
        self.made += 1
        return self.first_literal + len(self.literals) + self.made - 1

    def _emit(self, name: str, target: int, arguments: list[int]) -> None:
        padded = [*arguments, *[arguments[0]] * (3 - len(arguments))]
        self.words += [self.numbers[name], target, *padded]
