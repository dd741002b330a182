"""The house rules that a program can check. Each rule is a function from a file to complaints, and each can complain.

Rules read the syntax tree and import nothing, so they hold for files that need a GPU as well.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "graphdsl"

LAYERS = {
    "report": 0,
    "ir": 1,
    "ops": 2,
    "lang": 3,
    "passes": 3,
    "draw": 3,
    "backends": 3,
    "runtime": 4,
    "data": 5,
    "learn": 5,
    "interop": 5,
    "editor": 5,
    "model": 6,
    "cli": 7,
    "__init__": 8,
    "__main__": 8,
}
"""A file imports lower layers only, never its own: packages of one layer do not know each other."""

OPTIONAL = {
    "PIL",
    "rich",
    "graphviz",
    "pygraphviz",
    "safetensors",
    "cupy",
    "onnx",
    "onnxruntime",
    "h5py",
    "keras",
    "cv2",
}
"""Costly or optional: imported inside the function that needs them."""

ON_DEMAND = {"graphdsl/__init__.py", "graphdsl/cli/app.py", "graphdsl/backends/registry.py"}
"""Files whose work is to import by name when asked: they alone call import_module."""

ONE_PACKAGE = {"lark": "lang"}
FORBIDDEN_CALLS = {"super", "hasattr", "eval", "exec", "__import__"}
FORBIDDEN_IMPORTS = {"pickle", "shelve", "marshal", "dill", "joblib"}
MARKS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
LONGEST_FILE = 400
LONGEST_FUNCTION = 40
DEEPEST = 2
SHORT = 6
"""A class or function of so few lines says all by itself; a docstring would only repeat the name."""


@dataclass(frozen=True)
class File:
    """A Python file by the name that messages use."""

    name: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def room(self) -> str:
        """`ir` for graphdsl/ir/graph.py, `model` for graphdsl/model.py."""
        return self.name.split("/")[1].removesuffix(".py")

    @cached_property
    def functions(self) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]

    @cached_property
    def imports(self) -> list[tuple[int, str, bool]]:
        """Line, module and whether it stands at the top of the file."""
        top = set(map(id, _top_level(self.tree)))
        return [(n.lineno, module, id(n) in top) for n in ast.walk(self.tree) for module in _modules(n)]


def _top_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run at import, those under `if TYPE_CHECKING` and `try` included."""
    for statement in tree.body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from statement.body


