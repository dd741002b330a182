"""`model("other.dag")`: a whole spec as a layer."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from graphdsl.ir import Value
from graphdsl.lang import ast
from graphdsl.lang.definitions import names_of
from graphdsl.lang.evaluate import read
from graphdsl.lang.files import beside, carry_out_all, opened, params_of
from graphdsl.lang.frame import Frame, Module
from graphdsl.lang.names import Names
from graphdsl.lang.pipes import apply
from graphdsl.lang.recipes import PREPROCESS
from graphdsl.lang.refusal import refuse, told
from graphdsl.lang.settings import Arguments, match
from graphdsl.lang.spec import Unprepared, WeightsFile
from graphdsl.lang.tensors import per_sample
from graphdsl.lang.values import UNKNOWN, Datum, Flow, ModelWord, describe, is_unknown
from graphdsl.report import Span

OWN = ("path", "weights", "upto", "outputs", "freeze")
"""Settings of `model` itself; the params of the other spec come beside them."""


@apply.register
def use_model(word: ModelWord, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """Builds the other spec. Gives its outputs, or the tensors that `upto` or `outputs` name."""
    frame.session.count_layer(call.span, frame)
    path = spec_path(call, frame)
    with opened(path, path_argument(call).value.span, frame) as file:
        arguments = match(f"`{path}`", (*OWN, *params_of(file, frame.session)), (), call, frame)
        own = Own("model", OWN, arguments, frame)
        if not arguments.complete or is_unknown(flow.data):
            return UNKNOWN
        return Use(file, call, own, flow, frame).built()


def path_argument(call: ast.Call) -> ast.Argument:
    """Where the file is named. Raises E0207."""
    for argument in call.arguments[:1]:
        if argument.name in ("", "path"):
            return argument
    help = f'write {call.name}("other.dag")'
    raise refuse("E0207", f"`{call.name}` needs the file of a spec", call.name_span, help=help)


def spec_path(call: ast.Call, frame: Frame) -> str:
    """The file of the spec, as written. Raises E0310."""
    argument = path_argument(call)
    path = read(argument.value, frame)
    if path is UNKNOWN:
        raise told()
    if not isinstance(path, str):
        raise refuse("E0310", f"`{call.name}` needs the file of a spec, got {describe(path)}", argument.value.span)
    return path


class Own:
    """The settings of a word that takes the file of a spec, checked, and those that go to the other spec's params.

    names  of its own settings
    """

    def __init__(self, word: str, names: Collection[str], arguments: Arguments, frame: Frame) -> None:
        given = arguments.given
        self.word = word
        self.wanted = [n for key in ("upto", "outputs") if key in given for n in _names(given[key].value)]
        self.freeze = self._typed("freeze", bool, False, arguments, frame)
        self.weights = self._typed("weights", str, "", arguments, frame)
        self.weights_span = given["weights"].value.span if "weights" in given else None
        values = {n: (read(a.value, frame), a.span) for n, a in given.items() if n not in names}
        self.params = {n: (v, span) for n, (v, span) in values.items() if not is_unknown(v)}
        if "upto" in given and "outputs" in given:
            raise refuse("E0206", "`upto` and `outputs` both say what to take", given["outputs"].span)

    def _typed(self, key: str, kind: type, default: Any, arguments: Arguments, frame: Frame) -> Any:
        if key not in arguments.given:
            return default
        expression = arguments.given[key].value
        value = read(expression, frame)
        if value is UNKNOWN:
            return default
        if not isinstance(value, kind):
            needs = "true or false" if kind is bool else "a text in quotes"
            raise refuse("E0208", f"`{key}` of `{self.word}` needs {needs}, got {describe(value)}", expression.span)
        return value


def _names(expression: ast.Expression) -> Sequence[ast.Name]:
    """`upto=block5`, `outputs=[block1, block4]`: names of the other file, so they are not looked up in this one."""
    items = expression.items if isinstance(expression, ast.ListOf) else (expression,)
    names = [i for i in items if isinstance(i, ast.Name)]
    if len(names) != len(items) or not names:
        raise refuse("E0208", "needs names of tensors in the other file", expression.span, help="write `upto=block5`")
    return names


class Use:
    """One use of a spec as a layer."""

    def __init__(self, file: ast.File, call: ast.Call, own: Own, flow: Flow, frame: Frame) -> None:
        self.file = file
        self.call = call
        self.own = own
        self.flow = flow
        self.frame = frame

    def built(self) -> Datum:
        """The tensors that are taken out of the other spec."""
        module = Module(self.file.span.source, self.own.params, self._operands())
        inside = self.inside(module)
        carry_out_all(self.file.definitions, inside, [n.name for n in self.own.wanted])
        self.note([value for value, _ in module.operands.values()] if module.operands else (), inside)
        return self.taken(module, inside)

    def note(self, fed: Iterable[Value], inside: Frame) -> None:
        """What the other spec does to samples first is not done here; who feeds it must know. And its weights."""
        defined = (n.name for d in self.file.definitions if isinstance(d, ast.Define) for n in d.names)
        session, own = self.frame.session, self.own
        if PREPROCESS in defined and self.frame.module.operands is None:
            nodes = frozenset(value.node for value in fed)
            session.unprepared.append(Unprepared(self.file.span.source.path, nodes, self.call.span))
        if own.weights and not self.frame.reuse and own.weights_span:
            path = beside(own.weights, own.weights_span)
            session.weights.append(WeightsFile(inside.scope.weights, path, own.weights, own.weights_span))

    def inside(self, module: Module) -> Frame:
        """Where the other spec is read."""
        names = Names(planned=[n for d in self.file.definitions for n in names_of(d)])
        scope = self.frame.scope.numbered(self.own.word)
        used = self.frame.used(module.source.path, self.call.span, scope, names)
        return replace(used, module=module, section=False, slot=None, frozen=self.frame.frozen or self.own.freeze)

    def _operands(self) -> dict[str, tuple[Value, Span]]:
        """What flows into each input, in order."""
        inputs = [n.name for d in self.file.definitions if isinstance(d, ast.Input) for n in d.names]
        data = self.flow.data if isinstance(self.flow.data, tuple) else (self.flow.data,)
        path = self.file.span.source.path
        if len(data) != len(inputs):
            raise refuse("E0311", f"`{path}` takes {counted(inputs)}, got {len(data)}", self.call.name_span)
        for index, value in enumerate(data):
            if not isinstance(value, Value):
                raise refuse("E0310", f"`{path}` takes tensors, got {describe(value)}", self.flow.span(index))
        spans = [self.flow.span(i) for i in range(len(data))]
        return {n: (per_sample(v, self.frame), s) for n, v, s in zip(inputs, data, spans, strict=True)}

    def taken(self, module: Module, inside: Frame) -> Datum:
        """Its outputs, or what was asked for by name."""
        if self.own.wanted:
            made = tuple(self._named(name, inside) for name in self.own.wanted)
        else:
            made = tuple(module.outputs.values())
        if not made and not self.frame.session.reporter.failed:
            raise refuse("E0224", f"`{module.source.path}` has no output", self.call.span)
        return made[0] if len(made) == 1 else made if made else UNKNOWN

    def _named(self, name: ast.Name, inside: Frame) -> Datum:
        binding = inside.names.find(name.name)
        if binding is None:
            known = [n for n, b in inside.names.local() if isinstance(b.value, Value)]
            message = f"`{inside.module.source.path}` has no tensor called `{name.name}`"
            raise refuse("E0201", message, name.span, help=self.frame.session.suggest(name.name, known))
        if not isinstance(binding.value, Value) and not is_unknown(binding.value):
            raise refuse("E0310", f"needs a tensor, got {describe(binding.value)}", name.span)
        return binding.value


def counted(inputs: Sequence[str]) -> str:
    """`2 tensors (left, right)`"""
    if len(inputs) < 2:
        return "one tensor" if inputs else "none, because it has no input"
    return f"{len(inputs)} tensors ({', '.join(inputs)})"
