"""Stale answers validated behind their callers' backs (RFC 5861 §3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from llmproxy.plugin import Body, Exchange, GatewayError
from llmproxy_httpcache.plan import PLAN
from llmproxy_httpcache.reusing import Validate

if TYPE_CHECKING:
    from llmproxy.plugin import Clock, Reply, Runtime
    from llmproxy_httpcache.filling import Filling
    from llmproxy_httpcache.plan import Stored

#: How many are on their way at one time.
_MOST: Final = 4096

Ask = Callable[["Filling", Exchange], Awaitable["Reply"]]


class Refreshing:
    """What is being validated; `ask` gets an answer as it would for a caller."""

    def __init__(self, runtime: Runtime, ask: Ask) -> None:
        self._runtime = runtime
        self._ask = ask
        self._keys: set[bytes] = set()

    def begin(self, filling: Filling, stored: Stored, exchange: Exchange) -> None:
        """Have a stored answer validated, unless it is being validated already."""
        if stored.key not in self._keys and len(self._keys) < _MOST:
            self._keys.add(stored.key)
            self._runtime.spawn(self._refresh(filling, stored.key, exchange), name="refresh")

    async def _refresh(self, filling: Filling, key: bytes, exchange: Exchange) -> None:
        try:
            twin = await twin_of(exchange, self._runtime.clock)
            plan = twin.state[PLAN] = filling.plan.again(Validate(0, 0, "stale"))
            reply = await self._ask(filling.for_twin(plan, twin), twin)
            if isinstance(reply.body, Body):
                async for _ in reply.body.pieces():
                    pass
        except GatewayError as fault:
            self._runtime.log.info("refresh_failed", route=exchange.route.name, error=fault.code)
        finally:
            self._keys.discard(key)


async def twin_of(exchange: Exchange, clock: Clock) -> Exchange:
    """Return an exchange that asks the same of the same upstreams, for no caller, with a deadline of its own."""
    twin = Exchange(exchange.request, exchange.route, f"{exchange.id}.refresh", clock.now())
    twin.caller = exchange.caller
    twin.client_face = exchange.client_face
    twin.endpoint = exchange.endpoints[0] if exchange.endpoints else exchange.endpoint
    twin.endpoints = exchange.endpoints
    twin.params = exchange.params
    twin.parent = exchange
    twin.spent = exchange.spent
    twin.trace = exchange.trace
    twin.upload = await exchange.body() if exchange.has_body else b""
    return twin
