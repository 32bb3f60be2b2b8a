"""The names that an origin gives its answers, to take them back by: tags, and groups (RFC 9875)."""

from __future__ import annotations

from typing import Final

from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.structured import BadStructure, Token, parse_list

#: Names that one answer may have, and bytes of each: RFC 9875 §2 wants 32 of 32 at least, Fastly's keys have 1024.
MOST: Final = 128
_LONGEST: Final = 1024

_BLANK: Final = (b"surrogate-key", b"xkey")
_COMMA: Final = (b"cache-tag", b"edge-cache-tag")


def tags_of(fields: Fields) -> tuple[str, ...]:
    """Return the tags of an answer, from `Surrogate-Key`, `xkey`, `Cache-Tag` and `Edge-Cache-Tag`."""
    found: dict[str, None] = {}
    for name in _BLANK:
        if (value := fields.get(name)) is not None:
            _add(found, value.replace(b",", b" ").split())
    for name in _COMMA:
        if (value := fields.get(name)) is not None:
            _add(found, [part.strip() for part in value.split(b",")])
    return tuple(found)


def _add(found: dict[str, None], parts: list[bytes]) -> None:
    for part in parts:
        if part and len(part) <= _LONGEST and len(found) < MOST:
            found[part.decode("latin-1")] = None


def groups_of(value: bytes | None) -> tuple[str, ...]:
    """Return the groups that `Cache-Groups` or `Cache-Group-Invalidation` names; none where it is no list of strings.

    A member of another type makes the whole field void, as a structured field that has the wrong type is.
    """
    if value is None:
        return ()
    try:
        members = parse_list(value)
    except BadStructure:
        return ()
    if any(not isinstance(member, str) or isinstance(member, Token) for member in members):
        return ()
    named = dict.fromkeys(str(member) for member in members if len(str(member)) <= _LONGEST)
    return tuple(named)[:MOST]
