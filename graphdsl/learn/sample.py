"""What a sample section may say, and how the next piece of a text is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from graphdsl.ir import (
    SECTIONS,
    Array,
    Choice,
    Graph,
    Many,
    Real,
    Role,
    SectionKind,
    SectionSetting,
    Slot,
    TextDomain,
    Value,
    Whole,
)
from graphdsl.lang import Section, Spec
from graphdsl.report import Span, dataclass, fail

GREEDY, STOCHASTIC = "greedy", "stochastic"
LENGTH = 200
DRAWN = ("temperature", "top_k", "top_p", "seed")
"""Settings that mean nothing where nothing is drawn."""

HOTTEST = 1e6
"""The highest temperature: there all pieces are equally likely, in as many digits as can be told."""

SAMPLE = SECTIONS.add(
    SectionKind(
        "sample",
        (
            SectionSetting("start", TextDomain(), doc="what the text begins with; nothing unless set"),
            SectionSetting("length", Whole(1, 1_000_000), doc=f"how many pieces are written; {LENGTH} unless set"),
            SectionSetting(
                "temperature",
                Many(Real(0.0, HOTTEST, low_open=True), 1),
                doc="below 1 the likely becomes likelier; a list: a text for each; 1 unless set",
            ),
            SectionSetting(
                "method", Choice((STOCHASTIC, GREEDY)), doc=f"{GREEDY}: always the likeliest; {STOCHASTIC} unless set"
            ),
            SectionSetting("top_k", Whole(1), doc="only so many of the likeliest may follow"),
            SectionSetting("top_p", Real(0.0, 1.0, low_open=True), doc="only the likeliest of this sum may follow"),
            SectionSetting("seed", Whole(0), doc="decides what is drawn; 0 unless set"),
            SectionSetting("stop", TextDomain(), doc="the text ends before this"),
            SectionSetting("says", Slot.TENSORS, doc="the output that says what comes next, where there are several"),
        ),
        doc="Writes texts after training, with the weights as they are then.",
    )
)


@dataclass(frozen=True)
class Draw:
    """How the next piece is chosen.

    top_k  only so many of the likeliest may come; 0: all
    top_p  only the likeliest whose probabilities make this sum
    """

    temperature: float = 1.0
    method: str = STOCHASTIC
    top_k: int = 0
    top_p: float = 1.0

    @property
    def title(self) -> str:
        """What texts drawn so are told apart by."""
        return GREEDY if self.method == GREEDY else f"temperature {self.temperature:g}"

    def choose(self, probabilities: Array, random: np.random.Generator) -> int:
        """The number of the piece. Of equally likely ones greedy takes the first.

        Raises E0601 where a probability is no finite number.
        """
        if not np.isfinite(probabilities).all():
            help = "the weights hold NaN or infinity: take those of an earlier epoch, or train with `clip_norm=1`"
            raise fail("E0601", "what comes next has probabilities that are no finite numbers", help=help)
        if self.method == GREEDY:
            return int(probabilities.argmax())
        chances = self.chances(probabilities)
        return min(int(np.searchsorted(chances.cumsum(), random.random(), side="right")), len(chances) - 1)

    def chances(self, probabilities: Array) -> Array:
        """What is drawn with: float64, of sum 1."""
        known = np.asarray(probabilities, np.float64)
        with np.errstate(divide="ignore"):
            powers = np.log(known) / self.temperature
        chances = np.exp(powers - powers.max())
        chances /= chances.sum()
        order = np.argsort(-chances, kind="stable")
        if self.top_k:
            chances[order[self.top_k :]] = 0
        if self.top_p < 1:
            before = chances[order].cumsum() - chances[order]
            chances[order[before >= self.top_p * chances.sum()]] = 0
        return np.asarray(chances / chances.sum())


@dataclass(frozen=True)
class Sampling:
    """One sample section: a text for each temperature.

    says  the output that says what comes next; None: the only one that can
    """

    name: str = "sample"
    start: str = ""
    length: int = LENGTH
    temperatures: tuple[float, ...] = (1.0,)
    method: str = STOCHASTIC
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    stop: str = ""
    says: str | None = None
    span: Span | None = None

    def draw(self, temperature: float) -> Draw:
        """How pieces are chosen at one of the temperatures."""
        return Draw(temperature, self.method, self.top_k, self.top_p)


def samplings(spec: Spec) -> tuple[Sampling, ...]:
    """The sample sections, in order. Raises Failed E0612, E0619."""
    return tuple(_sampling(spec, section) for section in spec.sections if section.kind == SAMPLE.name)


def _sampling(spec: Spec, section: Section) -> Sampling:
    settings = section.settings
    chosen = [key for key in DRAWN if key in settings]
    if settings.get("method") == GREEDY and chosen:
        help = f"leave `{chosen[0]}` out, or write `method = {STOCHASTIC}`"
        message = f"`method = {GREEDY}` takes the likeliest, and `{chosen[0]}` is for what is drawn"
        raise fail("E0612", message, section.spans[chosen[0]], help=help)
    plain = {key: value for key, value in settings.items() if key not in ("temperature", "says")}
    says = _says(spec.graph, settings.get("says", ()), section)
    temperatures = settings.get("temperature", (1.0,))
    return Sampling(section.name or section.kind, temperatures=temperatures, says=says, span=section.span, **plain)


def _says(graph: Graph, tensors: Sequence[Value], section: Section) -> str | None:
    """The name of the output that `says` names."""
    if not tensors:
        return None
    names = [r.name for r in graph.of_role(Role.OUTPUT) if r.value == tensors[0]]
    if len(tensors) > 1 or not names:
        message = "`says` names one output, which says what comes next"
        raise fail("E0619", message, section.spans["says"], help="write the name of an `output`")
    return names[0]
