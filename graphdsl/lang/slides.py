"""`slide("crop.dag")`: a whole spec at every window of a picture."""

from __future__ import annotations

from typing import Any

from graphdsl.ir import Layer, Many, Place, Role, Setting, SizeDomain, TypeRuleError, Value
from graphdsl.lang import ast
from graphdsl.lang.files import carry_out_all, opened, params_of
from graphdsl.lang.frame import Frame, Module
from graphdsl.lang.limits import is_bounded
from graphdsl.lang.models import Own, Use, counted, path_argument, spec_path
from graphdsl.lang.names import Scope
from graphdsl.lang.pipes import apply
from graphdsl.lang.refusal import refuse, refuse_rule
from graphdsl.lang.settings import Arguments, match, read_setting
from graphdsl.lang.spec import Slid
from graphdsl.lang.values import UNKNOWN, Datum, Flow, SlideWord, describe, is_unknown
from graphdsl.ops import Crop, Unslidable, slide
from graphdsl.report import Failed, dataclass

OWN = ("path", "weights", "upto", "freeze", "stride", "windows")
"""Settings of `slide` itself; the params of the other spec come beside them."""
PIXELS = SizeDomain(1, 1 << 16)
STRIDE = Setting("stride", PIXELS, None)
WINDOWS = Setting("windows", Many(PIXELS), None)


@apply.register
def use_slide(word: SlideWord, call: ast.Call, flow: Flow, frame: Frame) -> Datum:
    """What the other spec says of every window: a map, or with `windows` one for each of these sizes."""
    frame.session.count_layer(call.span, frame)
    path = spec_path(call, frame)
    with opened(path, path_argument(call).value.span, frame) as file:
        arguments = match(f"`{path}`", (*OWN, *params_of(file, frame.session)), (), call, frame)
        own = Own(call.name, OWN, arguments, frame)
        stride, windows = (_read(setting, arguments, frame) for setting in (STRIDE, WINDOWS))
        if not arguments.complete or is_unknown((flow.data, stride, windows)):
            return UNKNOWN
        if not isinstance(flow.data, Value):
            raise refuse("E0310", f"`slide` takes one picture, got {describe(flow.data)}", flow.span(0))
        return _Slide(Use(file, call, own, flow, frame), flow.data, arguments).maps(stride, windows)


def _read(setting: Setting, arguments: Arguments, frame: Frame) -> Any:
    given = arguments.given.get(setting.name)
    return setting.default if given is None else read_setting("`slide`", setting, given.value, frame)


@dataclass(frozen=True)
class Windows:
    """Windows of one size: which of several sizes it is, from 0, how far they stand apart, and the size, if one is
    given."""

    place: int
    stride: Any
    size: Any
    several: bool

    @property
    def title(self) -> str:
        """`40`, `24x32`"""
        return "x".join(map(str, self.size)) if isinstance(self.size, tuple) else str(self.size)


class _Slide:
    """One use of a spec at every window of a picture."""

    def __init__(self, use: Use, picture: Value, arguments: Arguments) -> None:
        self.use = use
        self.picture = picture
        self.arguments = arguments

    def maps(self, stride: Any, windows: Any) -> Datum:
        """What comes out, in the order of the windows."""
        crop, inside = self._crop()
        if crop is None:
            return UNKNOWN
        self.use.note([self.picture], inside)
        several = len(windows or ()) > 1
        made = tuple(
            self._slid(crop, inside, Windows(i, stride, window, several)) for i, window in enumerate(windows or (None,))
        )
        return made if len(made) > 1 else made[0]

    def _crop(self) -> tuple[Crop | None, Frame]:
        """The other spec in a graph of its own."""
        use, session = self.use, self.use.frame.session
        path = use.file.span.source.path
        inputs = [n for d in use.file.definitions if isinstance(d, ast.Input) for n in d.names]
        if len(inputs) != 1:
            names = [n.name for n in inputs]
            raise refuse("E0311", f"`{path}` takes {counted(names)}, and a window is one", use.call.name_span)
        module = Module(use.file.span.source, use.own.params, {}, apart=True)
        inside = use.inside(module)
        with session.apart() as builder:
            carry_out_all(use.file.definitions, inside, [n.name for n in use.own.wanted])
            result = use.taken(module, inside)
        if is_unknown(result):
            return None, inside
        if not isinstance(result, Value):
            help = f"name one: `upto={next(iter(module.outputs))}`"
            raise refuse("E0310", f"`slide` gives one tensor of `{path}`, not several", use.call.span, help=help)
        builder.result("crop", Role.OUTPUT, result)
        graph = builder.finish(drop_dead=True)
        if inputs[0].name not in graph:
            message = f"what `slide` takes of `{path}` does not depend on `{inputs[0].name}`"
            raise refuse("E0310", message, use.call.span)
        return Crop(graph, inputs[0].name, result), inside

    def _slid(self, crop: Crop, inside: Frame, windows: Windows) -> Value:
        call, frame, scope = self.use.call, self.use.frame, inside.scope
        layer = self._layer(scope, windows)
        builder = frame.session.builder
        try:
            with builder.within(Place(scope.path, scope.weights, layer, (call.span, *frame.spans))):
                made, over = slide(
                    builder,
                    crop,
                    self.picture,
                    stride=windows.stride,
                    window=windows.size,
                    again=windows.place,
                    reuse=frame.reuse,
                )
        except Unslidable as error:
            raise _unslidable(error, self.use) from None
        except TypeRuleError as error:
            given = self.arguments.span(error.attribute, call.span)
            raise refuse_rule(error, given if error.operand is None else self.use.flow.span(0)) from None
        if not is_bounded(made.type):
            raise refuse("E0405", "this tensor would be too large", call.span, help="take a larger `stride`")
        if frame.module.operands is None:
            frame.session.slid.append(Slid(made, over, crop))
        return made

    def _layer(self, scope: Scope, windows: Windows) -> Layer:
        """The layer that people see; of several sizes of windows one for each, called after the size."""
        given = self.arguments.given.items()
        written = [a.span.text for name, a in given if not (windows.several and name == WINDOWS.name)]
        written += [f"{WINDOWS.name}={windows.title}"] if windows.several else []
        part = f"/{windows.title}" if windows.several else ""
        shared = f"{scope.weights}{part}" if scope.weights != scope.path else ""
        return Layer(f"{scope.path}{part}", self.use.call.name, ", ".join(written), self.use.frame.blocks, shared)


def _unslidable(error: Unslidable, use: Use) -> Failed:
    layer, path = error.node.layer, use.file.span.source.path
    title = layer.kind if layer else error.node.op.name
    message = f"`{title}` of `{path}` does not slide: {error.rule.message}"
    span = error.node.spans[0] if error.node.spans else use.call.span
    return refuse(error.rule.code, message, span, help=error.rule.help)
