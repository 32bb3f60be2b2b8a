"""What a caller may ask for with a header, and what he is told: the time that he has, the places that were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import BadRequest, Endpoint, Exchange, Reply, StateKey, parse_duration

if TYPE_CHECKING:
    from llmproxy_balance.walking import Trail

#: The fields of a request, and of its reply.
TIMEOUT: Final = b"x-llmproxy-timeout"
EXPLAIN: Final = b"x-llmproxy-explain"
ATTEMPTS: Final = "x-llmproxy-attempts"
#: On exchanges whose callers give less time than they have.
HURRIED: Final[StateKey[bool]] = StateKey("balance.hurried")


def lower_deadline(exchange: Exchange, endpoints: Sequence[Endpoint]) -> None:
    """Give the exchange the time that its caller asks for, and never more than it would have anyway.

    Raises:
        BadRequest: what he asks for is no duration.
    """
    text = exchange.request.headers.get(TIMEOUT.decode()) or ""
    try:
        seconds = parse_duration(text)
    except ValueError:
        message = "The header x-llmproxy-timeout is no duration; write it as in 20s."
        raise BadRequest("bad_timeout", message) from None
    if not exchange.deadline:
        # Where the route sets none, the first upstream's total timeout would be it.
        upstream = exchange.route.targets.get(endpoints[0].upstream)
        exchange.deadline = math.inf if upstream is None else exchange.started + upstream.timeouts.total
    if exchange.started + seconds < exchange.deadline:
        exchange.deadline = exchange.started + seconds
        exchange.state[HURRIED] = True


def wants(exchange: Exchange, what: bytes) -> bool:
    """Whether the caller asks for something to be explained."""
    asked = exchange.request.headers.index.get(EXPLAIN, b"")
    return what in (word.strip().lower() for word in asked.split(b","))


def tell_attempts(exchange: Exchange, trail: Trail, reply: Reply, now: float) -> None:
    """Say what was tried, as a list of structured fields (RFC 9651): `"a";failure=server;status=500;ms=12`."""
    told = []
    for attempt in exchange.attempts:
        if attempt.number not in trail.taken:
            continue
        place = trail.taken[attempt.number].place
        item = [quoted(place.label)]  # where discovered members are is no business of callers
        if (failure := trail.failures.get(attempt.number)) is not None:
            item.append(f"failure={failure.kind}")
        if attempt.status is not None:
            item.append(f"status={attempt.status}")
        until = attempt.first_output_at or attempt.headers_at or attempt.ended or now
        item.append(f"ms={max(0, round((until - attempt.started) * 1000))}")
        told.append(";".join(item))
    if told:
        reply.headers.set(ATTEMPTS, ", ".join(told))


def quoted(name: str) -> str:
    """Return a name as a string of structured fields."""
    text = "".join(sign if " " <= sign <= "~" else "?" for sign in name)
    return '"{}"'.format(text.replace("\\", "\\\\").replace('"', '\\"'))
