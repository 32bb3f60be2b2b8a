"""Every hook is documented in one form, tested by name, and implemented somewhere in the tree."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import pytest

from llmproxy.hooks import Hooks

from .tree import PLUGINS, ROOT, tree_of

HOOKS = sorted(
    name for name, thing in vars(Hooks).items() if inspect.isfunction(thing) and not name.startswith("_")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
TESTS = tuple((ROOT / "tests").rglob("*.py"))
FORM = re.compile(
    r"[A-Z][^\n]*\.\n\nCalled: .+?\nReturn: .+?\nOrder: .+?\nFailure: .+?\nSince: \d+\.\d+", re.DOTALL
)
AGREED = {
    "register",
    "contribute_config",
    "lifespan",
    "pre_route",
    "cache_lookup",
    "around_upstream",
    "transform_request",
    "attempt_done",
    "cache_store",
    "transform_response",
    "transform_stream",
    "post_response",
}


def test_the_hooks_are_the_agreed_twelve() -> None:
    assert set(HOOKS) == AGREED


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_documented_in_the_fixed_form(hook: str) -> None:
    text = inspect.getdoc(getattr(Hooks, hook)) or ""

    assert FORM.fullmatch(text), text


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_a_test_of_its_own(hook: str) -> None:
    tests = {name for name in functions_under_tests() if name == f"test_hook_{hook}"}

    assert tests


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_implemented_in_tree(hook: str) -> None:
    assert hook in implemented()


@cache
def functions_under_tests() -> frozenset[str]:
    return frozenset(name for path in TESTS for name, _ in functions(path))


@cache
def implemented() -> frozenset[str]:
    """Names of functions marked `@hookimpl`, anywhere under plugins/ and tests/."""
    files = [*(path for plugin in PLUGINS for path in plugin.rglob("*.py")), *TESTS]
    return frozenset(name for path in files for name, marked in functions(path) if marked)


@cache
def functions(path: Path) -> tuple[tuple[str, bool], ...]:
    """Return the names of a file's functions, and whether each is a hook's; one that speaks of no hook has none."""
    if "hook" not in path.read_text():
        return ()
    return tuple(
        (node.name, any(_is_mark(each) for each in node.decorator_list))
        for node in ast.walk(tree_of(path))
        if isinstance(node, Function)
    )


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "hookimpl"
