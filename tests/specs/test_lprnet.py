"""LPRNet with its authors' weights on their test plates: the text of a plate is the name of its file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import graphdsl
from graphdsl.cli import app
from graphdsl.ir import Array
from tests.support.shared import DATA, needs

SPEC = Path(__file__).parents[2] / "specs" / "lprnet.dag"
PLATES = DATA / "lprnet"
CHARACTERS = "京沪津渝冀晋蒙辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新0123456789ABCDEFGHJKLMNPQRSTUVWXYZIO"

pytestmark = [needs("lprnet"), pytest.mark.slow]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The authors' weights under the names of our spec."""
    target = tmp_path_factory.mktemp("lprnet") / "lprnet.safetensors"
    bare = str(PLATES / "Final_LPRNet_model.npz")
    assert app.run(["import", bare, "--spec", str(SPEC), "-o", str(target)]) == 0
    return target


def pictures(names: list[str]) -> Array:
    """[n, 24, 94, 3], bytes."""
    image = pytest.importorskip("PIL.Image")
    return np.stack([np.asarray(image.open(PLATES / "test" / name)) for name in names])


def test_it_reads_most_plates_whole(weights: Path) -> None:
    names = sorted(path.name for path in (PLATES / "test").glob("*.jpg"))
    model = graphdsl.compile(SPEC)
    model.load(weights)
    texts = model.texts(model.predict(pictures(names)))["text"]
    right = sum(text == Path(name).stem for text, name in zip(texts, names, strict=True))
    assert len(names) == 500
    assert right / len(names) >= 0.89


def test_scores_are_those_of_the_authors_program(weights: Path) -> None:
    """Of the plates that the golden file holds scores for and that are at hand; it saw one plate at a time."""
    golden = np.load(PLATES / "golden_torch_batch1_first50.npz")
    there = [i for i, name in enumerate(golden["files"]) if (PLATES / "test" / str(name)).exists()]
    names = [str(golden["files"][i]) for i in there]
    theirs = golden["logits"][there].transpose(0, 2, 1)
    model = graphdsl.compile(SPEC)
    model.load(weights)
    seen = pictures(names)
    ours = model.features("logits", seen)
    assert len(names) >= 25
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())
    np.testing.assert_array_equal(ours.argmax(-1), theirs.argmax(-1))
    read = ["".join(CHARACTERS[k] for k in row if k >= 0) for row in model.predict(seen)["text"]]
    assert read == [greedy(scores) for scores in theirs]


def greedy(scores: Array) -> str:
    """Equal neighbours once, without the blank, which is the last: the authors' decoder."""
    best = scores.argmax(-1)
    kept = [k for i, k in enumerate(best) if k != len(CHARACTERS) and (i == 0 or k != best[i - 1])]
    return "".join(CHARACTERS[k] for k in kept)


def test_predict_prints_the_text_of_a_picture(weights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = PLATES / "test" / "皖A06S56.jpg"
    assert app.run(["predict", str(weights), str(picture)]) == 0
    assert capsys.readouterr().out.split() == ["text", "[1]", str(picture), "皖A06S56"]
