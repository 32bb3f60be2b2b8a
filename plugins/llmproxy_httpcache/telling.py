"""What an answer says of the cache it came through (RFC 9211), and to the caches behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.caches import key_name
from llmproxy_httpcache.headers import Fields
from llmproxy_httpcache.plan import PLAN
from llmproxy_httpcache.policy import OWN_TARGET
from llmproxy_httpcache.requests import BODILESS
from llmproxy_httpcache.storing import bounds

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Reply
    from llmproxy_httpcache.emitting import Emission
    from llmproxy_httpcache.plan import Plan


def tell(exchange: Exchange, reply: Reply, name: bytes, *, verbose: bool) -> None:
    """Add this cache's member to Cache-Status, behind those nearer to the origin; strip what was for it alone.

    An answer out of the store says all that already.
    """
    plan = exchange.state.get(PLAN)
    if plan is None or plan.written:
        return
    plan.written = True
    rules = plan.rules
    shown = plan.asked.method in BODILESS if plan.query is None else plan.query.kind == "query"
    if rules.emission is not None and (shown or plan.key):
        _emit(plan, reply, rules.emission)
    headers = reply.headers
    for field in rules.policy.hides if rules.active else (OWN_TARGET,):
        if field in headers.index:
            headers.remove(field)
    status = plan.status
    if verbose and plan.key:
        status = status._replace(key=key_name(plan.key), detail=status.detail or plan.reason)
    headers.add(b"Cache-Status", status.value(name))


def _emit(plan: Plan, reply: Reply, emission: Emission) -> None:
    headers, fields = reply.headers, Fields(reply.headers.raw, reply.headers.index)
    limits = bounds(plan.rules.policy, plan.asked, reply.status, fields, closed=plan.closed)
    vary = emission.with_vary(fields.get(b"vary"))
    told = [pair for pair in emission.pairs(limits, _counted(plan, fields)) if pair[0] != b"Vary"]
    if told:
        for name in emission.replaced:
            headers.remove(name)
    for name, value in told:
        headers.add(name, value)
    if vary is not None:
        headers.set(b"Vary", vary)


def _counted(plan: Plan, fields: Fields) -> int:
    """Return the age that lifetimes are lengthened by: none where the answer may be stale already."""
    age = fields.last.get(b"age", b"")
    if plan.status.collapsed or plan.status.detail or not age.isdigit():
        return 0
    return int(age[:9])
