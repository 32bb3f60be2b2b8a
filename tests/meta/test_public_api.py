"""What a plugin author may import is documented: each class, function and public method."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

import pytest

import llmproxy.caches
import llmproxy.canonical
import llmproxy.plugin
import llmproxy.testing

from .tree import ROOT

MODULES = [llmproxy.caches, llmproxy.canonical, llmproxy.plugin, llmproxy.testing]
NAMES = sorted({(module.__name__, name) for module in MODULES for name in module.__all__})


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_an_exported_name_is_documented(module: str, name: str) -> None:
    thing = getattr(importlib.import_module(module), name)

    assert list(undocumented(name, thing)) == []


def undocumented(name: str, thing: object) -> Iterator[str]:
    """Yield the class or function and its public methods that say nothing; aliases and values need not."""
    if not (inspect.isclass(thing) or inspect.isfunction(thing)) or not _is_ours(thing):
        return
    if not thing.__doc__:
        yield name
    if inspect.isclass(thing):
        yield from (f"{name}.{each}" for each, method in vars(thing).items() if _is_silent(each, method))


def _is_ours(thing: type | object) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("llmproxy")


def _is_silent(name: str, method: object) -> bool:
    method = getattr(method, "__func__", getattr(method, "fget", method))
    return inspect.isfunction(method) and not name.startswith("_") and not method.__doc__


def test_a_plugin_gets_everything_from_one_module() -> None:
    reexported = (ROOT / "proxy" / "llmproxy" / "plugin.py").read_text()

    assert "import *" not in reexported
    assert len(llmproxy.plugin.__all__) == len(set(llmproxy.plugin.__all__))
