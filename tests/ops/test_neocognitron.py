"""S-cells and C-cells: what they answer, and how winners learn, beside a plain loop over cells."""

from __future__ import annotations

import numpy as np
import pytest

from graphdsl.ir import BATCH, LAYERS, DType, Role, TensorType, TypeRuleError, symbol
from graphdsl.passes import Mode, needs_no_loss, specialise
from tests.support.evaluate import built, evaluate

RNG = np.random.default_rng(5)
PICTURES = RNG.random((2, 6, 6, 2))
PATTERNS = RNG.random((3, 3, 2, 4))
STRENGTH = 9 + RNG.random(4) * 6
SETTINGS = {"planes": 4, "size": 3, "selectivity": 1.5, "speed": 20.0, "pad": 1}
WEIGHTS = {"excitatory": PATTERNS, "inhibitory": STRENGTH}


def cells(mode=Mode.TRAINING, shape=(6, 6, 2), name="s_cells", **settings):
    return specialise(built(lambda b, x: LAYERS[name].make(b, x, **settings), TensorType((BATCH, *shape))), mode)


def views(picture):
    """What the cell at each place sees."""
    room = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    return {(i, j): room[i : i + 3, j : j + 3] for i in range(6) for j in range(6)}


def answer(view, plane, r=1.5):
    excitation = 1 + np.sum(view * PATTERNS[..., plane])
    inhibition = 1 + r / (1 + r) * STRENGTH[plane] * np.sqrt(np.mean(view**2))
    return r * max(excitation / inhibition - 1, 0)


def taught(area):
    """The weights after a step, cell by cell: in every area the strongest wins, in every plane the strongest winner."""
    patterns, strength = PATTERNS.copy(), STRENGTH.copy()
    for picture in PICTURES:
        seen = views(picture)
        said = {(*at, k): answer(view, k) for at, view in seen.items() for k in range(4)}

        def wins(cell, said=said):
            i, j, _ = cell
            rivals = [u for (p, q, _), u in said.items() if max(abs(p - i), abs(q - j)) <= area // 2]
            return 0 < said[cell] == max(rivals)

        for plane in range(4):
            winners = [cell for cell in said if cell[2] == plane and wins(cell)]
            if winners:
                i, j, _ = max(winners, key=said.__getitem__)
                patterns[..., plane] += 20 / 18 * seen[i, j]
                strength[plane] += 20 * np.sqrt(np.mean(seen[i, j] ** 2))
    return patterns, strength


def test_an_answer_is_excitation_shunted_by_what_there_is_to_see():
    found = evaluate(cells(Mode.INFERENCE, **SETTINGS), {"x0": PICTURES, **WEIGHTS})
    assert list(found) == [("output", "y")]
    expected = [[[answer(view, k) for k in range(4)] for view in views(p).values()] for p in PICTURES]
    np.testing.assert_allclose(found["output", "y"], np.reshape(expected, (2, 6, 6, 4)), rtol=1e-9)
    assert 0 < np.count_nonzero(expected) < np.size(expected)


@pytest.mark.parametrize("area", [1, 3, 5, None])
def test_winners_add_what_they_see(area):
    found = evaluate(cells(area=area, **SETTINGS), {"x0": PICTURES, **WEIGHTS})
    patterns, strength = taught(100 if area is None else area)
    np.testing.assert_allclose(found["update", "excitatory"], patterns, rtol=1e-9)
    np.testing.assert_allclose(found["update", "inhibitory"], strength, rtol=1e-9)
    assert not np.allclose(patterns, PATTERNS)


def test_silent_cells_learn_nothing():
    found = evaluate(cells(**SETTINGS), {"x0": np.zeros_like(PICTURES), **WEIGHTS})
    np.testing.assert_array_equal(found["update", "excitatory"], PATTERNS)
    np.testing.assert_array_equal(found["update", "inhibitory"], STRENGTH)


def test_after_one_sight_a_cell_answers_to_that_pattern_and_to_its_like_alone():
    graph = cells(planes=1, size=4, selectivity=3.0, shape=(4, 4, 1))
    seen, other = np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4, 1))
    seen[:, :2], other[:, 2:] = 1, 1
    faint = {"excitatory": np.full((4, 4, 1, 1), 1e-4), "inhibitory": np.zeros(1)}
    learned = {n: a for (role, n), a in evaluate(graph, {"x0": seen, **faint}).items() if role == Role.UPDATE.value}
    like = np.where(seen > 0, 0.5, 0.05)
    said = [evaluate(graph, {"x0": x, **learned})["output", "y"].item() for x in (seen, like, other)]
    assert said[0] == pytest.approx(1, abs=0.02)
    assert 0.9 < said[1] < said[0]
    assert said[2] == 0


def test_frozen_cells_do_as_in_use():
    graph = built(lambda b, x: LAYERS["s_cells"].make(b, x, **SETTINGS), TensorType((BATCH, 6, 6, 2)))
    frozen = {"excitatory", "inhibitory"}
    assert needs_no_loss(graph, {"excitatory"})
    assert not needs_no_loss(graph, frozen)
    assert not specialise(graph, Mode.TRAINING, frozen).of_role(Role.UPDATE)


def test_c_cells_blur_and_saturate():
    found = evaluate(cells(name="c_cells", size=3, stride=2, half=0.5), {"x0": PICTURES})["output", "y"]
    mean = np.mean(PICTURES[0, :3, :3], (0, 1))
    np.testing.assert_allclose(found[0, 0, 0], mean / (0.5 + mean))
    assert found.shape == (2, 3, 3, 2)


@pytest.mark.parametrize("name", ["s_cells", "c_cells"])
@pytest.mark.parametrize(
    ("type", "code"),
    [
        (TensorType((BATCH, 8)), "E0301"),
        (TensorType((BATCH, 2, 2, 1)), "E0301"),
        (TensorType((BATCH, symbol("T"), 4)), "E0401"),
        (TensorType((BATCH, 8, 8, 1), DType.INT32), "E0301"),
    ],
)
def test_refused(name, type, code):
    settings = {"planes": 4} if name == "s_cells" else {}
    with pytest.raises(TypeRuleError) as refused:
        built(lambda b, x: LAYERS[name].make(b, x, size=3, pad="valid", **settings), type)
    assert refused.value.code == code
