"""Changes a query's parameters; what is not named stays as it was written."""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.templates import Lookup, Template


def edit_query(query: str, edits: Edits, lookup: Lookup) -> str:
    """Return a query after removing, renaming, setting and adding, in this order."""
    gone = {*edits.remove}
    pairs = [
        (_written(edits.rename[name], pair) if name in edits.rename else pair)
        for pair in query.split("&")
        if pair and (name := _name(pair)) not in gone
    ]
    for name, template in edits.set:
        pairs = [pair for pair in pairs if _name(pair) != name]
        _append(pairs, name, template, lookup)
    for name, template in edits.add:
        _append(pairs, name, template, lookup)
    return "&".join(pairs)


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _written(name: str, pair: str) -> str:
    _, equals, value = pair.partition("=")
    return quote(name, safe="") + equals + value


def _append(pairs: list[str], name: str, template: Template, lookup: Lookup) -> None:
    value = template.fill(lookup)
    if value is not None:
        pairs.append(f"{quote(name, safe='')}={quote(value, safe='', errors='surrogateescape')}")
