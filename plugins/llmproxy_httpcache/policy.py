"""What a route's operator lets the cache do; where the two profiles differ."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: The conformant profile, and the one that is safe to put before any API.
Profile = Literal["rfc9111", "api"]

#: Statuses that a route's own lifetime is for; any other needs the origin's word.
OWN_LIFETIME: Final = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One route's switches. Durations are seconds; None leaves it to the origin."""

    #: The lifetime of answers for which the origin names none; with `override` of all that may be stored at all.
    ttl: int | None = None
    override: bool = False
    #: The share of its age at which an answer without a lifetime counts as fresh (RFC 9111 §4.2.2); 0 is off.
    heuristics: float = 0.0
    #: Whether an answer that sets a cookie is stored, cookie and all.
    set_cookie: bool = False
    #: Whether what RFC 9111 §3.5 lets be stored of answers to credentials is served to other callers.
    shares_credentials: bool = False
    #: Whether Cache-Control of requests counts.
    obeys_callers: bool = False
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


_PROFILES: Final[dict[Profile, Policy]] = {
    "rfc9111": Policy(
        heuristics=0.1,
        set_cookie=True,
        shares_credentials=True,
        obeys_callers=True,
        stale_when_disconnected=True,
        negotiates_language=True,
        mends_parts=True,
        completes_unvalidated=True,
    ),
    "api": Policy(),
}


def policy_of(profile: Profile) -> Policy:
    """Return the switches of a profile."""
    return _PROFILES[profile]
