"""Members of a request's objects, each with the type that it must have; null is the same as left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llmproxy.plugin import BadField

if TYPE_CHECKING:
    from llmproxy.canonical import Losses


def wrong(path: str, what: str) -> BadField:
    """Return the error for a member of another type."""
    return BadField("invalid_type", f"'{path}' must be {what}.", path)


def text(told: Mapping[str, Any], key: str, at: str = "") -> str:
    """Return a text, empty where there is none."""
    value = told.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    raise wrong(at + key, "a string")


def number(told: Mapping[str, Any], key: str, at: str = "") -> float | None:
    """Return a number, or None."""
    value = told.get(key)
    if value is None or type(value) in (int, float):
        return value
    raise wrong(at + key, "a number")


def count(told: Mapping[str, Any], key: str, at: str = "") -> int | None:
    """Return a whole number, or None; it may be written with a fraction of zero."""
    value = told.get(key)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or type(value) is int:
        return value
    raise wrong(at + key, "a whole number")


def flag(told: Mapping[str, Any], key: str, at: str = "") -> bool | None:
    """Return true or false, or None."""
    value = told.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise wrong(at + key, "true or false")


def members(told: Mapping[str, Any], key: str, at: str = "") -> dict[str, Any]:
    """Return an object, empty where there is none."""
    value = told.get(key)
    if value is None or isinstance(value, dict):
        return value or {}
    raise wrong(at + key, "an object")


def objects(told: Mapping[str, Any], key: str, at: str = "") -> list[dict[str, Any]]:
    """Return a list of objects, empty where there is none."""
    value = told.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(at + key, "a list of objects")
    return value


def texts(told: Mapping[str, Any], key: str, at: str = "") -> tuple[str, ...]:
    """Return texts, of which one may stand alone."""
    value = told.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise wrong(at + key, "a string or a list of strings")
    return tuple(value)


def lose_rest(
    told: Mapping[str, Any], known: frozenset[str], at: str, losses: Losses, why: str = "only Ollama has it"
) -> None:
    """Report the members that nobody read, if they say anything."""
    unread: Iterable[str] = told.keys() - known
    for key in sorted(unread):
        if told[key] is not None:
            losses.add(f"{at}{key[:100]}", why)