def _modules(node: ast.AST) -> list[str]:
    """What a statement imports; `from graphdsl.ops import shape` imports the file graphdsl/ops/shape.py."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        module = f"{'.' * node.level}{node.module or ''}"
        files = [alias.name for alias in node.names if _is_file(module, alias.name)]
        return [f"{module}.{name}" for name in files] or [module]
    return []


def _is_file(module: str, name: str) -> bool:
    """Whether a name is a file of the package and not something of the same name that its front door imports."""
    folder = ROOT / module.replace(".", "/")
    if not (folder / f"{name}.py").exists():
        return False
    door = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    rebound = [n for n in door.body if isinstance(n, ast.ImportFrom) and n.module != module]
    return name not in {alias.asname or alias.name for n in rebound for alias in n.names}


def _offers(package: str, name: str) -> bool:
    """Whether the front door of a package lists a name, be it a whole file."""
    return f'"{name}"' in (PACKAGE / package / "__init__.py").read_text(encoding="utf-8")


def files() -> list[File]:
    return [File(str(p.relative_to(ROOT)), p.read_text(encoding="utf-8")) for p in sorted(PACKAGE.rglob("*.py"))]


# --- rules -----------------------------------------------------------------------------------------------------------


def imports_point_one_way(file: File) -> Iterator[str]:
    """report <- ir <- ops <- { lang, passes, draw, backends } <- runtime <- { data, learn, … } <- model <- cli"""
    if file.room not in LAYERS:
        yield f"{file.name}: `{file.room}` has no layer"
        return
    for line, module, _ in file.imports:
        parts = module.split(".")
        target = parts[1] if parts[0] == "graphdsl" and len(parts) > 1 else file.room
        if target != file.room and LAYERS.get(target, 99) >= LAYERS[file.room]:
            yield f"{file.name}:{line}: {file.room} must not import {target}"


def imports_use_the_front_door(file: File) -> Iterator[str]:
    """`from graphdsl.ir import Graph` outside ir, `from graphdsl.ir.graph import Graph` within; nothing relative."""
    for line, module, _ in file.imports:
        parts = module.split(".")
        if module.startswith("."):
            yield f"{file.name}:{line}: relative import"
        if parts[0] != "graphdsl" or len(parts) < 2:
            continue
        inside = file.name.count("/") > 1 and not file.name.endswith("/__init__.py")
        if parts[1] == file.room and len(parts) == 2 and inside:
            yield f"{file.name}:{line}: inside {file.room} import the file, not the package"
        if parts[1] != file.room and len(parts) > 2 and not _offers(parts[1], parts[2]):
            yield f"{file.name}:{line}: go through the front door of {parts[1]}"


def imports_stand_at_the_top(file: File) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Name) and node.id == "import_module" and file.name not in ON_DEMAND:
            yield f"{file.name}:{node.lineno}: import at the top, not by name"
    for line, module, top in file.imports:
        if not top and module.split(".")[0] not in OPTIONAL:
            yield f"{file.name}:{line}: import {module} at the top"


def a_library_has_one_home(file: File) -> Iterator[str]:
    """lark lives in lang; nothing pickles, because a pickle from elsewhere runs code."""
    for line, module, _ in file.imports:
        library = module.split(".")[0]
        if library in FORBIDDEN_IMPORTS:
            yield f"{file.name}:{line}: no {library}"
        if file.room != ONE_PACKAGE.get(library, file.room):
            yield f"{file.name}:{line}: {library} belongs to {ONE_PACKAGE[library]}"


def no_forbidden_calls(file: File) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            yield f"{file.name}:{node.lineno}: no {node.func.id}()"


def files_are_short(file: File) -> Iterator[str]:
    lines = file.text.count("\n")
    if lines > LONGEST_FILE:
        yield f"{file.name}: {lines} lines"


def functions_are_short(file: File) -> Iterator[str]:
    """The docstring does not count: an operator's page is as long as it must be, and is no code to follow."""
    for function in file.functions:
        lines = (function.end_lineno or 0) - function.lineno + 1 - _docstring_lines(function)
        if lines > LONGEST_FUNCTION:
            yield f"{file.name}:{function.lineno}: {function.name} has {lines} lines"


def _docstring_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    if ast.get_docstring(function) is None:
        return 0
    return (function.body[0].end_lineno or 0) - function.body[0].lineno + 1


def functions_are_flat(file: File) -> Iterator[str]:
    for function in file.functions:
        depth = _depth(function.body)
        if depth > DEEPEST:
            yield f"{file.name}:{function.lineno}: {function.name} nests {depth} deep"


def _depth(statements: Iterable[ast.stmt]) -> int:
    """Levels of for, while, if, try and match. `with` adds none: it opens a resource and decides nothing.

    `elif` counts as its `if`. A function inside is measured by itself.
    """
    deepest = 0
    for s in statements:
        if isinstance(s, ast.With | ast.AsyncWith):
            deepest = max(deepest, _depth(s.body))
        elif isinstance(s, ast.If) and len(s.orelse) == 1 and isinstance(s.orelse[0], ast.If):
            deepest = max(deepest, 1 + _depth(s.body), _depth(s.orelse))
        elif isinstance(s, ast.For | ast.AsyncFor | ast.While | ast.If | ast.Try | ast.Match):
            deepest = max(deepest, 1 + max(map(_depth, _blocks(s))))
    return deepest


def _blocks(s: ast.stmt) -> list[list[ast.stmt]]:
    blocks = [getattr(s, field, []) for field in ("body", "orelse", "finalbody")]
    inner = [*getattr(s, "handlers", []), *getattr(s, "cases", [])]
    return [*blocks, *(part.body for part in inner)]


