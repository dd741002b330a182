"""File names by pattern: `recordings/{digit}_{speaker}_[0-4].wav`, and what the names in braces stand for.

`*` is any letters, `?` any one, `[0-4]` one of these, `[!0-4]` none of them, `{name}` one letter or more that are kept
under that name; none of them crosses a `/`. `{name:1-20}` is a whole number from 1 to 20, `{name:[A-M]*}` what fits
such a pattern. A part that is `**` is folders at any depth, none included. Names that begin with a dot are left out
unless the pattern has the dot. Where a name could end at several places, it ends at the first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from graphdsl.data.files import Places
from graphdsl.data.wildcard import ANY, Many, Mark, Number, One, Row, Step
from graphdsl.report import Failed, dataclass, fail, nearest

MOST_FILES = 1_000_000
MOST_WILD = 8
"""Wild stretches in one part of a pattern. More are a slip, and nobody can say what each of them would get."""

_TOKEN = re.compile(r"\*|\?|\[[!^]?\]?[^\]/]*\]|\{[^{}/]*\}|[^*?\[{]|.", re.DOTALL)
_WILD = frozenset("*?[{")
_FROM_TO = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True)
class Match:
    """A file, and the text that each name of the pattern has in it."""

    path: Path
    names: Mapping[str, str]


@dataclass(frozen=True)
class Part:
    """What a file or folder must be called.

    hidden  whether its name may begin with a dot
    ranges  what the numbers of these names lie between, ends included
    """

    row: Row
    hidden: bool
    ranges: Mapping[str, tuple[int, int]]

    def fit(self, name: str) -> Mapping[str, str] | None:
        """The text that each name of the pattern has in it; None where it does not fit."""
        names = self.row.fit(name) if self.hidden or not name.startswith(".") else None
        if names is None:
            return None
        return names if all(low <= int(names[n]) <= high for n, (low, high) in self.ranges.items()) else None


def matches(patterns: Sequence[str], places: Places) -> list[Match]:
    """The files that fit, ordered by path, each once.

    Raises E0501 (nothing fits a pattern) and E0518 (a pattern that makes no sense, or patterns with other names).
    """
    names = [_names(pattern) for pattern in patterns]
    for pattern, own in zip(patterns, names, strict=True):
        if set(own) != set(names[0]):
            message = f"`{patterns[0]}` and `{pattern}` have different names in braces"
            raise _senseless(message, "every file needs a value for every name: give all patterns the same names")
    found = {match.path: match for pattern in patterns for match in _fitting(pattern, places)}
    return [found[path] for path in sorted(found)]


def fitted(pattern: str, names: Sequence[str]) -> dict[str, list[str]]:
    """What each name in braces stands for in names of files, which all fit. Raises E0518."""
    braces, part = _names(pattern), _expression(pattern)
    if not braces or part is None:
        raise _senseless(f"`{pattern}` has no name in braces", 'write what is to be kept: `"{person}_*.jpg"`')
    found = [part.fit(name) for name in names]
    for name, texts in zip(names, found, strict=True):
        if texts is None:
            raise _senseless(f"`{name}` does not fit the pattern `{pattern}`", "every picture's name must fit")
    return {brace: [texts[brace] for texts in found if texts] for brace in braces}


def _names(pattern: str) -> list[str]:
    """Those in braces. Raises E0518 where one is no name, or stands twice."""
    names = [token[1:-1].partition(":")[0] for token in _TOKEN.findall(pattern) if token[0] == "{"]
    for name in names:
        if not name.isidentifier():
            raise _senseless(
                f"`{{{name}}}` in `{pattern}` is no name", "write `{label}`, or `[{]` for a brace in a file's name"
            )
        if names.count(name) > 1:
            raise _senseless(f"`{{{name}}}` stands twice in `{pattern}`", "one file has one value of each name")
    return names


def _fitting(pattern: str, places: Places) -> list[Match]:
    """From beside the spec, or else from the working directory."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts:
        raise _senseless(f"`{pattern}` names no files", 'write a pattern of their names: `"photos/{label}/*.png"`')
    fixed = next((i for i, part in enumerate(parts) if _WILD & set(part)), max(0, len(parts) - 1))
    before = os.path.join("/" if pattern.startswith("/") else "", *parts[:fixed])
    apart = [part for i, part in enumerate(parts) if i < fixed or part != "**" or parts[i - 1 : i] != ["**"]]
    expressions = [_expression(part) for part in apart[fixed:]]
    tried = list(dict.fromkeys(base / Path(before).expanduser() for base in (places.spec, places.working)))
    for folder in tried:
        found = list(_walk(folder, expressions, {}))
        if found:
            return found
    whole = next(
        (folder / parts[-1] for folder in tried if fixed == len(parts) - 1 and (folder / parts[-1]).is_dir()), None
    )
    if whole is not None:
        raise _no_pattern(pattern, whole)
    looked = " and ".join(f"`{folder}`" for folder in tried)
    raise fail("E0501", f"no file fits `{pattern}`: looked in {looked}", help=_near(tried[0], parts[fixed:]))


