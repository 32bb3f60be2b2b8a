"""An exchange's twin: the same question once more, for nobody's caller."""

from __future__ import annotations

from llmproxy.plugin import Body, Clock, Exchange, Reply


async def twin_of(exchange: Exchange, clock: Clock) -> Exchange:
    """Return an exchange that asks the same of the same upstreams, after all edits, with a deadline of its own."""
    twin = Exchange(exchange.request, exchange.route, f"{exchange.id}.refresh", clock.now())
    twin.caller = exchange.caller
    twin.client_face = exchange.client_face
    twin.endpoints = exchange.endpoints
    twin.endpoint = exchange.endpoints[0] if exchange.endpoints else exchange.endpoint
    twin.params = exchange.params
    twin.parent = exchange
    twin.spent = exchange.spent
    twin.trace = exchange.trace
    twin.set_body(await exchange.body())
    return twin


async def drain(reply: Reply) -> None:
    """Take a reply to its end: it goes into the store on the way."""
    if isinstance(reply.body, Body):
        async for _ in reply.body.pieces():
            pass
