"""Lists of strings as Cohere takes them: one alone is none."""

from __future__ import annotations

from typing import Any

from llmproxy.canonical.fields import wrong


def texts(where: dict[str, Any], key: str) -> tuple[str, ...]:
    """Return a list of strings, empty where there is none."""
    value = where.get(key)
    if value is None:
        return ()
    if type(value) is not list or not all(type(item) is str for item in value):
        raise wrong(key, "a list of strings")
    return tuple(value)
