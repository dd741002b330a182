"""The specs we ship: what their first lines promise, and what the lectures say of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphdsl
from graphdsl.draw import summary_data
from graphdsl.lang import format_text, read_source
from graphdsl.report import Failed

SPECS = Path(__file__).parents[2] / "specs"
ALL = sorted([*SPECS.glob("*.dag"), *SPECS.glob("zoo/*.dag")])
TRAINABLE = {"mlp": 3_466, "question_answering": 1_000_052}
"""QA: 10,000·64 + 4(64 + 32 + 1)32 + 10,000·32 + 4(32 + 16 + 1)16 + (48 + 1)500, one bias a gate."""


def summary(name: str) -> dict[str, Any]:
    return summary_data(graphdsl.compile(SPECS / f"{name}.dag").graph)


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_nothing_in_a_spec_is_idle(path: Path) -> None:
    assert not graphdsl.compile(path).warnings


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_a_spec_opens_with_task_source_and_its_true_parameter_count(path: Path) -> None:
    task, source, parameters = path.read_text(encoding="utf-8").splitlines()[:3]
    assert task.startswith("# ")
    assert source.startswith("# Source: ")
    promised = re.match(r"# Parameters: ([\d,]+)", parameters)
    assert promised
    assert int(promised[1].replace(",", "")) == summary_data(graphdsl.compile(path).graph)["parameters"]["trainable"]


@pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)
def test_a_spec_is_laid_out_as_fmt_would(path: Path) -> None:
    source = read_source(str(path))
    assert format_text(source) == source.text


@pytest.mark.parametrize(("name", "count"), TRAINABLE.items())
def test_published_parameter_counts(name: str, count: int) -> None:
    assert summary(name)["parameters"] == {"total": count, "trainable": count}


def test_the_mlp_counts_layer_by_layer() -> None:
    rows = [r for r in summary("mlp")["layers"] if r["layer"] == "dense"]
    assert [r["parameters"] for r in rows] == [2_080, 1_056, 330]


def test_the_siamese_network_has_one_lstm_with_two_uses() -> None:
    (row,) = (r for r in summary("siamese")["layers"] if r["layer"] == "lstm")
    assert (row["parameters"], row["uses"]) == (4 * (128 + 32 + 1) * 32, 2)


def test_the_unpadded_inception_listing_is_refused(tmp_path: Path) -> None:
    """The lecture's own listing: without padding its branches have four different sizes."""
    text = """
        input x: float[35, 35, 192]
        a = x -> conv(128, 1, stride=2) -> relu
        b = x -> conv(128, 1) -> relu -> conv(128, 3, stride=2) -> relu
        c = x -> avg_pool(3, stride=2) -> conv(128, 3) -> relu
        d = x -> conv(128, 1) -> relu -> conv(128, 3) -> relu -> conv(128, 3, stride=2) -> relu
        output y = [a, b, c, d] -> concat
    """
    spec = tmp_path / "inception.dag"
    spec.write_text(text)
    with pytest.raises(Failed) as refused:
        graphdsl.compile(spec)
    (mistake,) = refused.value.diagnostics
    assert mistake.code == "E0301"
    assert mistake.span is not None
    assert (mistake.span.text, mistake.span.line) == ("b", 7)
    assert "float[17, 17, 128]" in mistake.message
    assert "float[18, 18, 128]" in mistake.message


def test_the_head_losses_add_up_to_the_total() -> None:
    """A4: every head's loss is told, and the total is their weighted sum."""
    model = graphdsl.compile(SPECS / "author_profile.dag", {"words": "60"})
    rng = np.random.default_rng(0)
    posts = rng.integers(0, 60, (8, 300)).astype(np.int32)
    truth = {
        "age": rng.random((8, 1), np.float32),
        "income": rng.integers(0, 10, 8),
        "gender": rng.integers(0, 2, (8, 1)).astype(np.float32),
    }
    got = model.evaluate({"posts": posts}, truth)
    heads = {"age_guess": 0.25, "income_guess": 1.0, "gender_guess": 10.0}
    assert got["loss"] == pytest.approx(sum(w * got[f"{h}.loss"] for h, w in heads.items()), rel=1e-5)


def test_the_reference_explains_the_language_with_examples_that_compile(tmp_path: Path) -> None:
    blocks = re.findall(r"```dag\n(.*?)```", (SPECS / "LANGUAGE.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 4
    for number, text in enumerate(blocks):
        spec = tmp_path / f"example_{number}.dag"
        spec.write_text(text)
        assert graphdsl.compile(spec).graph


def test_words_that_the_reference_names_exist() -> None:
    """Layers, losses, readers … in the tables of LANGUAGE.md are words of the language."""
    from graphdsl.model import VOCABULARY

    known = {name for registry in VOCABULARY.registries.values() for name in registry}
    text = (SPECS / "LANGUAGE.md").read_text(encoding="utf-8")
    lists = re.findall(r"`((?:[a-z_]{2,} ){3,}[a-z_]{2,})`|`([a-z_]+)\(", text)
    named = {word for several, one in lists for word in (several or one).split()}
    blocks = {"res", "residual", "conv_bn", "model", "slide", "range", "log", "int", "box", "grow", "float"}
    reserved = set(text.rsplit("`", 2)[1].split())
    assert named - known - blocks - reserved == set()
