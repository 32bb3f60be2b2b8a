import ast
import inspect
from pathlib import Path

import pytest

import llmproxy.plugin
from llmproxy.hooks import HOOKS

TREE = ast.parse(Path(llmproxy.plugin.__file__).read_text())
IMPORTED = {
    alias.asname or alias.name
    for statement in TREE.body
    if isinstance(statement, ast.ImportFrom) and statement.module != "__future__"
    for alias in statement.names
}
NAMES = llmproxy.plugin.__all__


def test_all_that_is_imported_is_exported_and_sorted():
    assert set(NAMES) == IMPORTED
    assert sorted(set(NAMES), key=_ruff_order) == NAMES


def _ruff_order(name):
    """Constants, then classes, then the rest, as the linter sorts them."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_name_says_what_it_is(name):
    thing = getattr(llmproxy.plugin, name)

    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert (thing.__doc__ or "").strip()


@pytest.mark.parametrize("name", NAMES)
def test_an_exported_class_explains_each_public_method(name):
    thing = getattr(llmproxy.plugin, name)
    silent = [
        each
        for each, member in (vars(thing) if inspect.isclass(thing) else {}).items()
        if not each.startswith("_") and inspect.isfunction(member) and not member.__doc__
    ]

    assert silent == []


def test_every_type_in_a_hooks_signature_can_be_imported_by_a_plugin():
    hooks = ast.parse(Path(inspect.getfile(llmproxy.hooks.Hooks)).read_text())
    (spec,) = [each for each in hooks.body if isinstance(each, ast.ClassDef) and each.name == "Hooks"]
    types = {
        node.id
        for function in spec.body
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for argument in [*[each.annotation for each in function.args.args[1:]], function.returns]
        for node in ast.walk(argument)
        if isinstance(node, ast.Name)
    }

    assert types - {"Any", "AbstractAsyncContextManager", "dict", "str", "None"} <= set(NAMES)


def test_the_plugin_class_has_no_hook_of_its_own():
    assert not HOOKS & set(dir(llmproxy.plugin.Plugin))
