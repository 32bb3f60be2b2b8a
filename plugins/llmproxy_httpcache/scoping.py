"""Who shares an answer with whom, and what names the sharers in a key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from llmproxy.caches import Scope
    from llmproxy.plugin import Caller
    from llmproxy_httpcache.headers import Fields
    from llmproxy_httpcache.requests import Asked

#: The tenant that answers for everybody are kept under.
EVERYBODY: Final = "public"


class Scoping:
    """Who shares the answers of one route."""

    __slots__ = ("_header", "public", "scope")

    def __init__(self, scope: Scope = "tenant", header: str = "") -> None:
        self.scope = scope
        #: Whether tenants share.
        self.public = scope == "public"
        self._header = header.lower().encode()

    @property
    def narrow(self) -> bool:
        """Whether a tenant's callers are kept apart."""
        return self.scope not in {"tenant", "public"}

    def sharer(self, caller: Caller, asked: Asked, fields: Fields) -> tuple[bytes, ...]:
        """Return what names those of a tenant who share with this caller; empty if nobody can be named.

        Whose answers they are must be known before any is stored: one that is nobody's would be anybody's.
        """
        if self.scope == "key":
            return _named(caller.key)
        if self.scope == "team":
            return _named(next((value for name, value in caller.labels if name == "team"), ""))
        return self._end_user(asked, fields)

    def _end_user(self, asked: Asked, fields: Fields) -> tuple[bytes, ...]:
        """Return the end user that a header names, else the credentials that the origin sees."""
        if self._header:
            named = fields.get(self._header)
            return (b"header", named) if named else ()
        return tuple(part for pair in sorted(asked.credentials) for part in (pair[0].lower(), pair[1]))


def _named(name: str) -> tuple[bytes, ...]:
    return (name.encode(),) if name else ()
