"""The node tests of the package onnx, through the importer and the reference backend: how many pass, and which.

`pytest tests/interop/onnx/test_node_tests.py -s` prints the counts. Which ones pass is in tests/golden/onnx_nodes.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.onnx_nodes import FOLDER, names, outcome

pytest.importorskip("onnx")


@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.exists(), reason="no node tests in ../shared")
def test_node_tests_pass_or_are_refused_by_name(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    found = [outcome(name, tmp_path) for name in names()]
    passed, within = sum(o.passed for o in found), sum(not o.told for o in found)
    print(f"\nONNX node tests: {passed} passed, {within} in scope, {len(found)} in all")
    wrong = [f"{o.name}: {o.why}" for o in found if not o.passed and not o.told]
    lines = [f"{'passed' if o.passed else 'refused'} {o.name}" for o in found]
    golden("onnx_nodes.txt", "\n".join([*lines, f"{passed} passed, {within} in scope, {len(found)} in all", ""]))
    assert not wrong
