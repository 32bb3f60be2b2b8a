"""Reads members of a caller's JSON: what is of the wrong type is told by its path, what is not read by its name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import BadField
from llmproxy_openai.responses.ids import place_of

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_NOTHING: Final[tuple[Any, ...]] = (None, "", [])

NO_PLACE: Final = "no provider of another dialect knows it"


def wrong(path: str, what: str) -> BadField:
    """Return the error of a member that is not what it must be."""
    return BadField("invalid_type", f"'{path}' must be {what}.", path)


def text(value: Any, path: str) -> str:
    """Return a text; null and what is left out are empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong(path, "a string")
    return value


def needed(value: Any, path: str) -> str:
    """Return a text that must be there."""
    if not isinstance(value, str) or not value:
        raise wrong(path, "a string that is not empty")
    return value


def table(value: Any, path: str) -> dict[str, Any]:
    """Return an object; null and what is left out are empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise wrong(path, "an object")
    return value


def array(value: Any, path: str) -> list[Any]:
    """Return a list; null and what is left out are empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(path, "a list")
    return value


def whole(value: Any, path: str) -> int | None:
    """Return an integer, or None where none is given."""
    if value is None:
        return None
    if type(value) is float and value.is_integer() and abs(value) < 1e15:
        return int(value)
    if type(value) is not int:
        raise wrong(path, "an integer")
    return value


def number(value: Any, path: str) -> float | None:
    """Return a number as it was written, or None where none is given."""
    if value is None:
        return None
    if type(value) is not int and type(value) is not float:
        raise wrong(path, "a number")
    return value


def flag(value: Any, path: str) -> bool | None:
    """Return true or false, or None where nothing is said."""
    if value is not None and not isinstance(value, bool):
        raise wrong(path, "true or false")
    return value


def unread(
    told: dict[str, Any], known: Iterable[str], path: str, losses: Losses, why: str = NO_PLACE
) -> None:
    """Report the members of an object that nothing was made of; what says nothing needs no report."""
    for key, value in told.items():
        if key not in known and value is not False and value not in _NOTHING:
            losses.add(f"{path}.{key}" if path else key, why)


def unread_answer_marks(item: dict[str, Any], path: str, losses: Losses) -> None:
    """Report an item's name and state, if they say more than that it stands in an answer of this gateway."""
    name, status = item.get("id"), item.get("status")
    if name and not (isinstance(name, str) and place_of(name)):
        losses.add(f"{path}.id", "items are told by their place; the provider has no such name")
    if status and status != "completed":
        losses.add(f"{path}.status", NO_PLACE)
