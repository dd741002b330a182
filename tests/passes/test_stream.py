"""Graphs of one step: step by step they give what the whole sequence gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import BATCH, POSITION, STATE, Array, Builder, Graph, Role, TensorType, indices, verify
from graphdsl.ops import formula, transposed
from graphdsl.ops.initializers import GlorotUniform
from graphdsl.passes import apply, inference, stream, streaming
from graphdsl.report import Failed
from graphdsl.runtime import Compiled, Executor
from tests.support.language import fine

STEPS, SAMPLES = 9, 2
FREE, FIXED, WORDS = "float[T, 4]", f"float[{STEPS}, 4]", "int(7)[T]"
LAYERS = [
    "lstm(3, sequence=true) -> dense(5) -> softmax",
    "lstm(3) -> dense(4)",
    "lstm(3, bias=false, sequence=true) -> lstm(2)",
    "lstm(3, gate=hard_sigmoid, sequence=true) -> layer_norm",
    "lstm(3, gate=hard_sigmoid_2, activation=softsign)",
    "gru(3, sequence=true) -> gru(4) -> dense(2) -> tanh",
    "gru(3, reset=before, sequence=true)",
    "rnn(3, sequence=true, activation=relu) -> dropout(0.5)",
    "conv(6, 3, pad=causal, dilation=2) -> relu -> conv(2, 2, pad=causal) -> batch_norm",
    "conv(6, 2, pad=causal, groups=2) -> conv(3, 1)",
    "cumsum -> cumsum(exclusive=true) -> cumsum(-1)",
    "dense(6) -> softmax -> split(2) -> concat",
    "positions(1024) -> attention(2, causal=true) -> layer_norm -> attention(2, causal=true)",
    "positions(2000, kind=sinusoidal) -> attention(2, causal=true, width=6, value_width=2, units=5)",
    "dense(6) -> reduce_max(-1) -> reshape(9x1)",
]
TRUE = [
    *[(f"input x: {FREE}", "x", body) for body in LAYERS[:-1]],
    *[(f"input x: {FIXED}", "x", body) for body in LAYERS],
    *[(f"input x: {WORDS}", "x -> embedding(4)", body) for body in LAYERS[:-1]],
    (
        f"input x: {FREE}\nh = x -> lstm(3, sequence=true)\nk = h -> lstm(4, sequence=true)",
        "[x, h, k] -> concat",
        "gru(3)",
    ),
]


@pytest.mark.parametrize(("machine", "tolerance"), [("reference", 1e-6), ("cpu", 1e-5)])
@pytest.mark.parametrize(("head", "start", "body"), TRUE)
def test_steps_give_what_the_sequence_gives(head: str, start: str, body: str, machine: str, tolerance: float) -> None:
    graph = fine(f"{head}\noutput y = {start} -> {body}").graph
    executor = Executor(backend(machine))
    executor.add(graph, 3)
    whole, one = (
        Compiled(apply(graph, inference(), checked), executor),
        Compiled(apply(graph, streaming(["x"]), checked), executor),
    )
    x = _drawn(graph.node("x").types[0])
    expected = whole.run({"x": x, "lengths/T": np.full(SAMPLES, STEPS, np.int32)})["y"]
    made = _walked(one, x)
    got = np.concatenate(made, axis=1) if made[0].ndim == 3 or expected.shape[1] == STEPS else made[-1]
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def checked(stage: str, graph: Graph) -> None:
    assert not verify(graph), stage


def _drawn(type: TensorType) -> Array:
    random = np.random.default_rng(5)
    shape = (SAMPLES, STEPS, *type.bind({"batch": 0, "T": 0})[2:])
    if type.dtype.is_float:
        return random.normal(size=shape).astype(np.float32)
    return random.integers(0, type.kind.classes, shape).astype(np.int32)


def _walked(one: Compiled, x: Array) -> list[Array]:
    """What each step gives."""
    states: Mapping[str, Array] = {
        name: np.zeros(type.bind({"batch": SAMPLES}), type.dtype.numpy)
        for name, type in one.inputs.items()
        if name.startswith(STATE)
    }
    made = []
    for t in range(x.shape[1]):
        results = one.run({"x": x[:, t : t + 1], **states})
        states = {name: results[name] for name in states}
        made.append(results["y"])
    return made


def test_tables_of_positions_are_read_row_by_row() -> None:
    b = Builder()
    x = b.input("x", TensorType((BATCH, STEPS, 4)))
    table = b.weight("table", (STEPS, 4), GlorotUniform())
    turned = b.weight("turned", (4, 1, STEPS), GlorotUniform())
    scaled = formula(b, lambda v, p: v * p, x, table, title="scale")
    added = formula(b, lambda v, p: v + p, transposed(b, scaled, (2, 0, 1)), turned, title="add")
    b.result("y", Role.OUTPUT, transposed(b, added, (1, 2, 0)))
    graph = b.finish()
    executor = Executor(backend("reference"))
    one = Compiled(stream(graph, ["x"]), executor)
    fed = _drawn(graph.node("x").types[0])
    assert POSITION in one.inputs
    np.testing.assert_array_equal(
        np.concatenate(_walked(one, fed), axis=1), Compiled(graph, executor).run({"x": fed})["y"]
    )


def test_tables_say_how_many_steps_can_be_made() -> None:
    graph = fine(f"input x: {FREE}\noutput y = x -> attention(2, causal=true) -> positions(7) -> positions(12)").graph
    one = stream(graph, ["x"])
    assert one.node(POSITION).types[0].kind == indices(7)
    (keys,) = (node.types[0] for name, node in one.items() if name.endswith("keys"))
    assert keys.shape == (BATCH, 7, 4)


@pytest.mark.triggers("E0409")
@pytest.mark.parametrize(
    ("type", "body", "layer", "why"),
    [
        (FREE, "x -> lstm(3, reverse=true, sequence=true)", "y/lstm_1", "reads from the end"),
        (FREE, "x -> conv(3, 3, pad=same)", "y/conv_1", "later steps"),
        (FREE, "x -> conv(3, 2, stride=2, pad=[1, 0])", "y/conv_1", "later steps"),
        (FREE, "x -> attention(2)", "y/attention_1", "later steps"),
        (FREE, "x -> global_avg_pool", "y/global_avg_pool_1", "all steps"),
        (FIXED, "x -> max_pool(3)", "y/max_pool_1", "cannot be done step by step"),
        (FIXED, "x -> flatten -> dense(2)", "y/flatten_1", "side by side"),
        (FIXED, "x -> softmax(axis=0)", "y/softmax_1", "all steps"),
        (FIXED, "x -> slice(0, 4, axis=0)", "y/slice_1", "some of all steps"),
        (FIXED, "[x, x] -> concat(axis=0)", "y/concat_1", "joined"),
        (FIXED, "[x, x -> lstm(4) -> repeat(9)] -> add", "y/add_1", "known after the last one"),
        (FREE, "x -> cumsum(reverse=true)", "y/cumsum_1", "from the end"),
    ],
)
def test_what_needs_later_steps_is_refused_by_its_layer(type: str, body: str, layer: str, why: str) -> None:
    graph = fine(f"input x: {type}\noutput y = {body}").graph
    with pytest.raises(Failed) as failed:
        apply(graph, streaming(["x"]))
    (diagnostic,) = failed.value.diagnostics
    assert diagnostic.code == "E0409"
    assert f"`{layer}`" in diagnostic.message
    assert why in diagnostic.message
    assert diagnostic.span is not None


@pytest.mark.parametrize("inputs", [["row"], ["x", "z"]])
def test_sequences_must_be_of_one_length(inputs: list[str]) -> None:
    text = (
        "input x: float[T, 4]\ninput z: float[5, 4]\ninput row: float\noutput y = x -> lstm(3)\noutput w = z -> flatten"
    )
    with pytest.raises(Failed, match="E0409"):
        stream(fine(text).graph, inputs)


def test_other_inputs_stand_still() -> None:
    """A picture that a sentence is about is the same at every step; its summary may be added to each."""
    text = "input p: float[3]\ninput x: float[9, 3]\noutput y = [x, p -> dense(3) -> repeat(9)] -> add -> lstm(2)"
    one = apply(fine(text).graph, streaming(["x"]))
    assert one.node("p").types[0] == TensorType((BATCH, 3))
    assert one.node("x").types[0] == TensorType((BATCH, 1, 3))


def test_another_sequence_is_asked_step_by_step() -> None:
    text = "input m: float[S, 3]\ninput x: float[T, 4]\noutput y = [x, m] -> attention(2)"
    graph = fine(text).graph
    executor = Executor(backend("cpu"))
    whole, one = (Compiled(apply(graph, passes), executor) for passes in (inference(), streaming(["x"])))
    random, x = np.random.default_rng(6), _drawn(graph.node("x").types[0])
    memory = {"m": random.normal(size=(SAMPLES, 4, 3)), "lengths/S": np.array([4, 2], np.int32)}
    expected = whole.run({"x": x, "lengths/T": np.full(SAMPLES, STEPS, np.int32), **memory})["y"]
    for t in range(STEPS):
        got = one.run({"x": x[:, t : t + 1], **memory})["y"]
        np.testing.assert_allclose(got, expected[:, t : t + 1], rtol=0, atol=1e-5)
