"""`llmproxy providers`: who can be reached by naming them."""

from __future__ import annotations

import os

import orjson

from llmproxy.commands.tables import table
from llmproxy.providers.table import Provider
from llmproxy.providers.table import providers as known


def providers(*, as_json: bool) -> str:
    """List the providers: name, dialect, key variable, whether it is set, where their API is."""
    if as_json:
        return orjson.dumps([_described(row) for row in known()], option=orjson.OPT_INDENT_2).decode()
    rows = [(row.name, row.dialect, *_key(row), row.base_url or "(your own address)") for row in known()]
    return table(("provider", "dialect", "key variable", "set", "base URL"), rows)


def _described(row: Provider) -> dict[str, object]:
    variable = row.key_variable(os.environ)
    return {
        "name": row.name,
        "title": row.title,
        "other_names": row.names,
        "dialect": row.dialect,
        "base_url": row.base_url or None,
        "other_dialects": row.also,
        "key_variables": row.keys,
        "key_needed": row.key == "needed",
        "key_set": variable is not None,
        "served_without_a_file": row.by_key and row.is_complete(os.environ),
        "docs": row.docs,
    }


def _key(row: Provider) -> tuple[str, str]:
    """Return the variable that holds the key or should, and whether it does."""
    variable = row.key_variable(os.environ)
    if variable is not None:
        return variable, "yes"
    return row.keys[0], "no" if row.key == "needed" else "not needed"
