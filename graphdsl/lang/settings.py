"""What stands in brackets after a word: settings, matched with the signature of the word and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from graphdsl.ir import REQUIRED, Domain, Entry, Made, Setting, SettingError, Symbolic, TypeRuleError, Value, show
from graphdsl.lang import ast
from graphdsl.lang.evaluate import chosen, read
from graphdsl.lang.frame import Frame
from graphdsl.lang.refusal import refuse, refuse_rule, told
from graphdsl.lang.values import UNKNOWN, BlockWord, Datum, SharedWord, article, describe, is_unknown
from graphdsl.report import Failed, Label, Span, dataclass


@dataclass(frozen=True)
class Arguments:
    """Arguments by the name of their setting. complete: nothing was wrong with how they are given."""

    given: Mapping[str, ast.Argument]
    complete: bool

    def span(self, name: str, otherwise: Span) -> Span:
        """Where the setting was given."""
        return self.given[name].span if name in self.given else otherwise


def match(
    owner: str, names: Sequence[str], required: Sequence[str], call: ast.Call, frame: Frame, example: str = ""
) -> Arguments:
    """Gives each argument its setting. Tells E0205 (unknown), E0206 (twice), E0207 (missing), E0209 (too many).

    example  of a whole call, for who leaves out what is required
    """
    given: dict[str, ast.Argument] = {}
    complete = True
    position = 0
    for argument in call.arguments:
        try:
            name = argument.name or _at(owner, names, position, argument)
            _admit(owner, name, names, argument, given, frame)
            given[name] = argument
        except Failed as failed:
            frame.session.tell(failed, frame)
            complete = False
        position += not argument.name
    missing = [n for n in required if n not in given]
    if missing and complete:
        wanted = " and ".join(f"`{n}`" for n in missing)
        help = f"write {call.name}({', '.join([*required, *(['…'] if len(names) > len(required) else [])])})"
        help += f", such as {example}" if example else ""
        frame.session.tell(refuse("E0207", f"{owner} needs {wanted}", call.name_span, help=help), frame)
    return Arguments(given, complete and not missing)


def _at(owner: str, names: Sequence[str], position: int, argument: ast.Argument) -> str:
    if position < len(names):
        return names[position]
    raise refuse("E0209", f"{owner} takes {_counted(names)}", argument.span)


def _counted(names: Sequence[str]) -> str:
    if not names:
        return "no settings"
    count = "one setting" if len(names) == 1 else f"at most {len(names)} settings"
    return f"{count}: {', '.join(names)}"


def _admit(
    owner: str, name: str, names: Sequence[str], argument: ast.Argument, given: Mapping[str, ast.Argument], frame: Frame
) -> None:
    span = argument.name_span or argument.span
    if name not in names:
        help = frame.session.suggest(name, names) or (f"its settings are {', '.join(names)}" if names else "")
        raise refuse("E0205", f"no setting of {owner} is called `{name}`", span, help=help)
    if name in given:
        label = Label(given[name].span, "given here first")
        raise refuse("E0206", f"`{name}` is given twice", span, labels=[label])


@dataclass(frozen=True)
class Settings:
    """Checked settings. values: those that were given; None where something was wrong. text: as people read them."""

    values: Mapping[str, Any] | None
    arguments: Arguments
    text: str


def match_entry(entry: Entry, call: ast.Call, frame: Frame, *more: Setting) -> Arguments:
    """The arguments for a registered word, matched but not read."""
    settings = (*entry.settings, *more)
    required = [s.name for s in settings if s.default is REQUIRED]
    return match(f"`{entry.name}`", [s.name for s in settings], required, call, frame, entry.example)


def read_settings(entry: Entry, call: ast.Call, frame: Frame, *more: Setting) -> Settings:
    """The settings of a registered word, and `more` beside them. What is wrong with them is told."""
    owner = f"`{entry.name}`"
    settings = (*entry.settings, *more)
    arguments = match_entry(entry, call, frame, *more)
    values: dict[str, Any] = {}
    for setting in settings:
        if setting.name in arguments.given:
            argument = arguments.given[setting.name]
            values[setting.name] = read_setting(owner, setting, argument.value, frame)
    fine = arguments.complete and not any(is_unknown(v) for v in values.values())
    return Settings(values if fine else None, arguments, _readable(settings, values))


def read_setting(owner: str, setting: Setting, expression: ast.Expression, frame: Frame) -> Datum:
    """The value of one setting inside its domain; Unknown after telling what is wrong with it."""
    value = read_for(setting.domain, expression, frame)
    if is_unknown(value):
        return UNKNOWN
    try:
        return _accept(owner, setting, value, expression.span, frame)
    except Failed as failed:
        frame.session.tell(failed, frame)
        return UNKNOWN


def _accept(owner: str, setting: Setting, value: Datum, span: Span, frame: Frame) -> Datum:
    try:
        return setting.domain.accept(value)
    except SettingError as error:
        if _holds_tensor(value):
            help = "tensors flow along `->`; parentheses hold settings"
            needs = f"`{setting.name}` of {owner} needs {setting.domain.describe()}"
            raise refuse("E0310", f"{needs}, got {describe(value)}", span, help=help) from None
        if isinstance(value, Symbolic):
            help = "give the dimension a number in the input's type"
            message = f"`{setting.name}` of {owner} would be {value}, which is known only at run time"
            raise refuse("E0401", message, span, help=help) from None
        help = error.help or (frame.session.suggest(value, setting.domain.words) if isinstance(value, str) else "")
        raise refuse("E0208", f"`{setting.name}` of {owner} {error.message}", span, help=help) from None


def _holds_tensor(value: Datum) -> bool:
    return isinstance(value, Value) or (isinstance(value, tuple) and any(map(_holds_tensor, value)))


# --- values with a purpose -------------------------------------------------------------------------------------------


def read_for(domain: Domain, expression: ast.Expression, frame: Frame) -> Datum:
    """What expression stands for where domain is wanted: its words may stand bare, its entries may be called."""
    session = frame.session
    try:
        session.descend(expression.span)
        return _for(domain, expression, frame)
    except Failed as failed:
        session.tell(failed, frame)
        return UNKNOWN
    finally:
        session.ascend()


def _for(domain: Domain, expression: ast.Expression, frame: Frame) -> Datum:
    match expression:
        case ast.Name(name) if name in domain.words:
            return name
        case ast.Name(name, span) if domain.kinds and _has_no_meaning(name, frame):
            return make(ast.Call(name, span, (), span), domain.kinds, frame)
        case ast.Name(name) if domain.words and _has_no_meaning(name, frame):
            return name  # the domain says that it is none of its words
        case ast.Call() if domain.kinds:
            return make(expression, domain.kinds, frame)
        case ast.ListOf(items):
            return tuple(read_for(domain, item, frame) for item in items)
        case ast.Conditional():
            return read_for(domain, chosen(expression, frame), frame)
    return read(expression, frame)


def _has_no_meaning(name: str, frame: Frame) -> bool:
    """`optimizer = adam`: a bare word, unless the text defines it."""
    return frame.names.find(name) is None and frame.names.planned(name) is None


def make(call: ast.Call, kinds: Sequence[str], frame: Frame) -> Made:
    """The Made record of a call of an entry of one of these kinds.

    Raises E0214 where no entry is called so.
    """
    vocabulary = frame.session.vocabulary
    entry = vocabulary.find(call.name, *kinds)
    if entry is None:
        raise _no_entry(call, kinds, frame)
    settings = read_settings(entry, call, frame)
    if settings.values is None:
        raise told()
    return Made(entry.kind, entry.name, tuple(settings.values.items()), call.span)


def _no_entry(call: ast.Call, kinds: Sequence[str], frame: Frame) -> Failed:
    vocabulary = frame.session.vocabulary
    known = [name for kind in kinds for name in vocabulary.entries(kind)]
    other = vocabulary.find(call.name)
    mine = (n for n, b in frame.names.visible() if not isinstance(b.value, Value | BlockWord | SharedWord))
    help = frame.session.suggest(call.name, chain(known, mine))
    if len(kinds) > 3:
        return refuse("E0214", f"nothing that can be called is named `{call.name}`", call.name_span, help=help)
    wanted = " or ".join(map(article, kinds))
    if other is not None:
        return refuse("E0214", f"needs {wanted}; `{call.name}` is {article(other.kind)}", call.name_span, help=help)
    if not help and len(known) <= 12:
        help = f"there are {', '.join(f'`{k}`' for k in sorted(known))}"
    return refuse("E0214", f"no {' or '.join(kinds)} is called `{call.name}`", call.name_span, help=help)


def build(made: Made, frame: Frame) -> Datum:
    """What a Made record stands for; raises what its entry refuses, at the place where it was written."""
    span = made.span
    assert span is not None
    try:
        return frame.session.vocabulary.registries[made.kind].build(made)
    except SettingError as error:
        raise refuse("E0208", f"`{made.name}` {error.message}", span, help=error.help) from None
    except TypeRuleError as error:
        raise refuse_rule(error, span) from None
    except Failed as failed:
        raise Failed(replace(d, span=d.span or span) for d in failed.diagnostics) from None


def _readable(settings: Sequence[Setting], values: Mapping[str, Any]) -> str:
    """`64, 3, stride=2`: what must be given without its name, then what is not the default."""
    parts = []
    for setting in settings:
        value = values.get(setting.name, UNKNOWN)
        if value is UNKNOWN or (setting.default is not REQUIRED and value == setting.default):
            continue
        text = _shown(value, setting.domain)
        parts.append(text if setting.default is REQUIRED else f"{setting.name}={text}")
    return ", ".join(parts)


def _shown(value: Datum, domain: Domain) -> str:
    if isinstance(value, str) and value in domain.words:
        return value
    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        return "x".join(map(str, value)) if len(value) < 4 else show(value)
    if isinstance(value, Made):
        return f"{value.name}({', '.join(f'{name}={show(v)}' for name, v in value.arguments)})"
    return "…" if isinstance(value, Value) else show(value)
