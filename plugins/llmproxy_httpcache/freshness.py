"""How long an answer is fresh, and how old it is (RFC 9111 §4.2, RFC 5861)."""

from __future__ import annotations

from typing import Final

from llmproxy_httpcache.dates import parse_date
from llmproxy_httpcache.directives import FOREVER, ResponseControl, seconds
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.policy import OWN_LIFETIME, Policy

#: Statuses whose freshness may be guessed (RFC 9110 §15.1).
HEURISTIC: Final = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})

#: The longest that is guessed: longer guesses are worth a note that nobody reads (RFC 9111 §4.2.2).
_LONGEST_GUESS: Final = 86400 * 7

#: The longest that an error is kept for which nobody but the route has named a lifetime.
_LONGEST_ERROR: Final = 60


def initial_age(fields: Fields, date: int, requested: float, answered: float) -> float:
    """Return an answer's age when it had come; `date` is its Date, or when it came (RFC 9111 §4.2.3)."""
    apparent = max(0.0, answered - date)
    return max(apparent, _age_field(fields) + max(0.0, answered - requested))


def _age_field(fields: Fields) -> int:
    """Return the Age that was sent: the first member of the first line, which must be a number (§5.1)."""
    if b"age" not in fields.last:
        return 0
    first = fields.lines(b"age")[0].partition(b",")[0].strip()
    return seconds(first)


def date_of(fields: Fields, answered: float) -> int:
    """Return when the origin made the answer, as it says, or when it came (RFC 9110 §6.6.1)."""
    value = fields.last.get(b"date")
    moment = None if value is None else parse_date(value, answered)
    return int(answered) if moment is None else moment


def explicit_lifetime(control: ResponseControl, fields: Fields, date: int, now: float) -> int | None:
    """Return the lifetime that the origin names, for a shared cache; None if it names none (RFC 9111 §4.2.1)."""
    if control.s_maxage is not None:
        return control.s_maxage
    if control.max_age is not None:
        return control.max_age
    if control.targeted or b"expires" not in fields.last:
        return None
    lines = set(fields.lines(b"expires"))
    expires = parse_date(lines.pop(), now) if len(lines) == 1 else None
    # What cannot be read, or says two things, is in the past (§5.3).
    return 0 if expires is None else min(max(0, expires - date), FOREVER)


def guessed_lifetime(
    policy: Policy, control: ResponseControl, status: int, date: int, modified_at: int | None
) -> int | None:
    """Return the lifetime that nobody named, by the time for which the answer had not changed (§4.2.2)."""
    if not policy.heuristics or modified_at is None or not (status in HEURISTIC or control.public):
        return None
    return min(int(policy.heuristics * max(0, date - modified_at)), _LONGEST_GUESS)


def own_lifetime(policy: Policy, status: int, lifetime: int | None) -> int | None:
    """Return the lifetime that the route's operator wants in place of the origin's."""
    if policy.ttl is None or status not in OWN_LIFETIME:
        return lifetime
    own = policy.ttl if status < 400 else min(policy.ttl, _LONGEST_ERROR)
    return own if policy.override or lifetime is None else lifetime
