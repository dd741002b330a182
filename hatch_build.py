"""Compiles the CPU kernels when the package is built or installed.

With no C compiler on the machine, the one in the `ziglang` wheel is asked for; where that cannot be had either, or the
kernels do not compile, the package is built without them and the reference backend serves.
"""

from __future__ import annotations

import os
import runpy
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SCRIPT = "graphdsl/backends/cpu/build.py"


class Kernels(BuildHookInterface):  # type: ignore[type-arg]
    """Puts the compiled libraries into the wheel, which then is one for this kind of machine but for any Python 3."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        script = self._script()
        if self.target_name != "wheel" or "GRAPHDSL_PURE" in os.environ:
            return []
        try:
            script["compiler"]()
        except script["NoCompiler"]:
            return ["ziglang>=0.13"]
        return []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or "GRAPHDSL_PURE" in os.environ:
            return
        script = self._script()
        try:
            script["build"]()
        except script["NoCompiler"] as error:
            print(f"graphdsl is built without compiled kernels: {error}", file=sys.stderr)
            return
        build_data["artifacts"].append("graphdsl/backends/cpu/_build/*.so")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"

    def _script(self) -> dict[str, Any]:
        """The build script's names. It needs nothing that is not installed yet."""
        return runpy.run_path(str(Path(self.root) / SCRIPT))
