"""Changes a query's parameters; what is not named stays as it was written.

A name counts in every place where an upstream may find it: before brackets (`tenant[]`), and behind a semicolon, which
some take for an ampersand. Else a caller could send what the gateway sets or removes beside it.
"""

from __future__ import annotations

from urllib.parse import quote, unquote_plus

from llmproxy_rewrite.edits import Edits
from llmproxy_rewrite.templates import Lookup, Template


def edit_query(query: str, edits: Edits, lookup: Lookup) -> str:
    """Return a query after removing, renaming, setting and adding, in this order."""
    pairs = _without([pair for pair in query.split("&") if pair], {*edits.remove})
    pairs = [
        (_written(edits.rename[name], pair) if (name := _name(pair)) in edits.rename else pair)
        for pair in pairs
    ]
    pairs = _without(pairs, {name for name, _ in edits.set})
    for name, template in edits.set:
        _append(pairs, name, template, lookup)
    for name, template in edits.add:
        _append(pairs, name, template, lookup)
    return "&".join(pairs)


def _without(pairs: list[str], gone: set[str]) -> list[str]:
    kept = [pair for pair in pairs if _name(pair) not in gone and _owner(pair) not in gone]
    return [
        pair.replace(";", "%3B") if any(_owner(piece) in gone for piece in pair.split(";")[1:]) else pair
        for pair in kept
    ]


def _owner(pair: str) -> str:
    return _name(pair).partition("[")[0]


def _name(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])


def _written(name: str, pair: str) -> str:
    _, equals, value = pair.partition("=")
    return quote(name, safe="") + equals + value


def _append(pairs: list[str], name: str, template: Template, lookup: Lookup) -> None:
    value = template.fill(lookup)
    if value is not None:
        pairs.append(f"{quote(name, safe='')}={quote(value, safe='', errors='surrogateescape')}")
