"""What commands that plugins bring need of the gateway: their own part of a configuration file."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, TypeVar

from llmproxy.registry import Plugin, available, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

P = TypeVar("P", bound=Plugin[Any])


def configured_plugins(path: Path, kind: type[P]) -> dict[str, P]:
    """Return a configuration file's instances of a plugin by name, checked; nothing of them is started.

    Nothing else of the file is looked at: secrets that it refers to elsewhere need not be there.

    Raises:
        StartError: the file cannot be read.
        ConfigErrors: what is wrong in it.
    """
    # Whoever imports llmproxy.plugin would pay for them.
    from llmproxy.commands.inputs import Configuration  # noqa: PLC0415
    from llmproxy.decode import decode_struct  # noqa: PLC0415

    points = available()
    found: dict[str, P] = {}
    part = Configuration(path).part("plugins", lambda name, tree: _may_be(kind, _use(name, tree), points))
    for name, config in part.plugins.items():
        where = f"plugins.{name}"
        plugin = load(config.use, f"{where}.use", points)
        if issubclass(plugin, kind):
            found[name] = plugin(name, decode_struct(plugin.Config, config.config, where))
    return found


def _use(name: str, tree: object) -> str:
    """Return which plugin a name of the configuration is an instance of."""
    return str(tree.get("use", name)) if isinstance(tree, dict) else name


def _may_be(kind: type[Plugin[Any]], use: str, points: Mapping[str, EntryPoint]) -> bool:
    """Spare the import of plugins from other packages."""
    if ":" in use:
        return True
    return use in points and points[use].module.partition(".")[0] == kind.__module__.partition(".")[0]
