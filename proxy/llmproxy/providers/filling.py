"""Upstreams that are written in a line: the rest comes from the table of providers.

    groq: {}                 an upstream that is named after its provider
    fast: groq               another name for it
    fast: {provider: groq, timeouts: {total: 5m}}

Whatever is written stays as it is. An address that is written out and stands in the table is that provider's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmproxy.errors import ConfigError
from llmproxy.keypaths import join_key
from llmproxy.references import Interpolation, quoted
from llmproxy.suggestions import nearest

#: Keeps a section readable whose provider is not known, so that its other mistakes are told too.
_NOWHERE = "http://unknown.invalid"

#: The dialects that providers' quirks are about.
_WITH_QUIRKS = frozenset({"openai", "openai-responses"})


def fill_upstreams(tree: object, interpolation: Interpolation, environ: Mapping[str, str]) -> object:
    """Return a configuration's tree with the providers' rows in its upstreams; mistakes go to `interpolation`.

    The tree's own references are replaced already; those of a row are replaced here.
    """
    upstreams = tree.get("upstreams") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(upstreams, dict):
        return tree
    filled = {name: _filled(name, each, interpolation, environ) for name, each in upstreams.items()}
    return {**tree, "upstreams": filled}


def _filled(name: str, tree: object, interpolation: Interpolation, environ: Mapping[str, str]) -> object:
    if isinstance(tree, str):
        section: dict[str, Any] = {"provider": tree}
    elif tree is None or (isinstance(tree, dict) and not tree.keys() & {"provider", "base_url"}):
        section = {"provider": name, **(tree or {})}
        if tree and not _is_known(name):
            return tree  # an ordinary upstream that lacks its base URL
    elif isinstance(tree, dict) and isinstance(tree.get("provider"), str):
        section = tree
    else:
        return _at_address(tree) if isinstance(tree, dict) else tree
    path = join_key("upstreams", name)
    return _of_provider(
        section, path if section is not tree else f"{path}.provider", path, interpolation, environ
    )


def _at_address(section: dict[str, Any]) -> dict[str, Any]:
    """Return an upstream whose address is written out, with the quirks of the provider that is there."""
    address, dialect = section.get("base_url"), section.get("dialect")
    if not isinstance(address, str) or address[:6] != "https:" or dialect not in _WITH_QUIRKS:
        return section
    from llmproxy.providers.table import find_address  # noqa: PLC0415  # likewise

    row, quirks = find_address(address), section.get("quirks", {})
    if row is None or not isinstance(quirks, dict):
        return section
    return {**section, "provider": row.name, "quirks": {**row.quirks, **quirks}}


def _hosted(address: str, hosts: Mapping[str, str]) -> str:
    """Return an address with its host by the name that it has."""
    scheme, _, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{hosts.get(host, host)}{slash}{path}"


def _is_known(name: str) -> bool:
    from llmproxy.providers.table import find_provider  # noqa: PLC0415  # a file without providers loads no table

    return find_provider(name) is not None


def _of_provider(
    section: dict[str, Any],
    named_at: str,
    path: str,
    interpolation: Interpolation,
    environ: Mapping[str, str],
) -> dict[str, Any]:
    from llmproxy.providers.table import by_name, find_provider  # noqa: PLC0415  # likewise

    row = find_provider(section["provider"])
    if row is None:
        message = f"unknown provider {quoted(section['provider'])} (llmproxy providers lists them)"
        if "://" in section["provider"]:
            message = (
                "a URL is no provider's name; write {base_url: URL}, with dialect: http for a plain HTTP API"
            )
        near = nearest(section["provider"].lower(), by_name())
        interpolation.errors.append(ConfigError(named_at, message, near))
        return {"base_url": _NOWHERE, **section}
    dialect = section.get("dialect", row.dialect)
    given: dict[str, object] = {"dialect": dialect}
    if (address := row.address(dialect)) is not None:
        given["base_url"] = address
    elif "base_url" not in section:
        why = f"dialect {quoted(dialect)} of {row.title}" if row.base_url else f"an account of {row.title}"
        interpolation.errors.append(ConfigError(f"{path}.base_url", f"missing; {why} has no known address"))
    variables = row.key_variables(environ)
    if "auth" in section or (row.auth and not variables and "api_key" not in section):
        given["auth"] = row.auth
    elif variables or row.key == "needed":
        keys = [f"${{env:{variable}}}" for variable in variables or row.keys[:1]]
        given["api_key"] = keys if len(keys) > 1 else keys[0]
    given = {key: value for key, value in given.items() if key not in section}
    quirks = section.get("quirks", {})
    if isinstance(quirks, dict) and row.dialect == "openai" and dialect in _WITH_QUIRKS:
        given["quirks"] = {**row.quirks, **quirks}
    added = interpolation.replace(given, path)
    assert isinstance(added, dict)
    if row.hosts and "base_url" in added:
        added["base_url"] = _hosted(str(added["base_url"]), row.hosts)
    return {**section, **added, "provider": row.name}
