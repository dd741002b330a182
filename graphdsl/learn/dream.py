"""What a dream section asks for: which input is changed until the network sees much of something in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphdsl.ir import (
    SECTIONS,
    Either,
    EntryOf,
    Graph,
    Made,
    Many,
    Real,
    Result,
    Role,
    SectionKind,
    SectionSetting,
    SizeDomain,
    Slot,
    Whole,
)
from graphdsl.lang import LossTerm, Port, Section, Spec
from graphdsl.report import Failed, Reporter, Span, dataclass, fail

OCTAVES, SCALE, STEPS, RATE, JITTER = 4, 1.4, 20, 0.02, 16
MOST_OCTAVES, MOST_FILTERS = 16, 256

DREAM = SECTIONS.add(
    SectionKind(
        "dream",
        (
            SectionSetting("maximize", Slot.LOSS, required=True, doc="what is made large: losses, added up"),
            SectionSetting("loss", Slot.LOSS, doc="what is made small beside it"),
            SectionSetting(
                "start",
                Either((EntryOf("source"), EntryOf("initializer"))),
                required=True,
                doc='what the picture is at first: `photo("cat.jpg")`, or noise: `normal(0.5, 0.1)`',
            ),
            SectionSetting("size", SizeDomain(1, 65_536), doc="of a picture that begins as noise"),
            SectionSetting("filters", Many(Whole(0), 1), doc="numbers for the only target: a picture for each"),
            SectionSetting("octaves", Whole(1, MOST_OCTAVES), doc=f"how many sizes, small first; {OCTAVES} unless set"),
            SectionSetting(
                "scale", Real(1.0, 8.0, low_open=True), doc=f"from one size to the next; {SCALE} unless set"
            ),
            SectionSetting("steps", Whole(1), doc=f"made at each size; {STEPS} unless set"),
            SectionSetting(
                "rate",
                Real(0.0, low_open=True),
                doc=f"how far a step goes in numbers from 0 to 1, on average; {RATE} unless set",
            ),
            SectionSetting(
                "jitter", Whole(0), doc=f"pixels by which the picture is shifted at most in a step; {JITTER} unless set"
            ),
            SectionSetting("seed", Whole(0), doc="decides noise and shifts; 0 unless set"),
        ),
        doc="Changes a picture until what a network sees in it is large; runs after all train sections.",
    )
)


@dataclass(frozen=True)
class Dream:
    """A dream section, checked.

    image     the input that is changed: [height, width, channels]
    target    what the filters are numbers of, if there are any
    terms     what is made large or small: each by a name of its own, with its factor in the sum that is made small
    shown     those of them that are made large
    start     a photograph, or how noise begins
    """

    name: str
    image: Port
    target: Port | None
    terms: Mapping[str, tuple[LossTerm, float]]
    shown: tuple[str, ...]
    start: Made
    start_span: Span
    size: tuple[int, int] | None
    filters: tuple[int, ...]
    octaves: int
    scale: float
    steps: int
    rate: float
    jitter: int
    seed: int

    @property
    def count(self) -> int:
        """How many pictures there are."""
        return max(len(self.filters), 1)

    @property
    def factors(self) -> dict[str, float]:
        """What each term is multiplied with in the sum that is made small."""
        return {name: factor for name, (_, factor) in self.terms.items()}

    def judged(self, whole: Graph) -> Graph:
        """The graph of the spec, run for what the section asks."""
        return _judging(whole, {name: term for name, (term, _) in self.terms.items()})


def dreams(spec: Spec) -> tuple[Dream, ...]:
    """The dream sections, in order. All that is wrong with them is told at once (Failed E0621)."""
    reporter = Reporter()
    found = [_reported(spec, section, reporter) for section in spec.sections if section.kind == DREAM.name]
    reporter.raise_if_failed()
    return tuple(each for each in found if each is not None)


def _reported(spec: Spec, section: Section, reporter: Reporter) -> Dream | None:
    try:
        return _dream(spec, section)
    except Failed as failed:
        for diagnostic in failed.diagnostics:
            reporter.add(diagnostic)
        return None


def _dream(spec: Spec, section: Section) -> Dream:
    settings = section.settings
    terms = _terms(settings)
    if not terms:
        raise _unfit("`maximize` says nothing", section.span, "write `maximize = layer -> mean_square`")
    needed = _judging(spec.graph, {name: term for name, (term, _) in terms.items()}).needed()
    image = _image([p for n, p in spec.inputs.items() if n in needed], section)
    target = _target([p for n, p in spec.targets.items() if n in needed], section)
    size = settings.get("size")
    return Dream(
        section.name or section.kind,
        image,
        target,
        terms,
        tuple(name for name, (_, factor) in terms.items() if factor < 0),
        settings["start"],
        section.spans["start"],
        _checked_size(size, image, settings["start"], section),
        _filters(settings.get("filters", ()), target, section),
        settings.get("octaves", OCTAVES if _free(image) else 1),
        settings.get("scale", SCALE),
        settings.get("steps", STEPS),
        settings.get("rate", RATE),
        settings.get("jitter", JITTER),
        settings.get("seed", 0),
    )


def _terms(settings: Mapping[str, Any]) -> dict[str, tuple[LossTerm, float]]:
    """By a name of its own; the factor of what is made large is negative."""
    changing = [t for key in ("maximize", "loss") for t in settings.get(key, ()) if t.plain is not None]
    if changing:
        raise _unfit("in a dream a loss has a number as its weight", changing[0].span, "write `weight=0.5`")
    signed = [(term, -term.weight) for term in settings["maximize"]]
    signed += [(term, term.weight) for term in settings.get("loss", ())]
    found: dict[str, tuple[LossTerm, float]] = {}
    for term, factor in signed:
        alike = sum(term.name == other.name for other, _ in found.values())
        found[f"{term.name}_{alike + 1}" if alike else term.name] = (term, factor)
    return found


def _judging(whole: Graph, terms: Mapping[str, LossTerm]) -> Graph:
    return whole.with_results([Result(name, Role.LOSS, term.value) for name, term in terms.items()])


def _image(read: Sequence[Port], section: Section) -> Port:
    """The only input that is read, which must be a picture."""
    if len(read) != 1:
        names = ", ".join(f"`{p.name}`" for p in read) or "none"
        message = f"a dream changes one input; what it makes large reads {names}"
        raise _unfit(message, section.spans["maximize"], "declare one: `input image: float[H, W, 3]`")
    (image,) = read
    if image.type.rank != 4 or image.type.channels not in (1, 3):
        message = f"a dream changes a picture, and `{image.name}` is {image.type.describe()}"
        raise _unfit(message, image.span, "declare `input image: float[H, W, 3]`")
    if not _free(image) and section.settings.get("octaves", 1) > 1:
        message = (
            f"a dream of several octaves needs pictures of any size, and `{image.name}` is {image.type.describe()}"
        )
        raise _unfit(message, section.spans["octaves"], "declare `input image: float[H, W, 3]`, or write `octaves = 1`")
    return image


def _free(image: Port) -> bool:
    return all(not isinstance(size, int) for size in image.type.spatial)


def _target(read: Sequence[Port], section: Section) -> Port | None:
    if len(read) > 1 or any(p.type.kind.name != "indices" or p.type.rank != 1 for p in read):
        names = ", ".join(f"`{p.name}`" for p in read)
        message = f"what a dream makes large may read one number a picture, got {names}"
        raise _unfit(message, section.spans["maximize"], "declare one: `target filter: int(512)`")
    return read[0] if read else None


def _filters(filters: tuple[int, ...], target: Port | None, section: Section) -> tuple[int, ...]:
    if target is None and not filters:
        return ()
    span = section.spans.get("filters", section.span)
    if target is None:
        raise _unfit("`filters` are given, and nothing reads them", span, "write `[layer, filter] -> activation`")
    if not filters:
        raise _unfit(f"nothing says which `{target.name}` is meant", span, "write `filters = [0, 1, 2, 3]`")
    count = target.type.kind.classes
    if max(filters) >= count or len(filters) > MOST_FILTERS:
        message = f"`filters` takes at most {MOST_FILTERS} numbers below {count}"
        raise _unfit(
            f"{message}, got {len(filters)} up to {max(filters)}", span, f"`{target.name}` is {target.type.describe()}"
        )
    return filters


def _checked_size(size: Any, image: Port, start: Made, section: Section) -> tuple[int, int] | None:
    """Height and width; None where a photograph says it."""
    if start.kind == "source":
        if size is None:
            return None
        raise _unfit("a photograph says its size itself", section.spans["size"], 'write `photo("cat.jpg", size=400)`')
    height, width = image.type.spatial
    if size is None and isinstance(height, int) and isinstance(width, int):
        return height, width
    if size is None:
        raise _unfit("nothing says how large the picture is", section.spans["start"], "write `size = 256`")
    sizes = size if isinstance(size, tuple) else (size, size)
    if len(sizes) != 2:
        raise _unfit("a picture has height and width", section.spans["size"], "write `size = 240x320`")
    return sizes[0], sizes[1]


def _unfit(message: str, span: Span, help: str) -> Failed:
    return fail("E0621", message, span, help=help)
