"""Store keys that no two tenants, routes or meanings can share."""

from __future__ import annotations

from typing import Final

# Raised whenever the encoding changes, so that entries of an older gateway are never read as something else.
_VERSION: Final = b"k1,"


def key(tenant: str, route: str, *parts: str | bytes) -> bytes:
    """Join `tenant`, `route` and `parts` into one key; different arguments never give the same bytes.

    ``key(tenant, route)`` alone is the prefix of exactly the keys of that tenant on that route, which is what
    a store's ``clear`` takes.

    Raises:
        ValueError: `tenant` or `route` is empty: an entry that belongs to nobody would be everybody's.
    """
    if not tenant or not route:
        raise ValueError("a store key needs a tenant and a route")
    return b"".join((_VERSION, _piece(tenant), _piece(route), *map(_piece, parts)))


def _piece(part: str | bytes) -> bytes:
    """Prefix the length; the sign after it keeps text and bytes apart."""
    if isinstance(part, bytes):
        return b"%d:%b" % (len(part), part)
    text = part.encode("utf-8", "surrogatepass")
    return b"%d=%b" % (len(text), text)
