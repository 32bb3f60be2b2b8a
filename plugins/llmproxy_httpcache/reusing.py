"""Whether a stored answer may be used for this request, now (RFC 9111 §4)."""

from __future__ import annotations

from math import log
from typing import Final, Literal, NamedTuple

from llmproxy_httpcache.directives import RequestControl
from llmproxy_httpcache.policy import Policy
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import ALWAYS_ASK, NEVER_STALE, PINNED, Terms

#: Times that it takes to make an answer, beyond which no chance makes it anew: e to the power of -40.
FAR: Final = 40

#: Statuses of the upstream that count as errors for stale-if-error (RFC 5861 §4).
ERRORS: Final = frozenset({500, 502, 503, 504})


class Fresh(NamedTuple):
    """Use it; `left` are the seconds for which it stays fresh."""

    age: int
    left: int


class Stale(NamedTuple):
    """Use it though it is stale; `left` is below zero. `revalidate` wants it validated behind the caller's back."""

    age: int
    left: int
    revalidate: bool


class Validate(NamedTuple):
    """Ask the origin first; `why` is RFC 9211's word for it."""

    age: int
    left: int
    why: Literal["stale", "request"]


class Refuse(NamedTuple):
    """The caller wants nothing that is not stored: 504."""


class Miss(NamedTuple):
    """There is nothing to use."""


Verdict = Fresh | Stale | Validate | Refuse | Miss

MISS: Final = Miss()
REFUSE: Final = Refuse()


def lookup(asked: Asked, terms: Terms | None, now: float, *, purged_softly: bool = False) -> Verdict:
    """Judge a stored answer, None if there is none, for a request at a moment (seconds since 1970)."""
    if terms is None:
        return REFUSE if asked.control.only_if_cached else MISS
    age = terms.age_at(now)
    left = terms.lifetime - age
    if purged_softly:
        left = min(left, 0.0)
    if left > 0 and not terms.flags & ALWAYS_ASK:
        return Fresh(int(age), int(left)) if asked.plain else _demanded(asked, terms, age, left)
    return _stale(asked, terms, age, left)


def _demanded(asked: Asked, terms: Terms, age: float, left: float) -> Verdict:
    """Judge a fresh answer by what the caller wants beyond that (RFC 9111 §5.2.1)."""
    control = asked.control
    if terms.flags & PINNED:
        return Fresh(int(age), int(left))
    too_near = control.min_fresh is not None and left < control.min_fresh
    if not too_near and _takes(control, age):
        return Fresh(int(age), int(left))
    return REFUSE if control.only_if_cached else Validate(int(age), int(left), "request")


def _stale(asked: Asked, terms: Terms, age: float, left: float) -> Verdict:
    """Judge a stale answer by what its origin and the caller allow."""
    control = asked.control
    if not terms.flags & (ALWAYS_ASK | NEVER_STALE) and control.min_fresh is None and _takes(control, age):
        if -left < terms.while_revalidate:
            return Stale(int(age), int(left), revalidate=True)
        if control.max_stale is not None and -left <= control.max_stale:
            return Stale(int(age), int(left), revalidate=False)
    return REFUSE if control.only_if_cached else Validate(int(age), min(int(left), 0), "stale")


def _takes(control: RequestControl, age: float) -> bool:
    """Whether the caller takes an answer of that age unasked."""
    return not control.no_cache and (control.max_age is None or age <= control.max_age)


def is_early(terms: Terms, now: float, beta: float, draw: float) -> bool:
    """Whether a fresh answer is made anew already: more likely the nearer its end is, and the longer that takes.

    `draw` is a chance between 0 and 1, without 0 (Vattani, Chierichetti, Lowenstein: XFetch).
    """
    return terms.lifetime - terms.age_at(now) <= -terms.seconds * beta * log(draw)


def serves_on_error(policy: Policy, asked: Asked, terms: Terms, now: float, status: int | None) -> bool:
    """Whether a stale answer may be served in place of the upstream's error; `status` None: no answer came at all."""
    if terms.flags & (ALWAYS_ASK | NEVER_STALE) or asked.control.no_cache:
        return False
    if status is not None and status not in ERRORS:
        return False
    window = max(terms.if_error, asked.control.stale_if_error or 0)
    late = terms.age_at(now) - terms.lifetime
    if late < window:
        return True
    return status is None and policy.stale_when_disconnected
