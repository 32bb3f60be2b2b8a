"""Answers made anew behind their callers' backs: stale ones (RFC 5861 §3), and hot ones before they are stale.

Each is an exchange of its own, a child of the one whose caller was served: it passes all plugins, is accounted once,
and may be refused. Its caller is the parent's, and it has a deadline of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Body, ChildRequest, GatewayError, Headers, StateKey
from llmproxy_httpcache.requests import CONDITIONS

if TYPE_CHECKING:
    from llmproxy.plugin import Exchange, Runtime
    from llmproxy_httpcache.plan import Plan

#: How many are on their way at one time.
_MOST: Final = 4096

#: With the parent: the plan whose answer its child makes anew.
ORDER: Final[StateKey[Plan]] = StateKey("httpcache.refresh")


class Refreshing:
    """What is being made anew."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._keys: set[bytes] = set()

    def begin(self, plan: Plan, exchange: Exchange) -> None:
        """Have a stored answer made anew, unless it is already."""
        assert plan.stored is not None
        key = plan.stored.key
        if key not in self._keys and len(self._keys) < _MOST:
            self._keys.add(key)
            exchange.state[ORDER] = plan
            self._runtime.spawn(self._refresh(key, exchange), name="refresh")

    async def _refresh(self, key: bytes, exchange: Exchange) -> None:
        try:
            reply = await self._runtime.call(await request_of(exchange), exchange)
            if reply is None or reply.status >= 500:
                status = None if reply is None else reply.status
                self._runtime.log.info("refresh_failed", route=exchange.route.name, status=status)
            if reply is not None and isinstance(reply.body, Body):
                async for _ in reply.body.pieces():
                    pass
        except GatewayError as fault:
            self._runtime.log.info("refresh_failed", route=exchange.route.name, error=fault.code)
        finally:
            self._keys.discard(key)


async def request_of(exchange: Exchange) -> ChildRequest:
    """Return what asks for the whole of what a caller has asked for."""
    request = exchange.request
    kept = [pair for pair in request.headers.raw if pair[0].lower() not in CONDITIONS]
    headers = Headers(kept)
    # Which may be another than the field says, where a proxy before the gateway named it.
    headers.set("Host", request.host)
    method = "GET" if request.method == "HEAD" else request.method
    body = await exchange.body() if exchange.has_body else b""
    return ChildRequest(method, request.target, headers, body)
