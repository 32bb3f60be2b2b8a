"""What commands that plugins bring need of the gateway: their part of a file, and what a running one tells."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, TypeVar

from llmproxy.installed import available
from llmproxy.registry import Plugin, load

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


def ask_gateway(path: Path | None, admin: str | None, token_env: str | None, target: str) -> dict[str, Any]:
    """Return what a running gateway's admin listener tells at a path; the listener is found as `llmproxy cache` does.

    Raises:
        click.ClickException: nothing names one, none answers, or it tells nothing there; and why.
    """
    # Whoever imports llmproxy.plugin would pay for them.
    from llmproxy.commands.asking import ask  # noqa: PLC0415
    from llmproxy.commands.cache import gateway  # noqa: PLC0415
    from llmproxy.commands.group import ExitCode, Refusal  # noqa: PLC0415

    where = gateway(path, admin, token_env)
    answer = ask(where, "GET", target)
    if answer.status != 200:
        known = "code" in answer.told
        code = ExitCode.CONFIGURATION_OR_ADDRESS_REFUSED if known else ExitCode.GATEWAY_NOT_REACHED
        raise Refusal(f"{where.address}: {answer.reason}", code)
    return answer.told


def _use(name: str, tree: object) -> str:
    """Return which plugin a name of the configuration is an instance of."""
    return str(tree.get("use", name)) if isinstance(tree, dict) else name


def _may_be(kind: type[Plugin[Any]], use: str, points: Mapping[str, EntryPoint]) -> bool:
    """Spare the import of plugins from other packages."""
    if ":" in use:
        return True
    return use in points and points[use].module.partition(".")[0] == kind.__module__.partition(".")[0]
