"""Files of others: the sizes that the real Darknet printed; every sample of the corpus is read or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphdsl.interop import Net, written
from graphdsl.interop.darknet.reader import assembled
from graphdsl.lang import Vocabulary, elaborate
from graphdsl.report import Failed, Source
from tests.support.shared import DATA

TABLE = re.compile(r"^\s*(\d+) (\w+) .*(?:->|outputs:) *(\d+) x *(\d+) x *(\d+)", re.MULTILINE)


def sizes(path: Path) -> list[tuple[object, ...]]:
    """Height, width and channels of what each section gives, in the graph of the text that is written."""
    a = assembled(path)
    outputs = tuple((f"result_{i}", made.tensor) for i, made in enumerate(a.made))
    text = written(Net("", (a.port,), tuple(a.layers), outputs)).text
    graph = elaborate(Source("net.dag", text), Vocabulary.of()).graph
    types = {r.name: r.value.type for r in graph.results}
    found = [types[name].shape[1:] for name, _ in outputs]
    return [(1, 1, *shape) if len(shape) == 1 else shape for shape in found]


@pytest.mark.skipif(not (DATA / "yolo_fastest").is_dir(), reason="yolo-fastest is not at hand")
def test_sizes_that_darknet_printed() -> None:
    table = TABLE.findall((DATA / "yolo_fastest" / "mAP_log.txt").read_text())
    assert len(table) > 100
    ours = sizes(DATA / "yolo_fastest" / "yolo-fastest-1.1.cfg")
    for number, _, width, height, channels in table:
        assert ours[int(number)] == (int(height), int(width), int(channels)), number


CORPUS = sorted((DATA / "spec_corpus" / "darknet_alexey").glob("*.cfg"))
REFUSED = {"gru": "layer 0 [gru]"}


@pytest.mark.skipif(not CORPUS, reason="the corpus is not at hand")
def test_corpus() -> None:
    for path in CORPUS:
        if path.stem in REFUSED:
            with pytest.raises(Failed) as caught:
                assembled(path)
            assert REFUSED[path.stem] in str(caught.value)
        else:
            assert sizes(path)
