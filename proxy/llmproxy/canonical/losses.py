"""What a translation could not carry."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

#: Losses told of one request, and characters of a field's name; a hostile body shall not make a report without end.
MOST: Final = 64
LONGEST: Final = 160

# What ends a line, or a name in the header that lists them: callers choose their fields' names.
_ODD: Final = re.compile(r"[^!-+\--~\u00a1-\uffff]")


class Loss(msgspec.Struct, frozen=True, gc=False):
    """One thing that did not get through.

    `field` is the caller's own key path, list indexes left out (`messages[].content[].cache_control`); `why` is a
    sentence that says what became of it.
    """

    field: str
    why: str


class Losses:
    """Collects losses, each field once, in the order found.

    Decoders report under the caller's own paths. Encoders know the canonical names only (`top_k`, `tools.strict`,
    `image.detail`); `names` says what the caller calls them, which a decoder may set where its dialect has more than
    one kind of request.
    """

    __slots__ = ("_found", "names")

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._found: dict[str, Loss] = {}
        self.names = names or {}

    def add(self, field: str, why: str) -> None:
        """Report a field under the name that the caller gave it."""
        field = told_name(field)
        if field not in self._found and len(self._found) < MOST:
            self._found[field] = Loss(field, why)

    def lose(self, canonical: str, why: str = "the provider's dialect has no place for it") -> None:
        """Report a canonical field under the name that the caller knows it by."""
        self.add(self.names.get(canonical, canonical), why)

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, field: str) -> bool:
        return told_name(field) in self._found


def told_name(field: str) -> str:
    """Return a field's name as it can be told anywhere: of bounded length, in one line, without commas."""
    return _ODD.sub("?", field if len(field) <= LONGEST else f"{field[:LONGEST]}...")