def nothing_is_left_undone(file: File) -> Iterator[str]:
    for number, line in enumerate(file.text.splitlines(), 1):
        if MARKS.search(line):
            yield f"{file.name}:{number}: unfinished: {line.strip()}"


def all_is_annotated(file: File) -> Iterator[str]:
    """Every argument and result. `self`, `cls` and lambdas need none."""
    for function in file.functions:
        a = function.args
        named = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
        bare = [arg.arg for arg in named if arg.annotation is None and arg.arg not in ("self", "cls")]
        if function.returns is None:
            bare.append("return")
        if bare and "elementwise" not in map(_decorator, function.decorator_list):
            yield f"{file.name}:{function.lineno}: {function.name}: no annotation for {', '.join(bare)}"


def _decorator(node: ast.expr) -> str:
    """The last word of a decorator. Formulas under `@elementwise` take symbols, which have no type to write."""
    call = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(call).split(".")[-1]


def public_things_are_explained(file: File) -> Iterator[str]:
    """Public classes and functions at the top of a file have a docstring, unless they are obvious (SHORT lines).

    What is explained elsewhere needs none: a struct where it is declared in C, a binder at the operator that it binds.
    """
    if ast.get_docstring(file.tree) is None:
        yield f"{file.name}: no docstring"
    for node in file.tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        long = (node.end_lineno or 0) - node.lineno + 1 > SHORT
        if long and ast.get_docstring(node) is None and not _explained_elsewhere(node):
            yield f"{file.name}:{node.lineno}: {node.name}: no docstring"


def _explained_elsewhere(node: ast.FunctionDef | ast.ClassDef) -> bool:
    if isinstance(node, ast.ClassDef):
        return all(isinstance(s, ast.Assign) and ast.unparse(s.targets[0]) == "_fields_" for s in node.body)
    return "binds" in map(_decorator, node.decorator_list)


RULES: tuple[Callable[[File], Iterator[str]], ...] = (
    imports_point_one_way,
    imports_use_the_front_door,
    imports_stand_at_the_top,
    a_library_has_one_home,
    no_forbidden_calls,
    files_are_short,
    functions_are_short,
    functions_are_flat,
    nothing_is_left_undone,
    all_is_annotated,
    public_things_are_explained,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[File], Iterator[str]]) -> None:
    complaints = [complaint for file in files() for complaint in rule(file)]
    assert not complaints, "\n".join(complaints)


@pytest.mark.parametrize("library", ["graphviz", "cupy"])
def test_a_library_is_imported_in_one_file(library: str) -> None:
    assert len(_importers(library, files())) <= 1, _importers(library, files())


def _importers(library: str, among: Iterable[File]) -> set[str]:
    return {f.name for f in among if any(module.split(".")[0] == library for _, module, _ in f.imports)}


