"""Names for plugin classes that no package offers, so that a configuration can use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

from llmproxy.registry import Plugin

_known: WeakValueDictionary[str, type[Plugin[Any]]] = WeakValueDictionary()


def use(plugin: type[Plugin[Any]]) -> str:
    """Return what to write after `use:` for a class that a test defines; good while the class exists."""
    name = f"{plugin.__name__}_{id(plugin):x}"
    _known[name] = plugin
    return f"{__name__}:{name}"


def with_names(tree: Any) -> Any:
    """Return a configuration's tree with each plugin class in it replaced by a name."""
    if isinstance(tree, type):
        return use(tree)
    if isinstance(tree, Mapping):
        return {key: with_names(value) for key, value in tree.items()}
    return [with_names(each) for each in tree] if isinstance(tree, list | tuple) else tree


def __getattr__(name: str) -> type[Plugin[Any]]:
    try:
        return _known[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
