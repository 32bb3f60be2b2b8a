"""JSON as every reader reads it: no member twice, nothing too deep."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import orjson

#: How deep documents may be nested.
DEEPEST: Final = 128

_CONTAINERS: Final = (dict, list)
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class BadJson(ValueError):
    """A body that is not judged, as readers could disagree on it; the text says why."""


class TwoMembers(BadJson):
    """An object has two members of one name."""


def read_json(body: bytes) -> Any:
    """Read a whole JSON document.

    Raises:
        BadJson: it is none, nested too deeply, or holds a member twice: then who validates and who acts on it could
            see two documents.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadJson("is not valid JSON") from None
    if _members(value) != _STRING.sub(b"", body).count(b":"):
        raise TwoMembers("holds a member twice")
    return value


def _members(value: Any) -> int:
    """Count the members of all objects, level by level."""
    count, level = 0, _nested([value])
    for _ in range(DEEPEST + 1):
        if not level:
            return count
        below: list[Any] = []
        for each in level:
            if type(each) is dict:
                count += len(each)
                below += _nested(each.values())
            else:
                below += _nested(each)
        level = below
    raise BadJson(f"is nested deeper than {DEEPEST} levels")


def _nested(values: Iterable[Any]) -> list[Any]:
    return [each for each in values if type(each) in _CONTAINERS]
