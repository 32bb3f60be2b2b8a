"""`llmproxy plugins`, `hooks` and `schema`: what is installed and what it may do."""

from __future__ import annotations

import inspect
from typing import Any

import orjson

from llmproxy.commands.group import ExitCode, Refusal
from llmproxy.errors import ConfigError
from llmproxy.hooks import HOOKS, Hooks
from llmproxy.installed import available
from llmproxy.registry import Plugin, load
from llmproxy.schema import json_schema
from llmproxy.suggestions import nearest


def plugins(*, as_json: bool) -> str:
    """List the installed plugins: name, distribution, hooks, what they are for."""
    found = [_described(name) for name in sorted(available())]
    if as_json:
        return _json(found)
    lines = []
    for plugin in found:
        lines.append(f"{plugin['name']}  ({plugin['from']})  {plugin.get('error') or plugin['summary']}")
        if plugin.get("hooks"):
            lines.append(f"    {', '.join(plugin['hooks'])}")
    return "\n".join(lines) or "no plugin is installed"


def _described(name: str) -> dict[str, Any]:
    point = available()[name]
    dist = point.dist
    described: dict[str, Any] = {
        "name": name,
        "from": f"{dist.name} {dist.version}" if dist is not None else point.module,
    }
    try:
        kind = load(name, name)
    except ConfigError as fault:
        return described | {"error": fault.message}
    return described | {"class": point.value, "summary": _summary(kind), "hooks": implemented(kind)}


def implemented(kind: type[Plugin[Any]]) -> list[str]:
    """Return the hooks that a plugin class implements, in the order they are called."""
    return [hook for hook in vars(Hooks) if hook in HOOKS and hasattr(kind, hook)]


def hooks(name: str | None) -> str:
    """Print all hooks in the order they are called, or one hook's signature and contract."""
    known = {hook: member for hook, member in vars(Hooks).items() if hook in HOOKS}
    if name is None:
        width = max(map(len, known))
        return "\n".join(f"{hook:<{width}}  {_summary(member)}" for hook, member in known.items())
    if name not in known:
        near = nearest(name, known)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        raise Refusal(f"no hook is called {name!r}; {hint}", ExitCode.WRONG_USAGE)
    member = known[name]
    colour = "async def" if inspect.iscoroutinefunction(member) else "def"
    return f"{colour} {name}{inspect.signature(member)}\n\n{inspect.getdoc(member)}"


def schema() -> str:
    """Print the JSON Schema of the configuration with every installed plugin's section."""
    return _json(json_schema({name: load(name, f"plugins.{name}").Config for name in sorted(available())}))


def _summary(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
