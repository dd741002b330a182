"""`model("other.dag")`: a whole spec as a layer."""

from __future__ import annotations

from collections.abc import Sequence
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
    path = _path(call, frame)
    with opened(path, _path_argument(call).value.span, frame) as file:
        arguments = match(f"`{path}`", (*OWN, *params_of(file, frame.session)), (), call, frame)
        own = _Own(arguments, frame)
        if not arguments.complete or is_unknown(flow.data):
            return UNKNOWN
        return _Use(file, call, own, flow, frame).built()


def _path_argument(call: ast.Call) -> ast.Argument:
    for argument in call.arguments[:1]:
        if argument.name in ("", "path"):
            return argument
    raise refuse("E0207", "`model` needs the file of a spec", call.name_span, help='write model("other.dag")')


def _path(call: ast.Call, frame: Frame) -> str:
    argument = _path_argument(call)
    path = read(argument.value, frame)
    if path is UNKNOWN:
        raise told()
    if not isinstance(path, str):
        raise refuse("E0310", f"`model` needs the file of a spec, got {describe(path)}", argument.value.span)
    return path


class _Own:
    """The settings of `model` itself, checked, and those that go to the other spec's params."""

    def __init__(self, arguments: Arguments, frame: Frame) -> None:
        given = arguments.given
        self.wanted = [n for key in ("upto", "outputs") if key in given for n in _names(given[key].value)]
        self.freeze = self._typed("freeze", bool, False, arguments, frame)
        self.weights = self._typed("weights", str, "", arguments, frame)
        self.weights_span = given["weights"].value.span if "weights" in given else None
        values = {n: (read(a.value, frame), a.span) for n, a in given.items() if n not in OWN}
        self.params = {n: (v, span) for n, (v, span) in values.items() if not is_unknown(v)}
        if "upto" in given and "outputs" in given:
            raise refuse("E0206", "`upto` and `outputs` both say what to take", given["outputs"].span)

    @staticmethod
    def _typed(key: str, kind: type, default: Any, arguments: Arguments, frame: Frame) -> Any:
        if key not in arguments.given:
            return default
        expression = arguments.given[key].value
        value = read(expression, frame)
        if value is UNKNOWN:
            return default
        if not isinstance(value, kind):
            needs = "true or false" if kind is bool else "a text in quotes"
            raise refuse("E0208", f"`{key}` of `model` needs {needs}, got {describe(value)}", expression.span)
        return value


def _names(expression: ast.Expression) -> Sequence[ast.Name]:
    """`upto=block5`, `outputs=[block1, block4]`: names of the other file, so they are not looked up in this one."""
    items = expression.items if isinstance(expression, ast.ListOf) else (expression,)
    names = [i for i in items if isinstance(i, ast.Name)]
    if len(names) != len(items) or not names:
        raise refuse("E0208", "needs names of tensors in the other file", expression.span, help="write `upto=block5`")
    return names


class _Use:
    """One use of a spec as a layer."""

    def __init__(self, file: ast.File, call: ast.Call, own: _Own, flow: Flow, frame: Frame) -> None:
        self.file = file
        self.call = call
        self.own = own
        self.flow = flow
        self.frame = frame

    def built(self) -> Datum:
        """The tensors that are taken out of the other spec."""
        module = Module(self.file.span.source, self.own.params, self._operands())
        inside = self._inside(module)
        carry_out_all(self.file.definitions, inside, [n.name for n in self.own.wanted])
        self._note_preprocess()
        if self.own.weights and not self.frame.reuse and self.own.weights_span:
            path = beside(self.own.weights, self.own.weights_span)
            self.frame.session.weights.append(
                WeightsFile(inside.scope.weights, path, self.own.weights, self.own.weights_span)
            )
        return self._taken(module, inside)

    def _note_preprocess(self) -> None:
        """What the other spec does to samples first is not done here; who feeds it must know."""
        defined = (n.name for d in self.file.definitions if isinstance(d, ast.Define) for n in d.names)
        if PREPROCESS in defined and self.frame.module.operands is None:
            fed = frozenset(value.node for value, _ in self._operands().values())
            used = Unprepared(self.file.span.source.path, fed, self.call.span)
            self.frame.session.unprepared.append(used)

    def _inside(self, module: Module) -> Frame:
        names = Names(planned=[n for d in self.file.definitions for n in names_of(d)])
        scope = self.frame.scope.numbered("model")
        used = self.frame.used(module.source.path, self.call.span, scope, names)
        return replace(used, module=module, section=False, slot=None, frozen=self.frame.frozen or self.own.freeze)

    def _operands(self) -> dict[str, tuple[Value, Span]]:
        """What flows into each input, in order."""
        inputs = [n.name for d in self.file.definitions if isinstance(d, ast.Input) for n in d.names]
        data = self.flow.data if isinstance(self.flow.data, tuple) else (self.flow.data,)
        path = self.file.span.source.path
        if len(data) != len(inputs):
            raise refuse("E0311", f"`{path}` takes {_counted(inputs)}, got {len(data)}", self.call.name_span)
        for index, value in enumerate(data):
            if not isinstance(value, Value):
                raise refuse("E0310", f"`{path}` takes tensors, got {describe(value)}", self.flow.span(index))
        spans = [self.flow.span(i) for i in range(len(data))]
        return {n: (per_sample(v, self.frame), s) for n, v, s in zip(inputs, data, spans, strict=True)}

    def _taken(self, module: Module, inside: Frame) -> Datum:
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


def _counted(inputs: Sequence[str]) -> str:
    if len(inputs) < 2:
        return "one tensor" if inputs else "none, because it has no input"
    return f"{len(inputs)} tensors ({', '.join(inputs)})"
