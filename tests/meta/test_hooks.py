"""Every hook is documented in one form, tested by name, and implemented somewhere in the tree."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache

import pytest

from llmproxy.hooks import Hooks

from .tree import PLUGINS, ROOT, parsed

HOOKS = sorted(
    name for name, thing in vars(Hooks).items() if inspect.isfunction(thing) and not name.startswith("_")
)
Function = ast.FunctionDef | ast.AsyncFunctionDef
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
    trees = [parsed(path) for path in (ROOT / "tests").rglob("test_*.py")]
    return frozenset(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, Function))


@cache
def implemented() -> frozenset[str]:
    """Names of functions marked `@hookimpl`, anywhere under plugins/ and tests/."""
    files = [*(path for plugin in PLUGINS for path in plugin.rglob("*.py")), *(ROOT / "tests").rglob("*.py")]
    return frozenset(
        node.name
        for path in files
        for node in ast.walk(parsed(path))
        if isinstance(node, Function) and any(_is_mark(each) for each in node.decorator_list)
    )


def _is_mark(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Name) and decorator.id == "hookimpl"
