"""Blocks that nothing uses: nothing flows through them, yet a misspelt layer in them is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from graphdsl.ir import Entry
from graphdsl.lang import ast
from graphdsl.lang.definitions import names_of
from graphdsl.lang.frame import Frame
from graphdsl.lang.names import Names
from graphdsl.lang.pipes import find_word
from graphdsl.lang.settings import match_entry
from graphdsl.lang.values import BlockWord
from graphdsl.report import Failed


def check_unused(names: Names, frame: Frame) -> None:
    """Tells what can be told about the blocks of a file that were never used: words after arrows and their settings."""
    for name, binding in names.local():
        if isinstance(binding.value, BlockWord) and name not in frame.session.blocks:
            _check(binding.value, frame)


def _check(word: BlockWord, frame: Frame) -> None:
    own = {n.name for local in word.definition.body for n in names_of(local)}
    home = replace(word.home, section=True)  # it may have been meant for a section, where losses may stand
    for call in [c for c in _stages(word.definition.body) if c.name not in own]:
        try:
            _look(call, home)
        except Failed as failed:
            frame.session.tell(failed, home)


def _look(call: ast.Call, home: Frame) -> None:
    found = find_word(call, home)
    if isinstance(found, Entry):
        match_entry(found, call, home)


def _stages(node: Any) -> Iterator[ast.Call]:
    """The layer part of every stage inside node, in the order of the text."""
    waiting = [node]
    while waiting:
        match waiting.pop():
            case ast.Pipe(source, stages):
                yield from (stage.call for stage in stages)
                waiting += [source, *(stage.repeat for stage in stages)]
            case tuple() as parts:
                waiting += reversed(parts)
            case ast.Define() as part:
                waiting.append(part.value)
            case ast.Shared() as part:
                waiting.append(part.recipe)
            case ast.ListOf() as part:
                waiting.append(part.items)
            case ast.Binary() as part:
                waiting += [part.right, part.left]
            case ast.Unary() as part:
                waiting.append(part.operand)
            case ast.Conditional() as part:
                waiting += [part.otherwise, part.then, part.condition]
            case ast.Fact() as part:
                waiting.append(part.value)
