"""Pictures and summaries of a small graph with a block, a shared layer and a head that only training has."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphdsl import draw, ops
from graphdsl.draw import engine
from graphdsl.ir import BATCH, Builder, Graph, Layer, Place, Role, TensorType, Value
from graphdsl.report import Failed


def _layer(b: Builder, kind: str, path: str, x: Value, blocks: tuple[str, ...] = (), shared: str = "") -> Value:
    layer = Layer(path, kind, "8", blocks, shared)
    with b.within(Place(path=path, weights=shared or path, layer=layer, reuse=bool(shared))):
        if kind == "relu":
            return b.emit(ops.FORMULAS["relu"].operator(), x)
        scale = b.weight("scale", (8,))
        return ops.formula(b, lambda a, s: a * s, x, scale, title="scale")


@pytest.fixture
def graph() -> Graph:
    b = Builder()
    x = b.input("x", TensorType((BATCH, 8)))
    h = _layer(b, "relu", "h/relu_1", _layer(b, "dense", "h/dense_1", x))
    inner = _layer(b, "dense", "y/res_1/dense_1", h, ("y/res_1",))
    left = _layer(b, "dense", "y/reader_1", inner, shared="reader")
    right = _layer(b, "dense", "y/reader_2", h, shared="reader")
    extra = _layer(b, "dense", "extra/dense_1", right)
    b.result("y", Role.OUTPUT, ops.formula(b, lambda p, q: p + q, left, right, title="sum"))
    b.result("extra", Role.LOSS, extra)
    return b.finish()


def test_a_shared_layer_is_one_row_with_its_uses(graph: Graph) -> None:
    rows = {row["name"]: row for row in draw.summary_data(graph)["layers"]}
    assert (rows["reader"]["uses"], rows["reader"]["parameters"]) == (2, 8)
    assert rows["h/dense_1"]["uses"] == 1


def test_totals_count_each_set_of_weights_once(graph: Graph) -> None:
    data = draw.summary_data(graph)
    assert data["parameters"] == {"total": 32, "trainable": 32}
    assert sum(row["parameters"] for row in data["layers"]) == 32


def test_layers_that_reach_no_output_are_marked(graph: Graph) -> None:
    training = [row["name"] for row in draw.summary_data(graph)["layers"] if row.get("training")]
    assert training == ["extra/dense_1"]
    assert "* in training only" in draw.summary_text(graph)


def test_an_input_stays_what_it_was_declared() -> None:
    b = Builder()
    image, truth = b.input("image", TensorType((BATCH, 8))), b.input("truth", TensorType((BATCH, 8)), target=True)
    b.result("far", Role.LOSS, ops.formula(b, lambda p, q: p - q, image, truth, title="difference"))
    graph = b.finish()
    assert draw.summary_data(graph)["inputs"] == {"image": "float[8]"}
    assert [line.split()[:2] for line in draw.summary_text(graph).splitlines()[2:4]] == [
        ["image", "input"],
        ["truth", "target"],
    ]


def test_no_row_of_a_box_mixes_two_fonts(graph: Graph) -> None:
    assert "<tr><td><b>dense</b></td></tr><tr><td>8</td></tr>" in draw.dot_text(graph)
    assert "</b> " not in draw.dot_text(graph)


def test_activations_are_lines_of_the_box_before(graph: Graph) -> None:
    dot = draw.dot_text(graph)
    assert dot.count("<b>relu</b>") == 0
    assert "<tr><td>relu 8</td></tr>" in dot


def test_blocks_are_clusters_until_they_are_collapsed(graph: Graph) -> None:
    assert "subgraph" in draw.dot_text(graph)
    collapsed = draw.dot_text(graph, depth=0)
    assert "subgraph" not in collapsed
    assert "<b>res</b>" in collapsed


def test_arrows_of_a_shared_layer_say_which_use(graph: Graph) -> None:
    dot = draw.dot_text(graph)
    assert "used 2 times" in dot
    assert "use 1" in dot and "use 2" in dot


@pytest.mark.parametrize("ending", ["svg", "png", "pdf", "dot", "html"])
def test_every_ending_gives_a_file(graph: Graph, tmp_path: Path, ending: str) -> None:
    written = draw.render(graph, tmp_path / f"net.{ending}")
    assert written.stat().st_size > 200
    assert [written] == list(tmp_path.iterdir())


def test_without_graphviz_there_is_still_a_picture(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "layout", lambda dot, kind: None)
    written = draw.render(graph, tmp_path / "net.svg")
    assert written == tmp_path / "net.html"
    assert len(written.read_text()) > 500_000


@pytest.mark.triggers("E0702")
def test_an_unknown_ending_is_refused(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(Failed) as refused:
        draw.render(graph, tmp_path / "net.pgn")
    assert [d.code for d in refused.value.diagnostics] == ["E0702"]
    assert "net.png" in refused.value.diagnostics[0].help
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written_is_told(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed) as refused:
        draw.render(graph, tmp_path / "file" / "net.dot")
    assert [d.code for d in refused.value.diagnostics] == ["E0701"]


def test_names_cannot_break_the_page(graph: Graph) -> None:
    page = draw.page(draw.dot_text(graph, title='</script><script>alert("x")</script>'), title="<b>")
    assert "</script><script>alert" not in page
    assert "<title>&lt;b&gt;</title>" in page
