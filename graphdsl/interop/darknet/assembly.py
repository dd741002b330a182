"""Where layers are put together: the steps so far, and what every section of the cfg made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphdsl.interop.darknet.cfg import Section
from graphdsl.interop.darknet.weights import Floats
from graphdsl.interop.net import Layer, Port
from graphdsl.ir import Array
from graphdsl.report import dataclass


@dataclass(frozen=True)
class Made:
    """What a section gives.

    tensor  its name
    height, width, channels   as Darknet counts; a vector has height and width 1
    flat    whether it is a vector of height * width * channels here
    """

    tensor: str
    height: int
    width: int
    channels: int
    flat: bool = False

    @property
    def count(self) -> int:
        return self.height * self.width * self.channels

    @property
    def picture(self) -> tuple[int, int, int]:
        return self.height, self.width, self.channels


class Assembly:
    """Steps are added in the order of the file. `section` is the one being read, `made` what those before it gave."""

    def __init__(self, net: Section, sections: Sequence[Section], port: Port, input: Made, floats: Floats) -> None:
        self.net, self.sections = net, sections
        self.port, self.input = port, input
        self.floats = floats
        self.layers: list[Layer] = []
        self.made: list[Made] = []
        self.entering: list[int] = []
        """How many channels flow into each section."""
        self.owners: dict[int, tuple[int, ...]] = {}
        """The steps that have the weights of each convolutional section, as places in `layers`."""
        self.heads: list[str] = []
        """Tensors of candidates, which detection layers gave."""
        self.notes: list[str] = []
        """What people should know of the import."""
        self.section = sections[0]
        self._count = 0

    def begin(self, section: Section) -> None:
        """What is emitted from now on belongs to this section."""
        self.section, self._count = section, 0
        self.entering.append(self.last(section).channels)

    def emit(
        self, word: str, *inputs: str, weights: Mapping[str, Array] | None = None, shares: str = "", **settings: Any
    ) -> str:
        """A step that makes one tensor; gives its name."""
        self._count += 1
        name = f"{self.section.name}/{self._count}"
        self.layers.append(Layer(name, word, inputs, (name,), settings, dict(weights or {}), shares))
        return name

    def end(self, made: Made) -> None:
        """The section has given this. Its last step, and what that made, are called after it."""
        name = self.section.name
        last = self.layers[-1] if self._count else None
        if last and last.outputs[0] in (made.tensor, *self.heads):
            self.layers[-1] = replace(last, name=name, outputs=(name,))
            self.heads = [name if h == last.outputs[0] else h for h in self.heads]
            made = replace(made, tensor=name if made.tensor == last.outputs[0] else made.tensor)
        self.made.append(made)

    def last(self, section: Section) -> Made:
        """What flows into a section: what the one before it gave."""
        return self.made[section.number - 1] if section.number else self.input

    def at(self, section: Section, number: int, key: str) -> Made:
        """What the section of this number gave; negative numbers count back from the section that asks."""
        place = section.number + number if number < 0 else number
        if not 0 <= place < section.number:
            raise section.refuse(
                f"{key} speaks of layer {place}; those before it are 0 to {section.number - 1}", key=key, code="E0902"
            )
        return self.made[place]

    def picture(self, section: Section, made: Made | None = None) -> Made:
        """What flows in as [height, width, channels]."""
        x = made or self.last(section)
        if not x.flat:
            return x
        if (x.height, x.width) == (1, 1):
            return Made(self.emit("reshape", x.tensor, shape=x.picture), *x.picture)
        tensor = self.emit("reshape", x.tensor, shape=(x.channels, x.height, x.width))
        return Made(self.emit("transpose", tensor, axes=[1, 2, 0]), *x.picture)

    def vector(self, x: Made) -> str:
        """The numbers of x one after another in Darknet's order, channel by channel."""
        if x.flat:
            return x.tensor
        order = x.tensor
        if x.channels > 1 and x.height * x.width > 1:
            order = self.emit("transpose", x.tensor, axes=[2, 0, 1])
        return self.emit("flatten", order)