def packages() -> list[Path]:
    return sorted(p.parent for p in PACKAGE.glob("*/__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda p: p.name)
def test_package_has_a_map(package: Path) -> None:
    readme = package / "README.md"
    assert readme.exists(), f"{package.name} has no README.md"
    assert _last_heading(readme.read_text(encoding="utf-8")) == "## Why it is this way"


@pytest.mark.parametrize("package", packages(), ids=lambda p: p.name)
def test_map_names_every_file(package: Path) -> None:
    """All but commands, of which each has a file: `graphdsl --help` is their map."""
    readme = (package / "README.md").read_text(encoding="utf-8")
    files = {p.name for p in package.glob("*.py") if not p.name.startswith("__")}
    commands = {p.name for p in package.glob("*.py") if "@click.command" in p.read_text(encoding="utf-8")}
    assert not sorted(name for name in files - commands if f"`{name}`" not in readme)


def _last_heading(text: str) -> str:
    return [line for line in text.splitlines() if line.startswith("#")][-1]


def test_top_level_holds_what_it_should() -> None:
    texts = {"pyproject.toml", "README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "hatch_build.py"}
    folders = {"graphdsl", "specs", "tests", "examples"}
    made_by_tools = {"build", "dist", "runs"}
    found = {p.name for p in ROOT.iterdir() if not p.name.startswith(".") and p.suffix != ".egg-info"}
    assert found - made_by_tools <= texts | folders


# --- each rule can complain ------------------------------------------------------------------------------------------

BAD = {
    imports_point_one_way: ("ir/x.py", "from graphdsl.ops import add\n"),
    imports_use_the_front_door: ("ops/x.py", "from graphdsl.ir.graph import Graph\n"),
    imports_stand_at_the_top: ("ops/x.py", "def f() -> None:\n    import numpy\n"),
    a_library_has_one_home: ("draw/x.py", "import lark\n"),
    no_forbidden_calls: ("ops/x.py", "x = hasattr(1, 'real')\n"),
    files_are_short: ("ops/x.py", "x = 1\n" * 401),
    functions_are_short: ("ops/x.py", "def f() -> None:\n" + "    x = 1\n" * 40),
    functions_are_flat: (
        "ops/x.py",
        "def f() -> None:\n    if 1:\n        for x in y:\n            while x:\n                pass\n",
    ),
    nothing_is_left_undone: ("ops/x.py", "x = 1  # TO" + "DO: more\n"),
    all_is_annotated: ("ops/x.py", "def f(x) -> None: ...\n"),
    public_things_are_explained: ("ops/x.py", "'''x'''\ndef f() -> None:\n" + "    x = 1\n" * 6),
}
MORE_BAD = [
    (imports_point_one_way, "data/x.py", "from graphdsl.learn import fit\n"),
    (imports_point_one_way, "attic/x.py", ""),
    (imports_use_the_front_door, "cli/x.py", "from graphdsl.report import terminal\n"),
    (imports_use_the_front_door, "ir/x.py", "from .graph import Graph\n"),
    (imports_use_the_front_door, "ir/x.py", "from graphdsl.ir import Graph\n"),
    (imports_stand_at_the_top, "ops/x.py", "x = import_module('numpy')\n"),
    (a_library_has_one_home, "data/x.py", "import pickle\n"),
    (all_is_annotated, "ops/x.py", "def f(x: int): ...\n"),
]
GOOD = [
    (imports_point_one_way, "ops/x.py", "from graphdsl.ir import Graph\nfrom graphdsl.ops.y import z\n"),
    (imports_use_the_front_door, "ops/x.py", "from graphdsl.ir import Graph\nfrom graphdsl.ops.y import z\n"),
    (imports_use_the_front_door, "report/x.py", "from graphdsl.report import terminal\n"),
    (imports_stand_at_the_top, "draw/x.py", "def f() -> None:\n    from PIL import Image\n"),
    (
        functions_are_flat,
        "ops/x.py",
        "def f() -> None:\n" + "    if 1:\n        pass\n" + "    elif 1:\n        pass\n" * 9,
    ),
    (functions_are_short, "ops/x.py", 'def f() -> None:\n    """x\n' + "    x\n" * 50 + '    """\n'),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_can_complain(rule: Callable[[File], Iterator[str]]) -> None:
    name, text = BAD[rule]
    assert list(rule(File(f"graphdsl/{name}", text)))


@pytest.mark.parametrize(("rule", "name", "text"), MORE_BAD)
def test_rule_complains_of_variants(rule: Callable[[File], Iterator[str]], name: str, text: str) -> None:
    assert list(rule(File(f"graphdsl/{name}", text)))


@pytest.mark.parametrize(("rule", "name", "text"), GOOD)
def test_rule_leaves_the_good_alone(rule: Callable[[File], Iterator[str]], name: str, text: str) -> None:
    assert not list(rule(File(f"graphdsl/{name}", text)))


def test_the_checks_on_sets_of_files_can_fail() -> None:
    twice = [File(f"graphdsl/draw/{n}.py", "def f() -> None:\n    import graphviz\n") for n in "ab"]
    assert len(_importers("graphviz", twice)) == 2
    assert _last_heading("# a\n## Why it is this way\n## b\n") == "## b"


def test_the_tests_know_what_ships_with_python() -> None:
    """OPTIONAL must not excuse a late import of the standard library."""
    assert not OPTIONAL & set(sys.stdlib_module_names)
