"""Programs: what becomes of views, constants, results and new values of weights."""

from __future__ import annotations

import pytest

from graphdsl.ir import Program, Storage, parse_graph
from graphdsl.passes import lower
from graphdsl.report import Failed

W = '%{0} = weight(made=type("float32[3]"), init=Zeros()) : float32[3]\n'


def program(text: str, **binding: int) -> Program:
    return lower(parse_graph(text), {"batch": 2, **binding})


def told(made: Program) -> list[str]:
    """Every call as `title(inputs) -> output`, buffers by what they are."""

    def place(index: int) -> str:
        buffer = made.buffers[index]
        return f"@{buffer.offset}" if buffer.storage is Storage.ARENA else buffer.key

    return [
        f"{getattr(c.op, 'title', c.op.name)}({', '.join(map(place, c.inputs))}) -> {', '.join(map(place, c.outputs))}"
        for c in made.calls
    ]


def formula(name: str, text: str, operands: str) -> str:
    arity = operands.count("%")
    return f'%{name} = elementwise(tree=formula("{text}"), arity={arity}, title="{name}") {operands} : float32[3]\n'


def test_a_new_value_is_written_straight_into_its_weight() -> None:
    made = program(W.format("w") + formula("step", "multiply(0.5, x0)", "%w") + "update w = %step\n")
    assert told(made) == ["step(w) -> w"]
    assert made.arena_bytes == 0


def test_who_reads_the_old_value_comes_first() -> None:
    text = W.format("w") + formula("step", "multiply(0.5, x0)", "%w") + formula("read", "exp(x0)", "%w")
    made = program(text + "output y = %read\nupdate w = %step\n")
    assert told(made) == ["read(w) -> @0", "step(w) -> w"]


def test_a_new_value_that_meets_the_old_one_is_copied_last() -> None:
    text = (
        W.format("w") + formula("step", "multiply(0.5, x0)", "%w") + formula("change", "subtract(x0, x1)", "%w, %step")
    )
    made = program(text + "output y = %change\nupdate w = %step\n")
    assert told(made) == ["step(w) -> @0", "change(w, @0) -> @64", "copy(@0) -> w"]


def test_two_weights_change_places() -> None:
    made = program(W.format("a") + W.format("b") + "update a = %b\nupdate b = %a\n")
    assert told(made) == ["copy(a) -> @0", "copy(b) -> a", "copy(@0) -> b"]


def test_the_result_is_the_old_value_of_a_weight_that_changes() -> None:
    made = program(W.format("w") + formula("step", "exp(x0)", "%w") + "output old = %w\nupdate w = %step\n")
    assert told(made) == ["copy(w) -> @0", "step(w) -> w"]


def test_a_weight_that_does_not_change_is_its_own_result() -> None:
    made = program(W.format("w") + "output w = %w\n")
    assert not made.calls
    assert made.buffers[made.results["w"]].storage is Storage.WEIGHT


def test_an_update_that_changes_nothing_is_no_call() -> None:
    assert not program(W.format("w") + "update w = %w\n").calls


def test_an_input_goes_into_a_weight() -> None:
    text = W.format("w") + '%x = input(made=type("float32[3]")) : float32[3]\nupdate w = %x\n'
    assert told(program(text)) == ["copy(x) -> w"]


def test_a_view_is_no_call() -> None:
    text = '%x = input(made=type("float32[batch, 3]")) : float32[batch, 3]\n'
    text += '%flat = reshape(shape=(dim("3 * batch"),)) %x : float32[3 * batch]\noutput y = %flat\n'
    made = program(text)
    assert not made.calls
    assert made.buffers[made.results["y"]].shape == (6,)
    assert made.buffers[made.results["y"]].storage is Storage.INPUT


def test_a_formula_is_written_over_the_operand_that_dies() -> None:
    text = '%x = input(made=type("float32[3]")) : float32[3]\n'
    text += formula("a", "exp(x0)", "%x") + formula("b", "sqrt(x0)", "%a") + "output y = %b\n"
    assert told(program(text)) == ["a(x) -> @0", "b(@0) -> @0"]


def test_not_over_an_operand_that_is_also_seen_in_another_shape() -> None:
    text = '%x = input(made=type("float32[1, 3]")) : float32[1, 3]\n'
    text += '%a = elementwise(tree=formula("exp(x0)"), arity=1, title="a") %x : float32[1, 3]\n'
    text += "%turned = reshape(shape=(3, 1)) %a : float32[3, 1]\n"
    text += '%b = elementwise(tree=formula("add(x0, x1)"), arity=2, title="b") %a, %turned : float32[3, 3]\n'
    assert told(program(text + "output y = %b\n"))[1] == "b(@0, @0) -> @64"


def test_so_is_one_ahead_of_a_product_unless_that_reads_the_operand_too() -> None:
    x = '%x = input(made=type("float32[3, 3]")) : float32[3, 3]\n'
    a = '%a = elementwise(tree=formula("exp(x0)"), arity=1, title="a") %x : float32[3, 3]\n'
    root = 'elementwise(tree=formula("sqrt(x0)"), arity=1, title="root")'
    b = f"%b = ahead(formula={root}, consumer=matmul(), place=0) %a, %{{}} : float32[3, 3], float32[3, 3]\n"
    ends = "output y = %b\noutput z = %b#1\n"
    assert told(program(x + a + b.format("x") + ends))[1] == "root+matmul(@0, x) -> @0, @64"
    assert told(program(x + a + b.format("a") + ends))[1] == "root+matmul(@0, @0) -> @64, @128"


def test_sizes_as_numbers_are_constants() -> None:
    text = '%n = dim_number(size=dim("batch")) : float32[]\n'
    text += '%half = elementwise(tree=formula("multiply(0.5, x0)"), arity=1, title="half") %n : float32[]\n'
    made = program(text + "output y = %half\n")
    assert not made.calls
    assert made.constants["half"] == 1.0


@pytest.mark.triggers("E0408")
def test_a_sequence_that_is_too_short() -> None:
    text = '%x = input(made=type("float32[T]")) : float32[T]\n'
    text += '%y = slice(start=(0,), size=(dim("T - 4"),)) %x : float32[T - 4]\noutput y = %y\n'
    assert program(text, T=5)
    for steps in (3, 4):
        with pytest.raises(Failed, match=rf"E0408.*`y` would be \[{steps - 4}\] where T = {steps}"):
            program(text, T=steps)


def test_what_is_made_of_weights_alone_comes_first_and_is_kept() -> None:
    text = '%x = input(made=type("float32[3]")) : float32[3]\n' + W.format("w") + W.format("v")
    text += formula("use", "add(x0, x1)", "%x, %w") + formula("square", "multiply(x0, x0)", "%w")
    text += formula("root", "sqrt(x0)", "%square") + formula("scaled", "multiply(x0, x1)", "%use, %root")
    made = program(text + "output y = %scaled\n")
    assert told(made) == ["square(w) -> square", "root(square) -> root", "use(x, w) -> @0", "scaled(@0, root) -> @0"]
    assert (made.once, made.kept_bytes) == (2, 128)


def test_a_weight_that_changes_is_nothing_to_keep() -> None:
    text = W.format("w") + formula("square", "multiply(x0, x0)", "%w") + formula("step", "exp(x0)", "%square")
    assert program(text + "update w = %step\noutput y = %square\n").once == 0
