"""What a request asks, under which key its answer is, and whether that may be stored at all."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from llmproxy.caches import CacheStatus
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.key import with_body
from llmproxy_httpcache.plan import Plan
from llmproxy_httpcache.querying import read_query
from llmproxy_httpcache.requests import BODILESS, has_body, read_request

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange
    from llmproxy_httpcache.rules import Rules


@lru_cache(maxsize=1024)
def origin_of(scheme: str, host: str) -> str:
    """Return an origin in one spelling: in lower case, always with its port."""
    host = host.lower()
    bare = ":" not in host.rpartition("]")[2]
    return f"{scheme}://{host}:{443 if scheme == 'https' else 80}" if bare else f"{scheme}://{host}"


async def body_of(exchange: Exchange, rules: Rules) -> bytes | None:
    """Return the body of a request if it is in its key; None, unread, if it is too long, or does not say how long."""
    request, limit = exchange.request, min(rules.bounds.length, exchange.route.max_body)
    if request.method not in rules.bodied:
        return b""
    if not exchange.take_body():
        length = request.headers.index.get(b"content-length", b"")
        if not length.isdigit() or int(length[:18]) > limit:
            return None
    return await exchange.body()


def plan_of(exchange: Exchange, rules: Rules, body: bytes | None = b"") -> Plan:
    """Return the plan of a request with that body (see `body_of`); one without a key passes by the cache."""
    request = exchange.request
    headers, method = request.headers, request.method
    last = headers.index
    fields = Fields(headers.raw, last)
    asked = read_request(method, headers.raw, last, exchange.spent, obey=rules.policy.obeys_callers)
    origin = origin_of(request.scheme, request.host)
    target = rules.keys.target(request.target)
    plan = Plan(rules, asked, fields, caller=exchange.caller, origin=origin, target=target)
    if (
        not rules.active
        or (rules.graphql is not None and read_query(exchange, plan, body))
        or asked.precondition
    ):
        return plan
    bodiless = method in BODILESS
    if method not in rules.methods:
        plan.status = CacheStatus("method")
    elif not bodiless or not has_body(last):
        # A body that GET should not have could change the answer, and would not be in its key.
        key = rules.key_of(asked, plan.caller, origin, target, fields)
        if not key:
            plan.status = CacheStatus("bypass", detail=f"no-{rules.scoping.scope}")
        elif bodiless:
            plan.key = key
        elif body is None or len(body) > rules.bounds.length:
            plan.status = CacheStatus("bypass", detail="size")
        else:
            plan.key = with_body(key, method, fields, body)
    return plan
