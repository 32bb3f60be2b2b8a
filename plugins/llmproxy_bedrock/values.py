"""Reads values of a caller's JSON that must be of one type; anything else is told of by its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

import orjson

from llmproxy.plugin import BadField

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

UNKNOWN: Final = "other providers know nothing of it, so it is left out"


def refuse(where: str, what: str) -> NoReturn:
    """Raise the error for a value that is not as it must be."""
    raise BadField("invalid_type", f"The value at '{where}' {what}.", where)


def a_text(value: Any, where: str) -> str:
    """Return a string."""
    if not isinstance(value, str):
        refuse(where, "must be a string")
    return value


def a_text_or_nothing(value: Any, where: str) -> str:
    """Return a string, "" where none is given."""
    return "" if value is None else a_text(value, where)


def a_list(value: Any, where: str) -> list[Any]:
    """Return a list."""
    if not isinstance(value, list):
        refuse(where, "must be a list")
    return value


def an_object(value: Any, where: str) -> dict[str, Any]:
    """Return an object."""
    if not isinstance(value, dict):
        refuse(where, "must be an object")
    return value


def a_count(value: Any, where: str) -> int:
    """Return an integer; a number without a fraction is one."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if type(value) is not int:
        refuse(where, "must be an integer")
    return value


def a_number(value: Any, where: str) -> float:
    """Return a number."""
    if type(value) is not int and type(value) is not float:
        refuse(where, "must be a number")
    return value


def a_truth(value: Any, where: str) -> bool:
    """Return true or false."""
    if not isinstance(value, bool):
        refuse(where, "must be true or false")
    return value


def a_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadField("invalid_json", f"The request's body is not valid JSON: {fault}.") from None
    if not isinstance(value, dict):
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    return value


def the_one(value: dict[str, Any], where: str) -> tuple[str, Any]:
    """Return the member of a union: the one that is set."""
    told = [(key, each) for key, each in value.items() if each is not None]
    if len(told) != 1:
        refuse(where, "must hold exactly one member")
    return told[0]


def tell_rest(
    value: Mapping[str, Any], known: Collection[str], where: str, losses: Losses | None, why: str = UNKNOWN
) -> None:
    """Report every member that nobody has read; a null says nothing."""
    if losses is not None:
        for key, told in value.items():
            if key not in known and told is not None:
                losses.add(f"{where}.{key}" if where else key, why)
