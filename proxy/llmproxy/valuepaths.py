"""Where values stand in JSON, and references to them: `user/name`, `orders/items/*/id`, `query/limit|10`.

The first word names the source, what follows is a path in it (RFC 6901, without the first slash); a `*` stands for every
item of a list. What stands after a bar is taken where there is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

_REFERENCE: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_-]*)((?:/[^|{}]*)?)(?:\|([^{}]*))?")

#: Every item of a list.
EACH: Final = "*"


class Missing(LookupError):
    """There is nothing where a reference leads; `source` is where it was looked for."""

    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.source = source


class Omitted(Missing):
    """There is nothing, and what is made of it is to be left out."""


class Reference(NamedTuple):
    """Where a value is found."""

    source: str
    path: tuple[str, ...]
    fallback: str | None = None

    def look_up(self, values: Mapping[str, Any]) -> Any:
        """Return the value.

        Raises:
            Missing: there is none.
        """
        if self.source not in values:
            raise Missing(self.source)
        found = values[self.source]
        if isinstance(found, Missing):
            raise found
        try:
            return descend(found, self.path)
        except LookupError:
            raise Missing(self.source) from None

    def find(self, values: Mapping[str, Any]) -> Any:
        """Return the value, or the fallback.

        Raises:
            Missing: neither is there.
        """
        try:
            return self.look_up(values)
        except Missing:
            if self.fallback is None:
                raise
            return self.fallback

    def spell(self, value: Any) -> str:
        """Write a value that was found as text; items of a list have commas between them.

        Raises:
            Missing: it is an object, or a list of such.
        """
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return ",".join(self._scalar(item) for item in value)
        return self._scalar(value)

    def _scalar(self, value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        raise Missing(self.source)


def read_reference(text: str) -> Reference:
    """Read what stands between two braces.

    Raises:
        ValueError: it is no reference.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no reference; write a source and a path in it, as in 'params/id'")
    return Reference(match[1], read_path(match[2]), match[3])


def read_path(text: str) -> tuple[str, ...]:
    """Read a path in a value: a JSON pointer (RFC 6901), in which `*` is every item of a list.

    Raises:
        ValueError: it does not begin with a slash, or an escape is none.
    """
    if not text:
        return ()
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise ValueError(f"{text!r} is no path; write it as in '/items/*/id'")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def descend(value: Any, path: Sequence[str]) -> Any:
    """Return what a value holds at a path.

    Raises:
        LookupError: nothing.
    """
    for place, part in enumerate(path):
        if isinstance(value, Mapping):
            value = value[part]
        elif isinstance(value, list):
            if part == EACH:
                return _each(value, path[place + 1 :])
            value = value[_index(part)]
        else:
            raise LookupError(part)  # noqa: TRY004  # there is nothing, whatever it is
    return value


def _index(part: str) -> int:
    if not part.isascii() or not part.isdigit() or len(part) > 9 or (part != "0" and part[0] == "0"):
        raise LookupError(part)
    return int(part)


def _each(items: list[Any], rest: Sequence[str]) -> list[Any]:
    found = []
    for item in items:
        try:
            found.append(descend(item, rest))
        except LookupError:
            continue  # an item without it adds nothing
    return found
