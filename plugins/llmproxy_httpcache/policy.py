"""What a route's operator lets the cache do."""

from __future__ import annotations

from typing import Final

import msgspec

#: The targeted field that only this cache reads, and nobody else sees (RFC 9213).
OWN_TARGET: Final = b"llmproxy-cache-control"

#: Statuses that a route's own lifetime is for; any other needs the origin's word.
OWN_LIFETIME: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One route's switches. Durations are seconds; None leaves it to the origin."""

    #: The lifetime of answers for which the origin names none; with `override` of all that may be stored at all.
    ttl: int | None = None
    override: bool = False
    #: No answer is fresh for longer, whoever says so.
    max_ttl: int | None = None
    #: The share of its age at which an answer without a lifetime counts as fresh (RFC 9111 §4.2.2); 0 is off.
    heuristics: float = 0.0
    #: Whether an answer that sets a cookie is stored, cookie and all.
    set_cookie: bool = False
    #: Whether what RFC 9111 §3.5 lets be stored of answers to credentials is served to other callers.
    shares_credentials: bool = False
    #: Whether errors are stored that may be about the caller's fields alone, which are in no key.
    stores_refusals: bool = False
    #: Whether the cache is its one end user's own: then what is private, or an answer to credentials, may be stored.
    keeps_private: bool = False
    #: Whether Cache-Control of requests counts.
    obeys_callers: bool = False
    #: Fields that stay with the cache, in lower case; and those for which others are sent, where that may be.
    hides: frozenset[bytes] = frozenset({OWN_TARGET})
    replaces: frozenset[bytes] = frozenset()
    #: Whether answers get an entity tag where the origin gives none.
    makes_etags: bool = False
    #: Windows for stale answers where the origin names none (RFC 5861).
    stale_while_revalidate: int = 0
    stale_if_error: int = 0
    #: Whether a stale answer is served where the upstream cannot be reached, though nobody said so (§4.2.4).
    stale_when_disconnected: bool = False
    #: Whether Content-Language is chosen by the caller's preferences from what is stored.
    negotiates_language: bool = False
    #: Whether a part whose Content-Range contradicts what came is stored as what came.
    mends_parts: bool = False
    #: Whether a part without a validator is completed by asking for the rest first.
    completes_unvalidated: bool = False
