"""Pass: which values share memory, and which have to be copied.

Works on steps, which are calls whose operands are accesses: a root (the value that owns the memory) seen in some shape.

In place: a formula may be written over an operand that has its shape and dies with it, if no other operand is the same
memory in another shape. Block by block a formula reads an element before it writes it, on every machine. So may the
formula of an Ahead, if the other part of it does not read that operand.

Updates: the step that makes a weight's new value may write straight into the weight if every reader of the old value
comes before it, or is the step itself and a formula of the weight's shape. Otherwise the new value is kept and copied
last:

    step(w, d -> w)                      straight: everybody else has read w
    new(w -> tmp), reads(w), copy(tmp -> w)   somebody reads the old w after the new one is made

Assumes  steps in the order they run in.
Gives    the home of every root, and the blocks of the arena with their lives.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from graphdsl.ir import DType, Fusion, Operator, Storage
from graphdsl.ops import Ahead
from graphdsl.passes.memory import Block
from graphdsl.passes.order import Slot
from graphdsl.report import Span, dataclass


@dataclass(frozen=True)
class Access:
    """The memory of root, seen in this shape."""

    root: Slot
    shape: tuple[int, ...]
    dtype: DType
    bytes: int


@dataclass(frozen=True)
class Step:
    """op reads and makes; sizes are numbers already."""

    name: str
    op: Operator
    reads: tuple[Access, ...]
    makes: tuple[Access, ...]
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Home:
    """Where a root lies: in a storage under a key, at offset of what is kept, or in block number block of the arena."""

    storage: Storage
    key: str = ""
    block: int = -1
    offset: int = 0


def straight(steps: Sequence[Step], updates: Mapping[str, Access]) -> dict[Slot, str]:
    """The roots that can be made in the weight that they are the new value of. updates: new value by weight."""
    made = {a.root: (index, step, a) for index, step in enumerate(steps) for a in step.makes}
    last = _last_reads(steps)
    found: dict[Slot, str] = {}
    for weight, value in updates.items():
        if value.root not in made or value.root in found:
            continue
        index, step, access = made[value.root]
        old = (weight, 0)
        own = last.get(old) == index and all(a.shape == access.shape for a in step.makes)
        if last.get(old, -1) < index or (own and _element_by_element(step, old, access)):
            found[value.root] = weight
    return found


def place(
    steps: Sequence[Step], homes: dict[Slot, Home], kept: Collection[Slot]
) -> tuple[dict[Slot, Home], list[Block]]:
    """Homes for all roots and the blocks they need. homes: of those that are placed already; kept: live to the end."""
    last = _last_reads(steps) | {root: len(steps) for root in kept}
    homes = dict(homes)
    blocks: list[Block] = []
    made = [(index, step, access) for index, step in enumerate(steps) for access in step.makes]
    for index, step, access in made:
        if access.root in homes:
            continue
        end = max(last.get(access.root, index), index)
        over = _overwritten(step, access, homes, last, index)
        if over is None:
            blocks.append(Block(access.bytes, index, end))
            homes[access.root] = Home(Storage.ARENA, block=len(blocks) - 1)
        else:
            blocks[over.block].last = end
            homes[access.root] = over
    return homes, blocks


def _last_reads(steps: Sequence[Step]) -> dict[Slot, int]:
    return {a.root: index for index, step in enumerate(steps) for a in step.reads}


def _overwritten(
    step: Step, made: Access, homes: Mapping[Slot, Home], last: Mapping[Slot, int], index: int
) -> Home | None:
    """The block of an operand that made may be written over."""
    for read in step.reads:
        home = homes[read.root]
        dies = home.storage is Storage.ARENA and last[read.root] == index
        if dies and _may_lie_over(step, read.root, made):
            return home
    return None


def _may_lie_over(step: Step, root: Slot, made: Access) -> bool:
    """Whether made, by the formula that step is or begins with, may be written over root."""
    if not isinstance(step.op, Ahead):
        return len(step.makes) == 1 and _element_by_element(step, root, made)
    first, others = step.op.split(step.reads)
    formula = Step(step.name, step.op.formula, first, step.makes[:1])
    alone = made == step.makes[0] and all(r.root != root for r in others)
    return alone and _element_by_element(formula, root, made)


def _element_by_element(step: Step, root: Slot, made: Access) -> bool:
    """Whether each element of made needs of root's memory only the element at its own place."""
    same = all((r.shape, r.dtype) == (made.shape, made.dtype) for r in step.reads if r.root == root)
    return same and step.op.fusion is Fusion.ELEMENTWISE
