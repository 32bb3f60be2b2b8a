"""Groups of answers that are invalidated together (RFC 9875)."""

from __future__ import annotations

from typing import Final

from llmproxy_httpcache.structured import BadStructure, Token, parse_list

#: Groups that one field may name, and characters of each: RFC 9875 §2 wants 32 of 32 at least.
MOST: Final = 128
LONGEST: Final = 256


def groups_of(value: bytes | None) -> tuple[str, ...]:
    """Return the groups that `Cache-Groups` or `Cache-Group-Invalidation` names; none where it is no list of strings.

    A member of another type makes the whole field void, as it does of any structured field.
    """
    if value is None:
        return ()
    try:
        members = parse_list(value)
    except BadStructure:
        return ()
    if any(not isinstance(member, str) or isinstance(member, Token) for member in members):
        return ()
    named = dict.fromkeys(str(member) for member in members if len(str(member)) <= LONGEST)
    return tuple(named)[:MOST]
