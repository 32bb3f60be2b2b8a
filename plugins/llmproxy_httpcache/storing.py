"""What may be stored, by whom it may be shared, and on which terms (RFC 9111 §3)."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from llmproxy_httpcache.dates import format_date, parse_date
from llmproxy_httpcache.directives import FOREVER, ResponseControl, response_control, targeted_control
from llmproxy_httpcache.emitting import AS_IS, limits_of
from llmproxy_httpcache.freshness import (
    HEURISTIC,
    date_of,
    explicit_lifetime,
    guessed_lifetime,
    initial_age,
    own_lifetime,
)
from llmproxy_httpcache.headers import Fields, RawHeader, storable
from llmproxy_httpcache.policy import OWN_LIFETIME, OWN_TARGET, Policy
from llmproxy_httpcache.ranges import Place, mended, place_of, wanted
from llmproxy_httpcache.requests import Asked
from llmproxy_httpcache.terms import (
    ALWAYS_ASK,
    CREDENTIALS,
    GUESSED,
    MENDED,
    NEVER_STALE,
    OWN_ETAG,
    PART,
    PINNED,
    Terms,
)
from llmproxy_httpcache.vary import selecting

#: Targeted fields that this cache obeys, the first that can be read alone (RFC 9213 §2.2).
TARGETS: Final = (OWN_TARGET, b"cdn-cache-control")

#: Final statuses whose meaning for caches is known here, for must-understand (RFC 9111 §5.2.2.3).
UNDERSTOOD: Final = HEURISTIC | frozenset(
    {302, 303, 307, 400, 401, 403, 409, 422, 429, 451, 500, 502, 503, 504}
)

#: How long a stored answer that has ended is kept for the sake of its validator, and as the last resort.
KEPT_AFTER: Final = 86400


class Answer(NamedTuple):
    """An answer of the upstream: its head, and when it was asked for and had come, in seconds since 1970."""

    status: int
    fields: Fields
    requested: float
    answered: float


class Keep(NamedTuple):
    """The answer may be stored: on these terms, for requests that agree in these fields, with these fields.

    `last_resort` says that it may be of use long after its lifetime, where the upstream cannot be reached.
    """

    terms: Terms
    vary: tuple[bytes, ...]
    fields: list[RawHeader]
    last_resort: bool = False

    @property
    def keep_for(self) -> float:
        """How many seconds the store has to keep it."""
        terms = self.terms
        left = max(0.0, terms.lifetime - terms.age)
        stale = max(terms.while_revalidate, terms.if_error)
        after = KEPT_AFTER if terms.validator or self.last_resort else 0
        return min(left + max(stale, after), FOREVER)


class No(NamedTuple):
    """The answer may not be stored, and why; `shared` tells whether it may yet answer requests that wait for it."""

    reason: str


Decision = Keep | No


def control_of(fields: Fields) -> ResponseControl:
    """Return what the origin says to this cache: by the first targeted field that can be read, else to all."""
    for name in TARGETS:
        if name in fields.last and (control := targeted_control(fields.get(name) or b"")) is not None:
            return control
    return response_control(fields.get(b"cache-control"))


def store(policy: Policy, asked: Asked, answer: Answer, *, closed: bool = False) -> Decision:
    """Judge an answer whose head has come; its body must come whole before it is stored.

    `closed` says that not everybody may have it, whatever the origin says.
    """
    control = control_of(answer.fields)
    refusal = _refusal(policy, asked, answer, control)
    if refusal:
        return No(refusal)
    vary = selecting(answer.fields)
    if vary is None:
        return No("vary-any")
    terms = _terms(policy, asked, answer, control)
    if terms is None:
        return No("no-lifetime")
    if not terms.validator and (terms.flags & ALWAYS_ASK or not _ever_used(terms)):
        return No("never-fresh")
    last_resort = policy.stale_when_disconnected and not terms.flags & NEVER_STALE
    limits = bounds(policy, asked, answer.status, answer.fields, closed=closed)
    fields, hidden = _kept_fields(policy, answer, control, limits)
    if hidden or limits:
        terms = msgspec.structs.replace(
            terms, hidden=b"".join(b"%b: %b\r\n" % pair for pair in hidden), limits=limits
        )
    return Keep(terms, vary, fields, last_resort)


def bounds(policy: Policy, asked: Asked, status: int, fields: Fields, *, closed: bool) -> int:
    """Return what bounds the words to other caches about an answer; `closed` if it is not for everybody."""
    control = control_of(fields)
    permitted = control.public or control.must_revalidate or control.s_maxage is not None
    own = bool(asked.credentials or asked.hints) and not policy.shares_credentials
    refused = asked.authorized and not permitted
    return limits_of(status, fields, closed=closed or policy.keeps_private or own or refused)


def _refusal(policy: Policy, asked: Asked, answer: Answer, control: ResponseControl) -> str:
    """Return why an answer may not be stored, whatever its lifetime; an empty string if it may."""
    status, cookies = (
        answer.status,
        b"set-cookie" in answer.fields.last or b"set-cookie2" in answer.fields.last,
    )
    permitted = control.public or control.must_revalidate or control.s_maxage is not None
    reasons = (
        ("status", status < 200 or status in {304, 416} or (status == 206 and asked.range is None)),
        ("refused", status >= 400 and status not in OWN_LIFETIME and not policy.stores_refusals),
        ("must-understand", control.must_understand and status not in UNDERSTOOD),
        ("no-store", (control.no_store and not control.must_understand) or asked.control.no_store),
        ("private", control.private and not policy.keeps_private),
        ("authorization", asked.authorized and not permitted and not policy.keeps_private),
        ("set-cookie", cookies and not policy.set_cookie),
    )
    return next((reason for reason, holds in reasons if holds), "")


def _terms(policy: Policy, asked: Asked, answer: Answer, control: ResponseControl) -> Terms | None:
    fields, now = answer.fields, answer.answered
    date = date_of(fields, now)
    modified = fields.last.get(b"last-modified", b"")
    modified_at = parse_date(modified, now) if modified else None
    named = explicit_lifetime(control, fields, date, now)
    lifetime = own_lifetime(policy, answer.status, named)
    flags = _flags(asked, control)
    if lifetime is None:
        lifetime = guessed_lifetime(policy, control, answer.status, date, modified_at)
        flags |= GUESSED if lifetime is not None else 0
    etag = fields.last.get(b"etag", b"")
    if lifetime is None:
        if not (etag or modified) or not (answer.status in HEURISTIC or control.public or control.no_cache):
            return None
        lifetime = 0
    if policy.max_ttl is not None:
        lifetime = min(lifetime, policy.max_ttl)
    stale, error = control.stale_while_revalidate, control.stale_if_error
    return Terms(
        lifetime=lifetime,
        age=initial_age(fields, date, answer.requested, now),
        answered=now,
        flags=flags,
        while_revalidate=policy.stale_while_revalidate if stale is None else stale,
        if_error=policy.stale_if_error if error is None else error,
        etag=etag,
        modified=modified if modified_at is not None else b"",
        modified_at=modified_at,
        date=date,
        seconds=max(0.0, now - answer.requested),
    )


def _ever_used(terms: Terms) -> bool:
    """Whether there is a time at which an answer without a validator can be of use."""
    return bool(terms.lifetime or terms.while_revalidate or terms.if_error)


def _flags(asked: Asked, control: ResponseControl) -> int:
    # s-maxage has the meaning of proxy-revalidate too (RFC 9111 §5.2.2.10).
    never = control.must_revalidate or control.proxy_revalidate or control.s_maxage is not None
    return (
        (ALWAYS_ASK if control.no_cache else 0)
        | (NEVER_STALE if never or control.no_cache else 0)
        | (CREDENTIALS if asked.credentials else 0)
    )


def _kept_fields(
    policy: Policy, answer: Answer, control: ResponseControl, limits: int
) -> tuple[list[RawHeader], list[RawHeader]]:
    """Return the fields that go on to callers, and those that do not."""
    # The age that it came with is in its terms.
    fields = storable(answer.fields.raw, (b"age", *control.no_cache_fields))
    if b"date" not in answer.fields.last:
        fields.append((b"Date", format_date(answer.answered)))
    names = policy.hides if limits & AS_IS else policy.hides | policy.replaces
    hidden = [pair for pair in fields if pair[0].lower() in names]
    return [pair for pair in fields if pair[0].lower() not in names] if hidden else fields, hidden


def as_pinned(policy: Policy, asked: Asked, answer: Answer, ttl: float, *, closed: bool) -> Decision:
    """Judge an answer that an operator has given: it is fresh so long, whatever is said of it otherwise."""
    lasting = msgspec.structs.replace(policy, ttl=int(min(ttl, FOREVER)), override=True, max_ttl=None)
    decision = store(lasting, asked.whole, answer, closed=closed)
    if isinstance(decision, No):
        return decision
    flags = decision.terms.flags & ~ALWAYS_ASK | PINNED
    return decision._replace(terms=msgspec.structs.replace(decision.terms, flags=flags))


def with_etag(keep: Keep, etag: bytes) -> Keep:
    """Return the terms of an answer that has an entity tag of this cache's own."""
    terms = msgspec.structs.replace(keep.terms, etag=etag, flags=keep.terms.flags | OWN_ETAG)
    return keep._replace(terms=terms, fields=[*keep.fields, (b"ETag", etag)])


def placed(policy: Policy, asked: Asked, fields: Fields, keep: Keep, size: int) -> Keep | None:
    """Return the terms of a part of which `size` bytes came; None if it may not be stored as what it says it is."""
    place = place_of(fields.get(b"content-range"))
    if place is None:
        return None
    flags = keep.terms.flags | PART
    if place.span.size != size:
        right = mended(place, size, wanted(asked.range or b"")) if policy.mends_parts else None
        if right is None:
            return None
        place, flags = right, flags | MENDED
    return keep._replace(terms=in_place(keep.terms, place, flags))


def in_place(terms: Terms, place: Place, flags: int) -> Terms:
    """Return the terms for a part that stands at `place`."""
    span, total = place
    return msgspec.structs.replace(terms, flags=flags, first=span.first, last=span.last, total=total)
