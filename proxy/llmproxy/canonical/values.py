"""Reads values of a caller's JSON that must be of one type; anything else is told of by its place, in given words."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

import orjson

from llmproxy.errors import BadField

if TYPE_CHECKING:
    from llmproxy.canonical import Losses

#: What a value must be.
Kind = Literal["string", "list", "object", "integer", "number", "boolean"]

UNKNOWN: Final = "other providers know nothing of it, so it is left out"


class Values:
    """Readers of one dialect; `say` words what is wrong, given the place and what must stand there."""

    def __init__(self, say: Callable[[str, Kind], str]) -> None:
        self._say = say

    def text(self, value: Any, where: str) -> str:
        """Return a string."""
        return value if isinstance(value, str) else self._refuse(where, "string")

    def text_or_nothing(self, value: Any, where: str) -> str:
        """Return a string, "" where none is given."""
        return "" if value is None else self.text(value, where)

    def items(self, value: Any, where: str) -> list[Any]:
        """Return a list."""
        return value if isinstance(value, list) else self._refuse(where, "list")

    def members(self, value: Any, where: str) -> dict[str, Any]:
        """Return an object."""
        return value if isinstance(value, dict) else self._refuse(where, "object")

    def count(self, value: Any, where: str) -> int:
        """Return an integer; a number without a fraction is one."""
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value if type(value) is int else self._refuse(where, "integer")

    def number(self, value: Any, where: str) -> float:
        """Return a number."""
        return value if type(value) is int or type(value) is float else self._refuse(where, "number")

    def truth(self, value: Any, where: str) -> bool:
        """Return true or false."""
        return value if isinstance(value, bool) else self._refuse(where, "boolean")

    def _refuse(self, where: str, kind: Kind) -> NoReturn:
        raise BadField("invalid_type", self._say(where, kind), where)


def body_members(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as fault:
        raise BadField("invalid_json", f"The request's body is not valid JSON: {fault}.") from None
    if not isinstance(value, dict):
        raise BadField("invalid_json", "The request's body must be a JSON object.")
    return value


def tell_rest(
    value: Mapping[str, Any], known: Collection[str], where: str, losses: Losses | None, why: str = UNKNOWN
) -> None:
    """Report every member that nobody has read; a null says nothing."""
    if losses is not None:
        for key, told in value.items():
            if key not in known and told is not None:
                losses.add(f"{where}.{key}" if where else key, why)