def _walk(folder: Path, parts: Sequence[Part | None], names: Mapping[str, str]) -> Iterator[Match]:
    """Files below folder whose parts fit; None is folders at any depth."""
    part, rest = parts[0], parts[1:]
    if part is None and rest:
        yield from _walk(folder, rest, names)
    for name in _listed(folder):
        path = folder / name
        if part is None:
            hidden = name.startswith(".") or path.is_symlink()
            yield from _walk(path, parts, names) if path.is_dir() and not hidden else ()
        elif (known := part.fit(name)) is not None:
            yield from _here(path, rest, {**names, **known})


def _here(path: Path, rest: Sequence[Part | None], names: Mapping[str, str]) -> Iterator[Match]:
    if rest:
        yield from _walk(path, rest, names) if path.is_dir() else ()
    elif path.is_file():
        yield Match(path, names)


def _listed(folder: Path) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    if len(names) > MOST_FILES:
        raise fail("E0504", f"`{folder}` holds {len(names):,} names; at most {MOST_FILES:,} are accepted")
    return names


def _expression(part: str) -> Part | None:
    """None for `**`."""
    if part == "**":
        return None
    tokens = _TOKEN.findall(part)
    if sum(max(token[0] in "*{", token.count("*")) for token in tokens) > MOST_WILD:
        raise _senseless(f"`{part}` has more than {MOST_WILD} wild stretches", "use fewer of `*` and `{name}`")
    held = [token[1:-1].partition(":") for token in tokens if token[0] == "{"]
    ranges = {name: (int(both[1]), int(both[2])) for name, _, inner in held if (both := _FROM_TO.fullmatch(inner))}
    return Part(Row(tuple(step for token in tokens for step in _steps(token))), part.startswith("."), ranges)


def _steps(token: str) -> list[Step]:
    """What a name must have for this part of a pattern."""
    if token == "*":
        return [Many()]
    if token == "?":
        return [One(ANY)]
    if token[0] == "{" and len(token) > 1:
        name, _, within = token[1:-1].partition(":")
        return [Mark(name), *_kept(name, within), Mark(name, end=True)]
    return [One(re.escape(token) if len(token) == 1 else _set(token))]


def _set(token: str) -> str:
    """`[!0-4]` as a regular expression has it."""
    inner, negated = (token[2:-1], "^") if token[1] in "!^" else (token[1:-1], "")
    body = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner)
    try:
        re.compile(f"[{negated}{body}]")
    except re.error as error:
        raise _senseless(f"`{token}` is no set of letters", "write `[0-4]` or `[abc]`") from error
    return f"[{negated}{body}]"


def _kept(name: str, within: str) -> list[Step]:
    """A stretch that is kept under its name. within: a range of whole numbers, or a pattern that it fits."""
    if both := _FROM_TO.fullmatch(within):
        if int(both[1]) > int(both[2]):
            raise _senseless(f"no number is in `{{{name}:{within}}}`", f"write `{{{name}:{both[2]}-{both[1]}}}`")
        return [Number()]
    inner = [step for token in _TOKEN.findall(within) for step in _steps(token)]
    return inner or [One(ANY), Many(short=True)]


def _near(folder: Path, rest: Sequence[str]) -> str:
    """What is there instead: the nearest name in the deepest folder that exists."""
    while not folder.is_dir() and folder != folder.parent:
        folder, rest = folder.parent, (folder.name, *rest)
    names = [name for name in _listed(folder) if not name.startswith(".")]
    meant = nearest(rest[0], names)
    if meant and len(rest) > 1:
        return f"did you mean `{folder / meant}`?"
    listed = ", ".join(f"`{name}`" for name in names[:3])
    return f"`{folder}` holds {listed}{' …' if len(names) > 3 else ''}" if names else f"`{folder}` is empty"


def _no_pattern(pattern: str, folder: Path) -> Failed:
    """A folder where names of files should stand."""
    below = any((folder / name).is_dir() for name in _listed(folder) if not name.startswith("."))
    path = pattern.rstrip("/")
    help = f'write a pattern of what is in it, `"{path}/{"{label}/" if below else ""}*"`, or `folder("{path}")`'
    return fail("E0501", f"`{pattern}` is a folder, and no pattern of files' names", help=help)


def _senseless(message: str, help: str) -> Failed:
    return fail("E0518", message, help=help)
