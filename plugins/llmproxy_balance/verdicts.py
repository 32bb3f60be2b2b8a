"""What a failure says of the endpoint that it happened at. Pure."""

from __future__ import annotations

from typing import Final

from llmproxy.plugin import Attempt, Endpoint, Exchange, Failure
from llmproxy_balance.health import Health

#: Failures that speak against the endpoint.
AGAINST: Final = frozenset(
    {"connect", "dns", "tls", "reset", "timeout", "cut", "protocol", "server", "overloaded"}
)
#: Failures after which it is left alone: the gateway's own key is of no use there for now.
SPENT: Final = frozenset({"quota", "authentication"})
#: Failures that are about who asks.
PARKING: Final = SPENT | {"rate_limit"}
#: Failures of one request, by an endpoint that is well.
ANSWERED: Final = frozenset({"invalid_request", "not_found", "too_large", "window", "policy", "permission"})

#: Fields that credentials travel in.
_CREDENTIALS: Final = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})


def hear_failure(health: Health, failure: Failure, now: float, started: float | None) -> None:
    """Tell a machine what an attempt failed with."""
    kind, told = failure.kind, failure.retry_after
    if kind in SPENT:
        health.shut(now, kind)
    if told and (kind in PARKING or kind in AGAINST):
        health.park(now, told, kind)
    elif kind == "rate_limit":
        health.limit(now)
    elif kind in AGAINST:
        health.failed(now, started)
    elif kind in ANSWERED:
        health.succeeded(now, started)
    elif kind not in SPENT:
        health.ended(now, started)


def hear_refusal(health: Health, exchange: Exchange, attempt: Attempt, failure: Failure, now: float) -> None:
    """Tell a machine of a failure that is about who asked: one of several keys, the only one, or the caller."""
    if attempt.keys is not None:
        soonest = attempt.keys.away(now)
        if soonest > 0:
            health.park(now, soonest, failure.kind)  # all of them rest
        else:
            health.ended(now, attempt.started)
    elif callers_own(exchange, attempt.endpoint):
        health.succeeded(now, attempt.started)
    else:
        hear_failure(health, failure, now, attempt.started)


def callers_own(exchange: Exchange, endpoint: Endpoint) -> bool:
    """Whether an attempt carried the caller's credentials, so that a refusal of them says nothing of the endpoint.

    That is so on routes of plain HTTP whose upstream has no credentials of its own; models get the gateway's alone.
    """
    route = exchange.route
    if route.models is not None:
        return False
    target = route.targets.get(endpoint.upstream)
    return target is not None and _CREDENTIALS.isdisjoint(target.upstream.owned)
