"""What the translation of one layer of Caffe has at hand, and the table of translations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from typing import Any

from graphdsl.interop.caffe.plan import Blob, Plan
from graphdsl.interop.caffe.steps import Step
from graphdsl.interop.caffe.text import Message
from graphdsl.interop.refusal import unfit
from graphdsl.ir import Array
from graphdsl.report import Failed, dataclass, did_you_mean

Blobs = tuple[Blob, ...]


@dataclass(frozen=True)
class Call:
    """One layer, with what flows in.

    param   its own settings: what stands in `convolution_param { … }`
    arrays  its weights as the file has them; None where there is no file of weights
    after   layers that are translated together with this one: the Scale behind a BatchNorm
    shares  the layer whose weights it uses, "" for none
    """

    plan: Plan
    step: Step
    inputs: Blobs
    param: Message
    arrays: Mapping[str, list[Array]] | None = None
    after: tuple[Call, ...] = ()
    shares: str = ""

    @property
    def blob(self) -> Blob:
        return self.inputs[0]

    def refused(self, why: str, help: str = "") -> Failed:
        return self.step.refused(why, help)

    def emit(
        self, word: str, inputs: Iterable[Blob | str], settings: Mapping[str, Any] | None = None, *, aside: str = ""
    ) -> str:
        """Adds a layer without weights; aside: what is put to the name of one that only leads to the result."""
        tensors = [i.tensor if isinstance(i, Blob) else i for i in inputs]
        return self.plan.emit(self.step.name + (aside and f"_{aside}"), word, tensors, settings)[0]

    def learned(self, word: str, x: Blob, settings: Mapping[str, Any], weights: Mapping[str, Array | None]) -> str:
        """Adds the layer that has the weights of this one."""
        given = {n: w for n, w in weights.items() if w is not None}
        made = self.plan.learned(self.step.name, word, x, settings, given, self.shares)
        if made is None:
            raise self.refused(f"it uses the weights of `{self.shares}`, and is not the same layer otherwise")
        return made

    def weight(self, position: int, shape: tuple[int, ...]) -> Array | None:
        """A weight in this shape; None where there is no file of weights.

        E0903  the file has none for this layer, or one of another shape; axes of size 1 in front do not matter
        """
        if self.arrays is None:
            return None
        found = self.arrays.get(self.step.name, [])
        if position >= len(found):
            has = f"{len(found)} of its weights" if found else "no weights for it"
            raise unfit(self.step.name, f"the file has {has}, number {position + 1} should be {list(shape)}")
        array = found[position]
        if _without_ones(array.shape) != _without_ones(shape):
            raise unfit(self.step.name, f"the file has {list(array.shape)} where the prototxt asks for {list(shape)}")
        return array.reshape(shape)

    def demand_inputs(self, least: int, most: int | None = None) -> None:
        """E0901 where a layer has fewer or more inputs than it can have."""
        got = len(self.inputs)
        if got < least or got > (least if most is None else most):
            raise self.refused(f"it has {got} inputs")


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    sizes = list(shape)
    while sizes and sizes[0] == 1:
        del sizes[0]
    return tuple(sizes)


Translation = Callable[[Call], Blobs]


@dataclass(frozen=True)
class Kind:
    """How a type of layer is translated.

    param   the field with its settings, "" where it has none
    fields  all settings that Caffe knows for it; others stop the import
    """

    translate: Translation
    param: str = ""
    fields: frozenset[str] = field(default_factory=frozenset)


KINDS: dict[str, Kind] = {}


def translates(*types: str, param: str = "", fields: str = "") -> Callable[[Translation], Translation]:
    """Enters a translation for these types of layers."""

    def enter(translation: Translation) -> Translation:
        for each in types:
            KINDS[each] = Kind(translation, param, frozenset(f"{fields} engine".split()))
        return translation

    return enter


def demand_known(step: Step, kind: Kind, param: Message) -> None:
    """E0901 for a setting that Caffe does not know, which a changed Caffe may."""
    odd = next((name for name in param.fields if name not in kind.fields), None)
    if odd is not None:
        why = f"Caffe has no setting `{odd}` in `{kind.param}`"
        raise step.refused(why, did_you_mean(odd, kind.fields) or "a version of Caffe of somebody's own may have it")
