"""What a sample section may say, how pieces are drawn, and how a model reads what it wrote."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.backends import backend
from graphdsl.ir import Array
from graphdsl.learn import Draw, Sampling, Writer, heads, samplings
from graphdsl.report import Failed
from graphdsl.runtime import Executor
from tests.support.language import fine

CHANCES = np.array([0.1, 0.4, 0.2, 0.3], np.float32)
MODEL = "input text: int(5)[{steps}]\noutput next = text -> embedding(4) -> {body} -> dense(5) -> softmax"


def drawn(draw: Draw, times: int = 4000) -> Array:
    """How often each piece comes."""
    random = np.random.default_rng(1)
    return np.bincount([draw.choose(CHANCES, random) for _ in range(times)], minlength=4) / times


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (Draw(), CHANCES),
        (Draw(0.5), CHANCES**2 / (CHANCES**2).sum()),
        (Draw(2.0), CHANCES**0.5 / (CHANCES**0.5).sum()),
        (Draw(top_k=2), [0, 4 / 7, 0, 3 / 7]),
        (Draw(top_k=9), CHANCES),
        (Draw(top_p=0.5), [0, 4 / 7, 0, 3 / 7]),
        (Draw(top_p=0.3), [0, 1, 0, 0]),
        (Draw(method="greedy"), [0, 1, 0, 0]),
    ],
)
def test_pieces_come_as_often_as_they_should(draw: Draw, expected: Array) -> None:
    np.testing.assert_allclose(drawn(draw), expected, atol=0.03)


def test_what_cannot_be_never_comes() -> None:
    found = Draw(temperature=100.0).chances(np.array([0.0, 0.5, 0.5], np.float32))
    np.testing.assert_array_equal(found, [0, 0.5, 0.5])


def test_the_same_seed_draws_the_same() -> None:
    random = [np.random.default_rng(7) for _ in range(2)]
    first, second = ([Draw().choose(CHANCES, r) for _ in range(50)] for r in random)
    assert first == second


def writer(body: str, steps: str, machine: str = "cpu") -> Writer:
    spec = fine(MODEL.format(body=body, steps=steps))
    executor = Executor(backend(machine))
    executor.add(spec.graph, 2)
    return Writer(spec, executor, heads(spec))


def thought(writer: Writer, numbers: list[int]) -> Array:
    """What a fresh reader says after each of the numbers."""
    reader = writer.reader()
    return np.array([reader.read([n]) for n in numbers])


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("lstm(6, sequence=true)", "T"),
        ("lstm(6, sequence=true)", "9"),
        ("gru(6)", "T"),
        ("conv(6, 3, pad=causal)", "T"),
        ("conv(6, 3, pad=causal)", "9"),
    ],
)
def test_remembering_is_as_good_as_reading_again(body: str, steps: str) -> None:
    remembering = writer(body, steps)
    assert remembering.how == "step by step"
    numbers = [1, 4, 0, 2, 2, 3, 1, 0, 4]
    again = remembering.windows()
    np.testing.assert_allclose(
        thought(remembering, numbers), [again.after(numbers[: n + 1]) for n in range(9)], rtol=0, atol=1e-5
    )


def test_start_is_read_at_once_or_bit_by_bit() -> None:
    model = writer("lstm(6, sequence=true)", "T")
    np.testing.assert_array_equal(model.reader().read([1, 2, 3]), thought(model, [1, 2, 3])[-1])


def test_windows_where_it_cannot_go_step_by_step() -> None:
    model = writer("lstm(6, sequence=true, reverse=true)", "4")
    assert model.how == "windows of 4"
    found = thought(model, [1, 2, 3, 4, 0, 1])
    np.testing.assert_array_equal(found[5], model.windows().after([3, 4, 0, 1]))


def test_summaries_of_windows_are_filled_up_at_the_start() -> None:
    model = writer("lstm(6, sequence=true) -> flatten", "4")
    assert model.how == "windows of 4"
    np.testing.assert_array_equal(thought(model, [3])[0], model.windows().after([0, 0, 0, 3]))


@pytest.mark.parametrize(("steps", "positions"), [("4", ""), ("T", "4"), ("T", "9")])
def test_a_model_that_counts_its_steps_goes_on_with_windows(steps: str, positions: str) -> None:
    model = writer(f"positions({positions}) -> attention(2, causal=true)", steps)
    most = int(positions or steps)
    assert model.how == f"step by step, after {most} in windows of {most}"
    numbers = [1, 4, 0, 2, 2, 3, 1]
    again = [model.windows().after(numbers[: n + 1]) for n in range(7)]
    np.testing.assert_allclose(thought(model, numbers), again, rtol=0, atol=1e-5)


def test_no_way_to_write() -> None:
    with pytest.raises(Failed, match="E0409"):
        writer("lstm(6, sequence=true, reverse=true)", "T")


def test_scores_become_probabilities() -> None:
    spec = fine("input text: int(5)[T]\noutput next = text -> embedding(4) -> lstm(5, sequence=true)")
    executor = Executor(backend("cpu"))
    executor.add(spec.graph, 2)
    found = thought(Writer(spec, executor, heads(spec)), [1, 2])
    np.testing.assert_allclose(found.sum(axis=1), 1)


SECTION = "input text: int(5)[T]\noutput next = text -> embedding(4) -> lstm(5, sequence=true) -> softmax\n"


def test_sections() -> None:
    spec = fine(
        SECTION
        + 'sample { }\nsample short { start = "a" length = 3 temperature = [0.2, 1] top_k = 2 top_p = 0.5 seed = 4'
        ' stop = "." says = next method = stochastic }'
    )
    plain, short = samplings(spec)
    assert (plain.name, plain.start, plain.length, plain.temperatures) == ("sample", "", 200, (1.0,))
    known = Sampling("short", "a", 3, (0.2, 1.0), "stochastic", 2, 0.5, 4, ".", "next", short.span)
    assert short == known


@pytest.mark.parametrize("setting", ["temperature = 1", "top_k = 2", "top_p = 0.5", "seed = 3"])
def test_nothing_is_drawn_where_always_the_likeliest_comes(setting: str) -> None:
    with pytest.raises(Failed, match="E0612"):
        samplings(fine(SECTION + f"sample {{ method = greedy {setting} }}"))


def test_one_output_says_what_comes_next() -> None:
    with pytest.raises(Failed, match="E0619"):
        samplings(fine(SECTION + "h = text -> embedding(4)\nsample { says = h }"))


@pytest.mark.triggers("E0619")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("input x: float[4]\noutput y = x -> dense(4)", "cannot write"),
        ("input x: int(5)\noutput y = x -> embedding(5)", "cannot write"),
        (SECTION + "output more = next", "several outputs"),
        ("input a, b: int(5)[T]\noutput y = [a -> embedding(5), b -> embedding(5)] -> add", "several outputs"),
    ],
)
def test_models_that_cannot_write(text: str, said: str) -> None:
    with pytest.raises(Failed) as failed:
        heads(fine(text))
    assert failed.value.diagnostics[0].code == "E0619"
    assert said in failed.value.diagnostics[0].message


def test_other_inputs_are_refused() -> None:
    text = "input text: int(5)[T]\ninput tone: float[5]\noutput next = [text -> embedding(4) -> lstm(5), tone] -> add"
    spec = fine(text)
    with pytest.raises(Failed, match="beside the text"):
        Writer(spec, Executor(backend("cpu")), heads(spec))


@pytest.mark.triggers("E0601")
@pytest.mark.parametrize("method", ["greedy", "stochastic"])
def test_probabilities_that_are_none_are_told(method: str) -> None:
    with pytest.raises(Failed, match=r"E0601.*no finite numbers"):
        Draw(method=method).choose(np.array([0.5, np.nan, 0.5]), np.random.default_rng(0))
