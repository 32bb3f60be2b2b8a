"""Sizes a reader can hold; a line of code is one that is not blank, a comment or part of a docstring."""

from __future__ import annotations

import ast
import io
import statistics
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from .tree import MODULES, named, parsed

FUNCTION_MEDIAN = 7
FUNCTION_P90 = 28
FUNCTION_MOST = 60
CLASS_MOST = 150
MODULE_MOST = 400
COMMENT_SHARE_MOST = 0.10

NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def definitions(module: Path) -> Iterator[Definition]:
    return (node for node in ast.walk(parsed(module)) if isinstance(node, Definition))


def code_lines(module: Path, node: Definition) -> int:
    """Count the definition's lines that hold code, from `def` or `class` on."""
    assert node.end_lineno is not None
    return len(lines_with_code(module).intersection(range(node.lineno, node.end_lineno + 1)))


@cache
def lines_with_code(module: Path) -> frozenset[int]:
    held = {
        line
        for token in tokens(module)
        if token.type not in NOT_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }
    return frozenset(held - docstring_lines(module))


def docstring_lines(module: Path) -> set[int]:
    tree = parsed(module)
    documented = [
        node for node in (tree, *definitions(module)) if ast.get_docstring(node, clean=False) is not None
    ]
    return {
        line for node in documented for line in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }


def function_lengths() -> dict[str, int]:
    return {
        f"{named(module)}:{node.lineno} {node.name}": code_lines(module, node)
        for module in MODULES
        for node in definitions(module)
        if not isinstance(node, ast.ClassDef)
    }


def test_a_typical_function_is_short() -> None:
    lengths = list(function_lengths().values())

    assert statistics.median(lengths) <= FUNCTION_MEDIAN
    assert statistics.quantiles(lengths, n=10)[-1] <= FUNCTION_P90


def test_no_function_is_long() -> None:
    assert {name: lines for name, lines in function_lengths().items() if lines > FUNCTION_MOST} == {}


def test_no_class_is_long() -> None:
    long = {
        f"{named(module)}:{node.lineno} {node.name}": code_lines(module, node)
        for module in MODULES
        for node in definitions(module)
        if isinstance(node, ast.ClassDef) and code_lines(module, node) > CLASS_MOST
    }

    assert long == {}


def test_no_module_is_long() -> None:
    lengths = {named(module): len(module.read_text().splitlines()) for module in MODULES}

    assert {name: lines for name, lines in lengths.items() if lines > MODULE_MOST} == {}


def test_comments_are_few_enough_to_be_read() -> None:
    comments = sum(_comment_lines(module) for module in MODULES)
    lines = sum(len(module.read_text().splitlines()) for module in MODULES)

    assert comments / lines <= COMMENT_SHARE_MOST


def test_a_comment_is_neither_art_nor_a_promise() -> None:
    bad = {
        named(module): [
            text for text in _comments(module) if _is_art(text) or "TODO" in text or "FIXME" in text
        ]
        for module in MODULES
    }

    assert {name: texts for name, texts in bad.items() if texts} == {}


def _is_art(comment: str) -> bool:
    return any(run in comment for run in ("---", "===", "***", "###"))


def _comment_lines(module: Path) -> int:
    return sum(1 for _ in _comments(module))


def _comments(module: Path) -> Iterator[str]:
    return (token.string for token in tokens(module) if token.type == tokenize.COMMENT)


@cache
def tokens(module: Path) -> tuple[tokenize.TokenInfo, ...]:
    return tuple(tokenize.generate_tokens(io.StringIO(module.read_text()).readline))
