"""Reads members of a request as proto JSON does: either spelling, null for nothing, numbers also as text.

Source: the JSON mapping of protocol buffers (protobuf.dev, ProtoJSON format).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from llmproxy.plugin import BadField

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

_INTEGER: Final = re.compile(r"-?\d{1,19}(?:\.0*)?")
_UNTRANSLATED: Final = "only Gemini has it"


@lru_cache(maxsize=1024)
def camel(key: str) -> str:
    """Return a key in camelCase."""
    first, *rest = key.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def members(value: object, where: str) -> dict[str, Any]:
    """Return an object's members that are set, by their names in camelCase."""
    if not isinstance(value, dict):
        raise bad(where, "an object")
    return {camel(key) if "_" in key else key: member for key, member in value.items() if member is not None}


def items(value: object, where: str) -> list[Any]:
    """Return a list; a single object stands for a list of one, as some SDKs send it."""
    if value is None:
        return []
    if isinstance(value, dict | str):
        return [value]
    if not isinstance(value, list):
        raise bad(where, "a list")
    return value


def text(value: object, where: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise bad(where, "a string")
    return value


def word(told: Mapping[str, Any], key: str, where: str) -> str:
    """Return a member that is a text, or an empty one."""
    value = told.get(key)
    return "" if value is None else text(value, f"{where}.{key}" if where else key)


def texts(value: object, where: str) -> tuple[str, ...]:
    """Return a list of texts."""
    return tuple(text(each, f"{where}[]") for each in items(value, where))


def integer(value: object, where: str) -> int:
    """Return a whole number."""
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value.partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        raise bad(where, "an integer")
    return value


def number(value: object, where: str) -> float:
    """Return a number."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise bad(where, "a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad(where, "a number")
    return value


def boolean(value: object, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        raise bad(where, "true or false")
    return value


def lose_rest(
    told: Iterable[str], known: frozenset[str], where: str, losses: Losses, why: str = _UNTRANSLATED
) -> None:
    """Report the members that nobody read."""
    for key in told:
        if key not in known:
            losses.add(f"{where}.{key}" if where else key, why)


def bad(where: str, wanted: str) -> BadField:
    """Return what is said of a member of the wrong kind."""
    return BadField("invalid_type", f"'{where}' must be {wanted}.", where)


def unreadable(why: str) -> ValueError:
    """Return what is raised of an answer that is not of this dialect."""
    return ValueError(why)
