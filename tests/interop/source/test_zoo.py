"""Every network of the zoo has source code, and a small one of each kind is run."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from graphdsl.interop.source import TOOLS
from graphdsl.ir import Role, Weight
from graphdsl.model import Model, compile
from tests.support.written import apart, feeds_and_outputs, loaded

SPECS = Path(__file__).parents[3] / "specs" / "zoo"
SMALL = ("resnet20", "squeezenet11", "mobilenet_v2")
EQUAL = 1e-4

pytestmark = pytest.mark.filterwarnings("ignore")
"""Of Keras itself, about NumPy."""


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.dag")), ids=lambda path: path.stem)
def test_every_network_is_python(path: Path) -> None:
    model = compile(path)
    for tool in TOOLS.values():
        tree = ast.parse(tool(model.graph, model.name, path.name))
        table = next(n for n in tree.body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "WEIGHTS")
        assert {entry[0] for entry in ast.literal_eval(table.value)} == serving(model)


def serving(model: Model) -> set[str]:
    """The weights that outputs need."""
    outputs = model.graph.with_results(model.graph.of_role(Role.OUTPUT))
    return {name for name in outputs.needed() if isinstance(model.graph.node(name).op, Weight)}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_pytorch(name: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    model = compile(SPECS / f"{name}.dag")
    (tmp_path / "written.py").write_text(TOOLS["pytorch"](model.graph, "net", name), encoding="utf-8")
    module = loaded(tmp_path / "written.py")
    theirs = module.load(module.Net(), model.save(tmp_path / "weights.safetensors")).eval()
    feeds, (ours,) = feeds_and_outputs(model)
    with torch.no_grad():
        assert apart(ours, theirs(*map(torch.from_numpy, feeds)).numpy()) < EQUAL


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_keras(name: str, tmp_path: Path) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    pytest.importorskip("torch")
    keras = pytest.importorskip("keras")
    model = compile(SPECS / f"{name}.dag")
    (tmp_path / "written.py").write_text(TOOLS["keras"](model.graph, "net", name), encoding="utf-8")
    module = loaded(tmp_path / "written.py")
    theirs = module.load(module.build(), model.save(tmp_path / "weights.safetensors"))
    feeds, (ours,) = feeds_and_outputs(model)
    assert apart(ours, keras.ops.convert_to_numpy(theirs(feeds, training=False))) < EQUAL


def test_a_file_name_stays_a_name() -> None:
    model = compile(SPECS / "lenet5.dag")
    for tool in TOOLS.values():
        tree = ast.parse(tool(model.graph, 'a"""; b\\', '"""\nimport os\n"""'))
        assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import) and n.names[0].name == "os"]


def test_blocks_have_headings_and_names() -> None:
    model = compile(SPECS / "resnet50.dag")
    text = TOOLS["pytorch"](model.graph, model.name, "resnet50.dag")
    assert "        # stage2/stage_1/bottleneck_1\n" in text
    assert "        stage2_stage_1_bottleneck_1 = F.relu(x)\n" in text
