"""A call of the gateway's own to an upstream: with its connections and credentials, through no route and no plugin."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from llmproxy.body import Body
from llmproxy.errors import UpstreamTimeout
from llmproxy.exchange import Attempt, Endpoint
from llmproxy.messages import Headers, Reply, UpstreamRequest

if TYPE_CHECKING:
    from llmproxy.membership import Membership

_HEADERS: Final = (
    (b"Content-Type", b"application/json"),
    (b"Accept", b"application/json"),
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", b"llmproxy"),
)
#: Bytes of an answer.
LARGEST: Final = 4 * 1024 * 1024


async def ask(members: Membership, name: str, target: str, body: bytes, within: float, now: float) -> Reply:
    """POST JSON to `target` behind an upstream's base URL; return its whole reply, whatever the status.

    `now` is a time on the gateway's clock.

    Raises:
        GatewayError: it cannot be reached, too many wait for it, or it has not answered within so many seconds.
        BodyTooLarge: it answers more than `LARGEST` bytes.
        LookupError: there is no upstream of that name, or not yet: they are there when every `lifespan` was entered.
    """
    upstream = members.upstream(Endpoint(name))
    if upstream is None:
        raise LookupError(f"there is no upstream {name!r}")
    request = UpstreamRequest("POST", target, Headers(list(_HEADERS)), body)
    attempt = Attempt(1, Endpoint(name), now)
    if (keys := upstream.keys) is not None:
        attempt.key = request.key = keys.take(now)
    expires = asyncio.get_running_loop().time() + within
    reply: Reply | None = None
    try:
        async with asyncio.timeout(within):
            reply = await upstream.send(request, upstream.config.timeouts, expires)
            if isinstance(reply.body, Body):
                reply.body = await reply.body.read(LARGEST)
    except TimeoutError:
        raise UpstreamTimeout("total", within, sent=request.sent) from None
    finally:
        if reply is not None and isinstance(reply.body, Body):
            reply.body.abandon()
    if keys is not None:
        keys.heard(attempt, reply, now)
    return reply
