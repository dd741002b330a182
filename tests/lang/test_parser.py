"""Texts that parse: the grammar, the tree, its places, and how long it takes."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from graphdsl.lang import ast, decode, parse, read_source
from graphdsl.lang.grammar import GRAMMAR, build, grammar
from graphdsl.lang.tree import TreeBuilder
from graphdsl.report import Failed, Reporter, Source
from tests.support.spelling import SPECS, read, respaced, tree


def definitions(text: str) -> tuple[ast.Definition, ...]:
    reporter = Reporter()
    file = parse(Source("t.dag", text), reporter)
    assert not reporter.diagnostics, reporter.diagnostics
    return file.definitions


def value(text: str) -> ast.Expression:
    (define,) = definitions(f"y = {text}")
    assert isinstance(define, ast.Define)
    return define.value


def shape(node: ast.Expression) -> str:
    """An expression with every pair of brackets written out."""
    match node:
        case ast.Binary(operator, left, right):
            return f"({shape(left)} {operator} {shape(right)})"
        case ast.Unary(operator, operand):
            return f"({operator} {shape(operand)})"
        case ast.Pipe(source, stages):
            parts = [shape(source)] if source else []
            counts = ((stage.call.name, stage.repeat) for stage in stages)
            parts += [f"{name} * {shape(repeat)}" if repeat else name for name, repeat in counts]
            return f"<{' -> '.join(parts)}>"
        case ast.Conditional(condition, then, otherwise):
            return f"({shape(condition)} ? {shape(then)} : {shape(otherwise)})"
        case ast.ListOf(items):
            return f"[{', '.join(map(shape, items))}]"
        case ast.Fact(of, fact):
            return f"{shape(of)}.{fact}"
        case ast.Name(name) | ast.Call(name):
            return name
        case ast.Number(number):
            return str(number)
        case ast.SizeLiteral(values):
            return "x".join(map(str, values))
    return type(node).__name__


# --- the grammar -----------------------------------------------------------------------------------------------------


def test_grammar_has_no_conflict() -> None:
    pytest.importorskip("interegular")
    build(GRAMMAR.read_text(encoding="utf-8"), strict=True)


def test_grammar_names_no_layer() -> None:
    assert grammar().lexicon.keywords.keys() == {
        *("use", "param", "input", "target", "weight", "output", "shared", "block", "assert"),
        *("in", "if", "then", "else", "and", "or", "not", "true", "false", "none"),
    }


def test_every_rule_has_a_method() -> None:
    named = {rule.alias or str(rule.options.template_source or rule.origin.name) for rule in grammar().tables.rules}
    transparent = {str(rule.origin.name) for rule in grammar().tables.rules if rule.options.expand1 and not rule.alias}
    assert {name for name in named - transparent if not hasattr(TreeBuilder, name)} == set()


@pytest.mark.parametrize("seed", range(20))
def test_tokens_cover_the_text(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chr(chance.choice([chance.randint(0, 127), chance.randint(0, 0x2FFF)])) for _ in range(500))
    assert "".join(token.text for token in grammar().lexicon.scan(Source("t.dag", text))) == text


def test_tables_are_cached_and_built_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    text = "output y = x -> relu"
    for _ in range(2):  # written, then read
        grammar.cache_clear()
        assert tree(text)
    (kept,) = (tmp_path / "graphdsl").iterdir()
    kept.write_bytes(b"damaged")
    grammar.cache_clear()
    assert tree(text)
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))  # a file where a folder should be
    grammar.cache_clear()
    assert tree(text)


# --- the tree --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_specs_parse(path: Path) -> None:
    assert tree(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_new_lines_mean_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tokens = grammar().lexicon.tokens(Source("t.dag", text))
    assert tree(" ".join(token.text for token in tokens)) == tree(text)
    assert tree("\n".join(token.text for token in tokens)) == tree(text)


@pytest.mark.parametrize("seed", range(50))
def test_layout_means_nothing(seed: int) -> None:
    chance = random.Random(seed)
    text = chance.choice(SPECS).read_text(encoding="utf-8")
    assert tree(respaced(text, chance)) == tree(text)


@pytest.mark.parametrize("text", ["", "\n", "  # only a comment", "#", "\ufeff".encode().decode("utf-8-sig")])
def test_nothing_is_a_spec(text: str) -> None:
    assert tree(text) == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("t * h + (1 - t) * x", "((t * h) + ((1 - t) * x))"),
        ("a - b - c", "((a - b) - c)"),
        ("a / b * c % d", "(((a / b) * c) % d)"),
        ("-a ** 2", "(- (a ** 2))"),
        ("2 ** -1 * 3", "((2 ** (- 1)) * 3)"),
        ("a or b and not c == d + 1", "(a or (b and (not (c == (d + 1)))))"),
        ("body + skip -> relu", "<(body + skip) -> relu>"),
        ("(x -> relu) + y", "(<x -> relu> + y)"),
        ("x -> res(64) * 3 -> relu", "<x -> res * 3 -> relu>"),
        ("x -> res * (n - 1)", "<x -> res * (n - 1)>"),
        ("x -> res * y.height", "<x -> res * y.height>"),
        ("[a, b -> relu,] -> add", "<[a, <b -> relu>] -> add>"),
        ("if s == 1 then in else in -> conv(3)", "((s == 1) ? in : <in -> conv>)"),
        ("if a then x else if b then y else z", "(a ? x : (b ? y : z))"),
        ("(if a then x else y) -> relu", "<(a ? x : y) -> relu>"),
        ("in.channels == 4*c", "(in.channels == (4 * c))"),
        ("(a + b).height", "(a + b).height"),
        ('photo("x.jpg")', "photo"),
        ("[81x82, 1x2x3, []]", "[81x82, 1x2x3, []]"),
        ("10 ** 12", "(10 ** 12)"),
        ("1e-4", "0.0001"),
        ("none", "Nothing"),
    ],
)
def test_expressions(text: str, expected: str) -> None:
    assert shape(value(text)) == expected


def test_numbers_keep_their_type() -> None:
    numbers = [n.value for n in value("[3, 3.0, 1e3, 007]").items if isinstance(n, ast.Number)]  # type: ignore[union-attr]
    assert numbers == [3, 3.0, 1000.0, 7]
    assert [type(n) for n in numbers] == [int, float, float, int]


def test_settings_may_bear_reserved_words() -> None:
    call = value("mse(weight=0.25, input=1, none)")
    assert isinstance(call, ast.Call)
    assert [argument.name for argument in call.arguments] == ["weight", "input", ""]


def test_types() -> None:
    texts = "float", "int(10)", "int(10000)[T]", "box(20)[50]", "float[]"
    types = [definitions(f"input x: {text}")[0].type for text in texts]  # type: ignore[union-attr]
    assert [(t.name, len(t.arguments), t.dimensions and len(t.dimensions)) for t in types] == [
        ("float", 0, None), ("int", 1, None), ("int", 1, 1), ("box", 1, 1), ("float", 0, ()),
    ]  # fmt: skip


def test_definitions() -> None:
    text = (Path(__file__).parent / "specs" / "everything.dag").read_text(encoding="utf-8")
    kinds = [type(definition).__name__ for definition in definitions(text)]
    assert set(kinds) == {
        *("Use", "Param", "Input", "Target", "Weight", "Shared", "Define", "Assert", "Block", "Section"),
    }
    section = definitions(text)[-1]
    assert isinstance(section, ast.Section)
    assert (section.kind, section.name) == ("train", "first")
    assert [type(item).__name__ for item in section.items] == [*["Setting"] * 4, "Section", "Section"]


def test_a_block_of_one_expression_defines_out() -> None:
    (block,) = definitions("block f(c, k=3,) = in -> conv(c, k)")
    assert isinstance(block, ast.Block)
    assert not block.braces
    assert [(formal.name.name, formal.default is None) for formal in block.formals] == [("c", True), ("k", False)]
    assert isinstance(block.body[0], ast.Define)
    assert block.body[0].names[0].name == "out"


def test_a_shared_recipe_has_no_source() -> None:
    (shared,) = definitions("shared enc = dense(64) * 2 -> relu")
    assert isinstance(shared, ast.Shared)
    assert shared.recipe.source is None
    assert [stage.call.name for stage in shared.recipe.stages] == ["dense", "relu"]


# --- places ----------------------------------------------------------------------------------------------------------


def test_spans_are_exact() -> None:
    text = "a, b = (x + y) -> conv(64, stride=2) * (n - 1)\noutput z = in.channels"
    first, second = definitions(text)
    assert isinstance(first, ast.Define)
    assert isinstance(second, ast.Define)
    pipe = first.value
    assert isinstance(pipe, ast.Pipe)
    assert pipe.source is not None
    stage = pipe.stages[0]
    spans = [first, *first.names, pipe, pipe.source, stage, stage.call, *stage.call.arguments, stage.repeat]
    assert [node.span.text for node in spans if node] == [
        "a, b = (x + y) -> conv(64, stride=2) * (n - 1)", "a", "b", "(x + y) -> conv(64, stride=2) * (n - 1)",
        "(x + y)", "conv(64, stride=2) * (n - 1)", "conv(64, stride=2)", "64", "stride=2", "(n - 1)",
    ]  # fmt: skip
    assert stage.call.arguments[1].name_span is not None
    assert stage.call.arguments[1].name_span.text == "stride"
    assert isinstance(second.value, ast.Fact)
    assert (second.span.line, second.value.fact_span.column) == (2, 15)


# --- reading files ---------------------------------------------------------------------------------------------------


def test_a_byte_order_mark_is_no_text() -> None:
    assert decode(b"\xef\xbb\xbfparam a = 1", "t.dag").text == "param a = 1"


@pytest.mark.triggers("E0114")
@pytest.mark.parametrize(
    ("data", "place"), [(b"a = 1\nb = \xff", "2:5"), (b"\xef\xbb\xbf# \xc3\xa9\xc3", "1:4"), (b"a = 1\n\n \0", "3:2")]
)
def test_what_is_no_text_is_told_with_its_place(data: bytes, place: str) -> None:
    with pytest.raises(Failed) as failed:
        decode(data, "t.dag")
    (diagnostic,) = failed.value.diagnostics
    assert (diagnostic.code, str(diagnostic.span)) == ("E0114", f"t.dag:{place}")


@pytest.mark.triggers("E0114")
def test_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "no.dag", tmp_path, "a\0b"):
        with pytest.raises(Failed) as failed:
            read_source(path)
        assert failed.value.diagnostics[0].code == "E0114"


# --- size ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("y = x" + " -> relu" * 10_000, ast.Pipe),
        ("y = " + " + ".join(["a"] * 10_000), ast.Binary),
        ("y = [" + "a, " * 10_000 + "]", ast.ListOf),
        ("y = f(" + "a, " * 10_000 + ")", ast.Call),
    ],
    ids=["pipe", "sum", "list", "call"],
)
def test_length_is_free(text: str, kind: type) -> None:
    (define,) = definitions(text)
    assert isinstance(define, ast.Define)
    assert isinstance(define.value, kind)


def test_ten_thousand_definitions_are_read_in_time() -> None:
    text = "\n".join(f"y{i + 1} = y{i} -> conv(64, 3, pad=same) -> relu" for i in range(10_000))
    began = time.perf_counter()
    assert len(definitions(text)) == 10_000
    assert time.perf_counter() - began < 10  # a second where nothing else runs


@pytest.mark.parametrize("kind", ["(", "[", "if a then b else "])
def test_depth_is_bounded(kind: str) -> None:
    closed = {"(": ")", "[": "]"}.get(kind, "")
    assert not read("y = " + kind * 64 + "1" + closed * 64)[1]
    (mistake,) = read("y = " + kind * 65 + "1" + closed * 65)[1]
    assert (mistake.code, mistake.span and mistake.span.column) == ("E0113", 5 + 64 * len(kind))
    assert "64" in mistake.help


def test_size_is_bounded() -> None:
    (mistake,) = read("#" * 2_000_001)[1]
    assert (mistake.code, "2,000,000" in mistake.message) == ("E0113", True)
