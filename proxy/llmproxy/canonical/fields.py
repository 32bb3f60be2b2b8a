"""Members of a request's objects, each with the type that it must have; null is the same as left out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from llmproxy.errors import BadField

if TYPE_CHECKING:
    from llmproxy.canonical import Losses


def wrong(path: str, what: str) -> BadField:
    """Return the error for a member of another type."""
    return BadField("invalid_type", f"'{path}' must be {what}.", path)


def text(where: dict[str, Any], key: str, at: str = "") -> str:
    """Return a string, empty where there is none."""
    value = where.get(key)
    if value is None:
        return ""
    if type(value) is not str:
        raise wrong(at + key, "a string")
    return value


def required_text(where: dict[str, Any], key: str, at: str = "") -> str:
    """Return a string that must be there."""
    value = where.get(key)
    if type(value) is not str or not value:
        raise wrong(at + key, "a string that is not empty")
    return value


def number(where: dict[str, Any], key: str) -> float | None:
    """Return a number, or None."""
    value = where.get(key)
    if value is None or type(value) is float or type(value) is int:
        return value
    raise wrong(key, "a number")


def count(where: dict[str, Any], key: str, at: str = "") -> int | None:
    """Return a whole number, or None; some clients write it with a fraction of zero."""
    value = where.get(key)
    if type(value) is float and value.is_integer():
        return int(value)
    if value is None or type(value) is int:
        return value
    raise wrong(at + key, "a whole number")


def flag(where: dict[str, Any], key: str, at: str = "") -> bool | None:
    """Return true or false, or None."""
    value = where.get(key)
    if value is None or type(value) is bool:
        return value
    raise wrong(at + key, "true or false")


def members(where: dict[str, Any], key: str, at: str = "") -> dict[str, Any] | None:
    """Return an object, or None."""
    value = where.get(key)
    if value is None or type(value) is dict:
        return value
    raise wrong(at + key, "an object")


def objects(where: dict[str, Any], key: str, at: str = "") -> list[dict[str, Any]]:
    """Return a list of objects, empty where there is none."""
    value = where.get(key)
    if value is None:
        return []
    if type(value) is not list or not all(type(item) is dict for item in value):
        raise wrong(at + key, "a list of objects")
    return value


def texts(where: dict[str, Any], key: str, at: str = "") -> tuple[str, ...]:
    """Return strings, of which one may stand alone."""
    value = where.get(key)
    if value is None:
        return ()
    if type(value) is str:
        return (value,)
    if type(value) is not list or not all(type(item) is str for item in value):
        raise wrong(at + key, "a string or a list of strings")
    return tuple(value)


def rest(where: dict[str, Any], known: frozenset[str], at: str, losses: Losses, why: str = "") -> None:
    """Report the members that nobody read, if they say anything."""
    unread: Iterable[str] = where.keys() - known
    for key in sorted(unread):
        if where[key] is not None:
            losses.add(f"{at}{key[:100]}", why or "the gateway does not know this field")
