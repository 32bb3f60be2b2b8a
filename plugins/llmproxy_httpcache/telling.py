"""What an answer says of the cache it came through (RFC 9211)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmproxy.plugin import key_name
from llmproxy_httpcache.plan import PLAN
from llmproxy_httpcache.storing import OWN_TARGET

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Reply


def tell(exchange: Exchange, reply: Reply, name: bytes, *, verbose: bool) -> None:
    """Add this cache's member to Cache-Status, behind those nearer to the origin; strip what was for it alone."""
    plan = exchange.state.get(PLAN)
    if plan is None or plan.written:
        return
    plan.written = True
    headers = reply.headers
    if OWN_TARGET in headers.index:
        headers.remove(OWN_TARGET)
    status = plan.status
    if verbose and plan.key:
        status = status._replace(key=key_name(plan.key), detail=status.detail or plan.reason)
    headers.add(b"Cache-Status", status.value(name))
