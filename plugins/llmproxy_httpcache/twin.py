"""An exchange's twin: the same request once more, for nobody's caller."""

from __future__ import annotations

from llmproxy.plugin import Clock, Exchange


async def twin_of(exchange: Exchange, clock: Clock) -> Exchange:
    """Return an exchange that asks the same of the same upstreams, with a deadline of its own."""
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
