"""Prototxt files of other people: each imports, or is refused by the name of a layer. With all shapes."""

from __future__ import annotations

from pathlib import Path

import networkx as nx
import pytest

import graphdsl
from graphdsl.interop import written
from graphdsl.interop.caffe import read
from graphdsl.ir import Role
from graphdsl.report import Failed
from tests.support.shared import DATA

FOLDERS = [*sorted(DATA.glob("spec_corpus/caffe_*")), DATA / "squeezenet_v1.1"]
FILES = [file for folder in FOLDERS for file in sorted(folder.rglob("*.prototxt"))]

pytestmark = pytest.mark.skipif(not FILES, reason="../shared is absent")


def imported(file: Path, folder: Path) -> graphdsl.model.Model:
    (folder / "net.dag").write_text(written(read(file)).text)
    return graphdsl.compile(folder / "net.dag")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f"{f.parent.name}/{f.stem}")
def test_imports_or_is_refused_by_name(file: Path, tmp_path: Path) -> None:
    try:
        net = read(file)
    except Failed as refused:
        assert "E0901" in str(refused) and "`" in str(refused)
        return
    assert net.layers and net.outputs
    imported(file, tmp_path).graph  # noqa: B018


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("vgg/deploy_vgg13bn-pytorch", "133,053,736"), ("dpn/deploy_dpn131", "79,254,504")],
)
def test_parameters_are_the_published_ones(name: str, parameters: str, tmp_path: Path) -> None:
    """torchvision's VGG-13 with batch_norm, timm's DPN-131."""
    model = imported(DATA / "spec_corpus" / "caffe_soeaver" / f"{name}.prototxt", tmp_path)
    assert f"parameters: {parameters} " in model.summary()


def test_squeezenet_is_the_one_in_the_zoo(tmp_path: Path) -> None:
    model = imported(DATA / "squeezenet_v1.1" / "deploy.prototxt", tmp_path)
    assert "1,235,496" in model.summary()
    ours = graphdsl.compile(Path(__file__).parents[3] / "specs" / "zoo" / "squeezenet11.dag")
    alike = nx.algorithms.isomorphism.categorical_node_match(["kind", "features"], [None, None])
    assert nx.is_isomorphic(used(model), used(ours), node_match=alike)


def used(model: graphdsl.model.Model) -> nx.DiGraph:
    """What leads to the output: operators and how many features each makes. Pictures differ in size, names differ."""
    graph = model.graph.with_results(model.graph.of_role(Role.OUTPUT))
    found = nx.DiGraph(graph.nx.subgraph(graph.needed()))
    for name, marks in found.nodes.items():
        node = graph.node(name)
        marks |= {"kind": type(node.op).__name__, "features": node.types[0].shape[-1]}
    return found
