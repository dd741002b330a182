"""The networks of the literature: their sizes to the last digit, and the places where people cut them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import graphdsl
from graphdsl.draw import dot_text, summary_data
from graphdsl.ir import Graph, Weight
from graphdsl.lang import format_text, read_source

ZOO = Path(__file__).parents[2] / "specs" / "zoo"
NAMES = sorted(p.stem for p in ZOO.glob("*.dag"))
KERAS = {
    "densenet121": (7_978_856, 8_062_504),
    "densenet169": (14_149_480, 14_307_880),
    "densenet201": (20_013_928, 20_242_984),
    "inception_resnet_v2": (55_813_192, 55_873_736),
    "inception_v3": (23_817_352, 23_851_784),
    "mobilenet": (4_231_976, 4_253_864),
    "mobilenet_v2": (3_504_872, 3_538_984),
    "resnet101": (44_601_832, 44_707_176),
    "resnet101v2": (44_577_896, 44_675_560),
    "resnet152": (60_268_520, 60_419_944),
    "resnet152v2": (60_236_904, 60_380_648),
    "resnet50": (25_583_592, 25_636_712),
    "resnet50v2": (25_568_360, 25_613_800),
    "vgg16": (138_357_544, 138_357_544),
    "vgg19": (143_667_240, 143_667_240),
    "xception": (22_855_952, 22_910_480),
}
"""What learns, and that with the moving averages, as keras.applications counts them."""
PUBLISHED = {
    "alexnet": 60_965_224,
    "googlenet": 13_378_280,
    "lenet5": 61_706,
    "resnet20": 269_722,
    "squeezenet11": 1_235_496,
    "wide_resnet": 36_479_194,
}
"""What learns, in the networks that are counted without moving averages or have none."""
TORCHVISION = {"resnet50": 25_557_032, "resnet101": 44_549_160, "resnet152": 60_192_808}


def graph(name: str, **settings: str) -> Graph:
    return graphdsl.compile(ZOO / f"{name}.dag", settings).graph


def counts(of: Graph) -> tuple[int, int]:
    """What learns, and that with the moving averages."""
    trainable = summary_data(of)["parameters"]["trainable"]
    states = [node.op.made.count for _, node in of.items() if isinstance(node.op, Weight) and node.op.state]
    return trainable, trainable + sum(states)


@pytest.mark.parametrize(("name", "published"), KERAS.items())
def test_counts_of_keras(name: str, published: tuple[int, int]) -> None:
    assert counts(graph(name)) == published


@pytest.mark.parametrize(("name", "published"), PUBLISHED.items())
def test_published_counts(name: str, published: int) -> None:
    assert counts(graph(name))[0] == published


@pytest.mark.parametrize(("name", "published"), TORCHVISION.items())
def test_counts_of_torchvision(name: str, published: int) -> None:
    assert counts(graph(name, keras="false"))[0] == published


def test_a_highway_network_counts_like_the_thin_ones_of_the_paper() -> None:
    """About 5,000 parameters a layer: 2 (50 · 50 + 50)."""
    deeper, deep = counts(graph("highway", depth="20"))[0], counts(graph("highway", depth="10"))[0]
    assert deeper - deep == 10 * 5_100


def test_a_unet_counts_as_its_table_says() -> None:
    down = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    total = sum(9 * a * b + b + 9 * b * b + b for a, b in down)
    total += sum(4 * a * b + b + 9 * a * b + b + 9 * b * b + b for b, a in down[1:])
    assert counts(graph("unet"))[0] == total + 64 * 2 + 2


@pytest.mark.parametrize("name", NAMES)
def test_the_head_comment_tells_both_counts(name: str) -> None:
    line = (ZOO / f"{name}.dag").read_text(encoding="utf-8").splitlines()[2]
    trainable, total = counts(graph(name))
    beside = "the patterns of the cells" if name == "neocognitron" else "moving averages"
    promised = f", and with {beside} {total:,}" if total > trainable else ""
    assert re.match(rf"# Parameters: {trainable:,}( of the readout)?{promised}", line)
    assert f"(keras=false) {TORCHVISION[name]:,}" in line if name in TORCHVISION else "keras=false" not in line


def test_the_heads_of_googlenet_that_only_train_are_not_in_use() -> None:
    layers = summary_data(graph("googlenet"))["layers"]
    assert sum(r["parameters"] for r in layers if not r.get("training")) == 6_998_552


@pytest.mark.parametrize("name", ["alexnet", "googlenet"])
def test_local_response_normalisation_is_there_for_who_wants_it(name: str) -> None:
    plain, normalised = (summary_data(graph(name, lrn=lrn)) for lrn in ("false", "true"))
    assert normalised["parameters"] == plain["parameters"]
    assert [r["layer"] for r in plain["layers"]].count("local_response_norm") == 0
    assert [r["layer"] for r in normalised["layers"]].count("local_response_norm") == 2


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_cut_where_people_cut(name: str, tmp_path: Path) -> None:
    """Every spec of the zoo names what its classifier reads, `features`, and its scores, `logits`."""
    whole = summary_data(graph(name))
    (picture,) = whole["inputs"].values()
    spec = tmp_path / "cut.dag"
    uses = "\n".join(f'output {n} = x -> model("{ZOO / name}.dag", upto={n})' for n in ("features", "logits"))
    spec.write_text(f"input x: {picture}\n{uses}\n", encoding="utf-8")
    cut = summary_data(graphdsl.compile(spec).graph)["outputs"]
    assert cut["logits"] == next(iter(whole["outputs"].values()))
    assert cut["features"] != cut["logits"]


@pytest.mark.parametrize("name", NAMES)
def test_a_network_is_drawn(name: str) -> None:
    drawn = dot_text(graph(name), title=name, depth=0)
    assert drawn.startswith("digraph")
    assert drawn.count("->") > 5


@pytest.mark.parametrize("path", sorted(ZOO.glob("blocks/*.dag")), ids=lambda p: p.stem)
def test_blocks_are_laid_out_and_used(path: Path) -> None:
    source = read_source(str(path))
    assert format_text(source) == source.text
    users = [n for n in NAMES if f'use "blocks/{path.name}"' in (ZOO / f"{n}.dag").read_text(encoding="utf-8")]
    assert len(users) > 1
